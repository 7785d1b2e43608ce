"""Values of every kind through tasks and out of executions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from compat.raw import DOMAIN, PROJECT
from compat.runs import Runs, phase
from flyteidl.core.execution_pb2 import ExecutionError
from flytekit.remote.executions import FlyteWorkflowExecution


def outputs(done: FlyteWorkflowExecution) -> list[object]:
    """All outputs, in their order."""
    return [done.outputs[f"o{index}"] for index in range(len(done.outputs.literals))]


def test_attributes_of_promises(runs: Runs) -> None:
    assert outputs(runs.run("values.attributes", {"size": 3})) == [7, "noted:c", 4, 28, "a:a+b"]


def test_an_attribute_that_is_missing_fails_with_its_path(runs: Runs) -> None:
    done = runs.run("values.missing_attribute", {"size": 3})
    assert phase(done) == "FAILED"
    assert "7" in done.closure.error.message


@pytest.mark.parametrize(("x", "described"), [(0, "NoneType:None"), (1, "int:1"), (2, "str:text2")])
def test_unions(runs: Runs, x: int, described: str) -> None:
    done = runs.run("values.unions", {"x": x})
    assert done.outputs["o0"] == described
    assert done.outputs["o1"] == [None, 1, "text2"][x]


def test_what_may_be_absent(runs: Runs) -> None:
    given, absent = runs.start("values.optionals", {"x": 4}), runs.start("values.optionals")
    assert outputs(runs.end(given)) == ["4", "nothing"]
    assert outputs(runs.end(absent)) == ["nothing", "nothing"]


def test_every_simple_type(runs: Runs) -> None:
    moment = datetime(2024, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    given: dict[str, object] = {"i": -(2**53), "f": 0.5, "s": "ü\n", "b": True, "t": moment}
    done = runs.run("values.simple", given | {"d": timedelta(seconds=-1.5), "c": "green"})
    *values, colour = outputs(done)
    assert values == [1 - 2**53, 0.25, "ü\n!", False, moment + timedelta(days=1), timedelta(seconds=-3)]
    assert colour.value == "red"


def test_constants_of_every_type_in_the_workflow(runs: Runs) -> None:
    assert runs.run("values.moments").outputs["o0"] == datetime(2024, 2, 29, tzinfo=UTC)


def test_structures(runs: Runs) -> None:
    value = {"a": 1, "deep": {"list": [1.5, {"x": None}], "empty": {}}}
    done = runs.run("values.anything", {"x": value}, type_hints={"x": dict[str, Any]})
    assert done.outputs.get("o0", dict[str, Any]) == value | {"more": [1, "two", None]}


def test_directories(runs: Runs) -> None:
    done = runs.run("values.folders", {"n": 3})
    assert done.outputs["o1"] == 3
    names = sorted(path.name for path in Path(done.outputs["o0"].download()).iterdir())
    assert names == ["0.txt", "1.txt", "2.txt"]


def test_outputs_that_are_too_large_are_the_users_error(runs: Runs) -> None:
    done = runs.run("values.oversized")
    assert phase(done) == "FAILED"
    assert done.closure.error.code == "OutputSizeExceeded"
    assert done.closure.error.kind == ExecutionError.USER
    assert "67108864 are allowed" in done.closure.error.message


@pytest.mark.parametrize("number", [42, -42])
def test_the_deck_of_a_node_can_be_had_though_it_failed(runs: Runs, number: int) -> None:
    done = runs.run("values.with_deck", {"x": number})
    assert done.is_successful == (number > 0)
    assert done.node_executions["n0"].closure.deck_uri.endswith("/deck.html")
    link = runs.remote.client.get_download_artifact_signed_url("n0", PROJECT, DOMAIN, done.id.name)
    with urlopen(link.pre_signed_urls.signed_url[0]) as response:
        assert f"<p>the number is {number}</p>" in response.read().decode()
