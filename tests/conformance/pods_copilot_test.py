"""Containers without an SDK: inputs as files, outputs from files, and what is said when either goes wrong."""

import dataclasses
import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conformance.conftest import soon
from conformance.pods_world import NAMESPACE, PodWorld, Watcher, make_python_env, only, pod, read_log
from google.protobuf import json_format
from sailplane_core.dataconfig import ANNOTATION, DataConfig
from sailplane_core.errors import InvalidRequest, LimitReached, NotFound, Unavailable
from sailplane_core.ports import Pod, PodLauncher, PodPhase
from sailplane_protos.core import errors_pb2, interface_pb2, literals_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from sailplane_runtime.pods import copilot


@dataclass
class Raw:
    """A launcher with a blob store, and the means to run a shell script between inputs and outputs."""

    world: PodWorld
    blobs: FileBlobs
    launcher: PodLauncher
    watcher: Watcher

    def pod(self, name: str, script: str, outputs: dict[str, Any] | None = None, **config: Any) -> Pod:
        variables = {variable: {"type": kind} for variable, kind in (outputs or {}).items()}
        data_config = DataConfig(
            **{
                "input_path": "/var/inputs",
                "output_path": "/var/outputs",
                "format": "JSON",
                "inputs_uri": self.blobs.uri("inputs.pb"),
                "output_prefix": self.blobs.uri(f"out/{name}"),
                "raw_output_prefix": self.blobs.uri(f"raw/{name}"),
                "outputs": json_format.MessageToDict(
                    json_format.ParseDict({"variables": variables}, interface_pb2.VariableMap())
                ),
                **config,
            }
        )
        made = pod(name, "sh", "-ec", script)
        made.manifest["metadata"]["annotations"] = {ANNOTATION: data_config.dump()}
        return made

    async def inputs(self, **literals: Any) -> None:
        message = json_format.ParseDict({"literals": literals}, literals_pb2.LiteralMap())
        await self.blobs.put(self.blobs.uri("inputs.pb"), message.SerializeToString())

    async def log(self, name: str) -> str:
        return await read_log(self.launcher.log(NAMESPACE, name, ""))

    async def outputs(self, name: str) -> dict[str, literals_pb2.Literal]:
        data = await self.blobs.get(self.blobs.uri(f"out/{name}/outputs.pb"))
        return dict(literals_pb2.LiteralMap.FromString(data).literals)

    async def error(self, name: str) -> errors_pb2.ContainerError:
        data = await self.blobs.get(self.blobs.uri(f"out/{name}/error.pb"))
        return errors_pb2.ErrorDocument.FromString(data).error


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[Raw]:
    blobs = FileBlobs(tmp_path / "blobs", UrlSigner(b"s" * 32), SystemClock())
    world = PodWorld(tmp_path, make_python_env(tmp_path / "venv"), False, frozenset())
    raw = Raw(world, blobs, *await world.start(blobs=blobs))
    await raw.inputs()
    yield raw
    await world.close()


def primitive(**value: Any) -> dict[str, Any]:
    return {"scalar": {"primitive": value}}


async def test_values_go_in_as_files_and_come_out_of_files(raw: Raw) -> None:
    await raw.inputs(
        a=primitive(integer=3),
        b=primitive(stringValue="two words\n"),
        nothing={"scalar": {"noneType": {}}},
        either={"scalar": {"union": {"value": primitive(floatValue=1.5)}}},
        listed={"collection": {"literals": [primitive(integer=1), primitive(integer=2)]}},
        mapped={"map": {"literals": {"k": primitive(boolean=True)}}},
        struct={"scalar": {"generic": {"x": 1}}},
    )
    script = (
        "cd /var/inputs; cat a; echo; cat b nothing; echo; cat either; echo; cat listed/1 mapped/k struct; echo; "
        "cat inputs.json; echo; ls inputs.pb; "
        "echo $((2 * $(cat /var/inputs/a))) > /var/outputs/doubled; cp b /var/outputs/text.txt"
    )
    await raw.launcher.ensure(raw.pod("p", script, {"doubled": {"simple": "INTEGER"}, "text": {"simple": "STRING"}}))
    assert (await raw.watcher.ended("p")).phase is PodPhase.SUCCEEDED
    lines = (await raw.log("p")).splitlines()
    assert lines[:5] == ["3", "two words", "null", "1.5", '2true{"x":1}']
    assert json.loads(lines[5])["listed"] == [1, 2]
    assert lines[6] == "inputs.pb"
    outputs = await raw.outputs("p")
    assert outputs["doubled"].scalar.primitive.integer == 6
    assert outputs["text"].scalar.primitive.string_value == "two words\n"


async def test_files_and_directories_go_in_and_come_out(raw: Raw) -> None:
    blobs = raw.blobs
    await blobs.put(blobs.uri("in/file.csv"), b"1,2\n" * 1000)
    await blobs.put(blobs.uri("in/tree/a/one"), b"1")
    await blobs.put(blobs.uri("in/tree/two"), b"2")
    await raw.inputs(
        file={"scalar": {"blob": {"uri": blobs.uri("in/file.csv")}}},
        tree={"scalar": {"blob": {"metadata": {"type": {"dimensionality": "MULTIPART"}}, "uri": blobs.uri("in/tree")}}},
        frame={"scalar": {"structuredDataset": {"uri": blobs.uri("in/tree")}}},
    )
    script = (
        "wc -l < /var/inputs/file; cat /var/inputs/tree/a/one /var/inputs/frame/two; "
        "cp /var/inputs/file /var/outputs/copy.csv; mkdir -p /var/outputs/made/sub; echo x > /var/outputs/made/sub/y"
    )
    declared = {"copy": {"blob": {"format": "csv"}}, "made": {"blob": {"dimensionality": "MULTIPART"}}}
    await raw.launcher.ensure(raw.pod("p", script, declared))
    assert (await raw.watcher.ended("p")).phase is PodPhase.SUCCEEDED
    assert (await raw.log("p")).split() == ["1000", "12"]
    outputs = await raw.outputs("p")
    copy, made = outputs["copy"].scalar.blob, outputs["made"].scalar.blob
    assert copy.metadata.type.format == "csv"
    assert await blobs.get(copy.uri) == b"1,2\n" * 1000
    assert made.metadata.type.dimensionality == 1
    assert await blobs.get(f"{made.uri}/sub/y") == b"x\n"


async def test_two_attempts_share_no_files(raw: Raw) -> None:
    for name in ("p", "q"):
        script = f"ls /var/outputs; echo {name} > /var/outputs/text"
        await raw.launcher.ensure(raw.pod(name, script, {"text": {"simple": "STRING"}}))
        await raw.watcher.ended(name)
        assert await raw.log(name) == ""
        assert (await raw.outputs(name))["text"].scalar.primitive.string_value == f"{name}\n"


async def test_only_whole_paths_are_replaced(raw: Raw) -> None:
    script = "echo /var/inputs-not /x/var/inputs --in=/var/inputs,/var/inputs/a"
    await raw.launcher.ensure(raw.pod("p", script))
    await raw.watcher.ended("p")
    here = raw.world.attempt("p") / "inputs"
    assert await raw.log("p") == f"/var/inputs-not /x/var/inputs --in={here},{here}/a\n"


async def test_the_error_file_is_the_users_error(raw: Raw) -> None:
    script = "echo it broke > /var/outputs/_ERROR; exit 0"
    await raw.launcher.ensure(raw.pod("p", script, {"o": {"simple": "STRING"}}))
    await raw.watcher.ended("p")
    error = await raw.error("p")
    assert (error.code, error.message, error.kind) == ("USER", "it broke\n", errors_pb2.ContainerError.RECOVERABLE)


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("true", {"simple": "INTEGER"}, "output 'o' was not written: .* but nothing"),
        ("touch /var/outputs/o.a /var/outputs/o.b", {"simple": "STRING"}, "no one file o or o.*, but o.a, o.b"),
        ("echo many > /var/outputs/o", {"simple": "INTEGER"}, "output 'o': 'many"),
        ("mkdir /var/outputs/o", {"simple": "INTEGER"}, "output 'o' is a directory"),
        ("printf '\\377' > /var/outputs/o", {"simple": "STRING"}, "output 'o': .* decode"),
        ("echo > /var/outputs/o", {"simple": "BINARY"}, "output 'o': a value of type binary"),
    ],
)
async def test_outputs_that_are_missing_or_wrong_are_named(
    raw: Raw, script: str, kind: dict[str, Any], said: str
) -> None:
    await raw.launcher.ensure(raw.pod("p", script, {"o": kind}))
    await raw.watcher.ended("p")
    error = await raw.error("p")
    assert error.code == "OutputUploadFailed"
    with pytest.raises(InvalidRequest, match=said):
        raise InvalidRequest(error.message)


async def test_a_bad_exit_writes_no_outputs(raw: Raw) -> None:
    await raw.launcher.ensure(raw.pod("p", "echo 1 > /var/outputs/o; exit 3", {"o": {"simple": "INTEGER"}}))
    assert only(await raw.watcher.ended("p")).exit_code == 3
    for written in (raw.outputs, raw.error):
        with pytest.raises(NotFound):
            await written("p")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [(b"\xff", "not a core.LiteralMap"), (None, "inputs.pb"), ("../../evil", "cannot be the name of a file")],
)
async def test_inputs_that_cannot_be_put_in_place_are_the_systems_error(
    raw: Raw, inputs: bytes | str | None, said: str
) -> None:
    await raw.blobs.delete(raw.blobs.uri("inputs.pb"))
    if isinstance(inputs, str):
        await raw.inputs(**{inputs: primitive(integer=1)})
    elif inputs is not None:
        await raw.blobs.put(raw.blobs.uri("inputs.pb"), inputs)
    await raw.launcher.ensure(raw.pod("p", "echo ran"))
    container = only(await raw.watcher.ended("p"))
    assert (container.exit_code, container.reason) == (1, "InputDownloadFailed")
    error = await raw.error("p")
    assert error.code == "InputDownloadFailed"
    assert error.origin == 2
    assert said in error.message
    assert await raw.log("p") == ""


async def test_outputs_are_delivered_after_a_restart_too(raw: Raw) -> None:
    go = raw.world.directory / "go"
    script = f"while [ ! -e {go} ]; do sleep 0.02; done; echo 7 > /var/outputs/o"
    await raw.launcher.ensure(raw.pod("p", script, {"o": {"simple": "INTEGER"}}))
    await raw.watcher.running("p")
    await raw.world.stop()
    go.touch()
    _, watcher = await raw.world.start(blobs=raw.blobs)
    assert (await watcher.ended("p")).phase is PodPhase.SUCCEEDED
    assert (await raw.outputs("p"))["o"].scalar.primitive.integer == 7


class AwayFor(FileBlobs):
    """A blob store that isn't available the first few times."""

    times_away = 2

    async def get(self, uri: str, *, start: int = 0, bytes_max: int | None = None) -> bytes:
        if self.times_away:
            self.times_away -= 1
            raise Unavailable("the blob store")
        return await super().get(uri, start=start, bytes_max=bytes_max)


async def with_store(raw: Raw, kind: type[FileBlobs]) -> Raw:
    """The same with a blob store of another kind on the same directory."""
    blobs = kind(raw.world.directory / "blobs", UrlSigner(b"s" * 32), SystemClock())
    launcher, watcher = await raw.world.restart(blobs=blobs)
    return dataclasses.replace(raw, blobs=blobs, launcher=launcher, watcher=watcher)


class SmallPuts(FileBlobs):
    """A blob store that takes large objects only in pieces."""

    async def put(self, uri: str, data: bytes) -> None:
        assert len(data) < 1_000_000
        await super().put(uri, data)

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        async def looked_at() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                assert len(chunk) <= copilot.CHUNK_BYTES
                yield chunk

        await super().put_stream(uri, looked_at())


async def test_a_large_file_comes_out_in_pieces(raw: Raw) -> None:
    small = await with_store(raw, SmallPuts)
    size = 2 * copilot.CHUNK_BYTES + 5
    script = f"head -c {size} /dev/zero > /var/outputs/o"
    await small.launcher.ensure(small.pod("p", script, {"o": {"blob": {}}}))
    assert (await small.watcher.ended("p")).phase is PodPhase.SUCCEEDED
    blob = (await small.outputs("p"))["o"].scalar.blob
    assert (await small.blobs.head(blob.uri)).size_bytes == size


async def test_a_file_that_cannot_be_read_is_the_users_error(raw: Raw) -> None:
    await raw.launcher.ensure(raw.pod("p", "mkfifo /var/outputs/o", {"o": {"blob": {}}}))
    await raw.watcher.ended("p")
    assert (await raw.error("p")).code == "OutputUploadFailed"


async def test_a_value_stored_apart_goes_in_as_itself(raw: Raw) -> None:
    value = json_format.ParseDict({"collection": {"literals": [primitive(integer=7)]}}, literals_pb2.Literal())
    apart = raw.blobs.uri("made/o0_offloaded_metadata.pb")
    await raw.blobs.put(apart, value.SerializeToString())
    await raw.inputs(xs={"offloadedMetadata": {"uri": apart}})
    await raw.launcher.ensure(raw.pod("p", "cat /var/inputs/xs/0 /var/inputs/inputs.json"))
    assert (await raw.watcher.ended("p")).phase is PodPhase.SUCCEEDED
    assert await raw.log("p") == '7{"xs": [7]}'


class NoRoom(FileBlobs):
    """A blob store with room for small objects only, and for none the first few times."""

    times_full = 2

    async def put(self, uri: str, data: bytes) -> None:
        if uri.endswith("error.pb") and self.times_full:
            self.times_full -= 1
            raise LimitReached("disk space")
        await super().put(uri, data)

    async def put_stream(self, uri: str, chunks: AsyncIterable[bytes]) -> None:
        raise LimitReached("disk space")


async def test_outputs_that_find_no_room_are_the_systems_error(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sailplane_runtime.pods.process.RESTART_PAUSE_S", 0.01)
    full = await with_store(raw, NoRoom)
    await full.launcher.ensure(full.pod("p", "touch /var/outputs/o", {"o": {"blob": {}}}))
    await full.watcher.ended("p")
    error = await full.error("p")
    assert (error.code, error.origin) == ("OutputUploadFailed", 2)
    assert "disk space" in error.message


async def test_a_blob_store_that_is_away_is_waited_for(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sailplane_runtime.pods.process.RESTART_PAUSE_S", 0.01)
    away = await with_store(raw, AwayFor)
    await away.launcher.ensure(away.pod("p", "echo ran"))
    assert (await soon(away.watcher.ended("p"))).phase is PodPhase.SUCCEEDED


async def test_without_a_blob_store_such_a_container_is_refused(raw: Raw) -> None:
    launcher, _ = await raw.world.restart()
    with pytest.raises(InvalidRequest, match="no blob store"):
        await launcher.ensure(raw.pod("p", "true"))
