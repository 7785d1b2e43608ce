"""Values stored apart: read when a part of them is wanted, within limits, and otherwise passed on as they are."""

from pathlib import Path

import pytest
from core.types.samples import INT, list_of
from sailplane_core.errors import InvalidRequest
from sailplane_propeller.inputs import Literals
from sailplane_propeller.pods import default_envs
from sailplane_propeller.ports import PropellerSettings
from sailplane_protos.core import literals_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.offloaded import onload
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock


def numbers(count: int) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    for number in range(count):
        literal.collection.literals.add().scalar.primitive.integer = number
    return literal


def apart(uri: str) -> literals_pb2.Literal:
    literal = literals_pb2.Literal(hash="h")
    literal.offloaded_metadata.uri = uri
    literal.offloaded_metadata.inferred_type.CopyFrom(list_of(INT))
    return literal


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store."""
    return FileBlobs(tmp_path / "blobs", UrlSigner(b"k" * 32), SystemClock())


async def test_a_value_that_lies_here_is_itself(blobs: FileBlobs) -> None:
    assert await onload(blobs, numbers(3)) == numbers(3)


async def test_a_value_stored_apart_is_read(blobs: FileBlobs) -> None:
    uri = blobs.uri("o0_offloaded_metadata.pb")
    await blobs.put(uri, numbers(3).SerializeToString())
    assert await onload(blobs, apart(uri)) == numbers(3)


async def test_a_value_over_the_limit_is_refused(blobs: FileBlobs) -> None:
    uri = blobs.uri("o0_offloaded_metadata.pb")
    data = numbers(3).SerializeToString()
    await blobs.put(uri, data)
    assert await onload(blobs, apart(uri), len(data)) == numbers(3)
    with pytest.raises(InvalidRequest, match=f"more than {len(data) - 1} bytes"):
        await onload(blobs, apart(uri), len(data) - 1)


async def test_what_cannot_be_read_is_named(blobs: FileBlobs) -> None:
    uri = blobs.uri("o0_offloaded_metadata.pb")
    with pytest.raises(InvalidRequest, match=r"o0_offloaded_metadata\.pb' is gone"):
        await onload(blobs, apart(uri))
    await blobs.put(uri, b"\xff\xff")
    with pytest.raises(InvalidRequest, match=r"is not a core\.Literal"):
        await onload(blobs, apart(uri))
    with pytest.raises(InvalidRequest, match="not in this store"):
        await onload(blobs, apart("/etc/hostname"))
    await blobs.put(uri, apart(uri).SerializeToString())
    with pytest.raises(InvalidRequest, match="stored elsewhere"):
        await onload(blobs, apart(uri))


async def test_a_value_that_was_read_is_remembered_apart_from_maps(blobs: FileBlobs) -> None:
    literals = Literals(blobs)
    uri = blobs.uri("o0_offloaded_metadata.pb")
    await blobs.put(uri, numbers(3).SerializeToString())
    assert await literals.value(apart(uri)) == numbers(3)
    await blobs.delete(uri)
    assert await literals.value(apart(uri)) == numbers(3)
    outputs = blobs.uri("outputs.pb")
    await literals.write(outputs, literals_pb2.LiteralMap())
    await literals.value(apart(outputs))  # which reads as a literal, too; the map that is kept must not change
    assert await literals.read(outputs) == literals_pb2.LiteralMap()


async def test_of_a_map_only_what_lies_elsewhere_is_replaced(blobs: FileBlobs) -> None:
    literals = Literals(blobs)
    uri = blobs.uri("o0_offloaded_metadata.pb")
    await blobs.put(uri, numbers(3).SerializeToString())
    given = literals_pb2.LiteralMap(literals={"a": apart(uri), "b": numbers(1)})
    assert await literals.values(given) == literals_pb2.LiteralMap(literals={"a": numbers(3), "b": numbers(1)})
    assert given.literals["a"] == apart(uri)
    here = literals_pb2.LiteralMap(literals={"b": numbers(1)})
    assert await literals.values(here) is here


async def test_a_map_with_its_values_is_made_once(blobs: FileBlobs) -> None:
    literals = Literals(blobs)
    uri, inputs = blobs.uri("o0_offloaded_metadata.pb"), blobs.uri("inputs.pb")
    await blobs.put(uri, numbers(3).SerializeToString())
    await literals.write(inputs, literals_pb2.LiteralMap(literals={"a": apart(uri)}))
    first = await literals.read_values(inputs)
    assert first == literals_pb2.LiteralMap(literals={"a": numbers(3)})
    assert await literals.read_values(inputs) is first
    assert await literals.read(inputs) == literals_pb2.LiteralMap(literals={"a": apart(uri)})


def test_tasks_are_told_from_which_size_on_outputs_are_stored_apart() -> None:
    envs = default_envs(PropellerSettings(task_envs={"A": "b"}))
    assert envs == {"_F_L_MIN_SIZE_MB": "10", "_F_L_MAX_SIZE_MB": "1000", "A": "b"}
    assert default_envs(PropellerSettings(offload_min_mib=0)) == {}
