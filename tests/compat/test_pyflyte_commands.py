"""Every command of the stock `pyflyte` that talks to a control plane."""

import re
import shutil
from pathlib import Path

import pytest
from compat.runs import PROGRAMS, VERSION, Runs, phase
from flytekit.exceptions.user import FlyteEntityNotExistException

PLACE = ("-p", "flytesnacks", "-d", "development")
CLIENTS = str(PROGRAMS / "clients.py")
ELSEWHERE = {"execution": "test_recoveries", "metrics": "test_reporting"}
"""Commands that other modules try."""
LOCAL = {"build", "init", "local-cache", "package", "serialize", "serve"}
"""Commands that ask no control plane."""


def named(text: str) -> str:
    """The execution that a command has told of."""
    found = re.search(r"executions/([a-z0-9-]+)", text)
    assert found, text
    return found.group(1)


def output(runs: Runs, execution: str) -> object:
    done = runs.end(runs.remote.fetch_execution(name=execution))
    assert phase(done) == "SUCCEEDED"
    return done.outputs["o0"]


def test_every_command_is_tried(runs: Runs) -> None:
    _, _, listed = runs.plane.run("pyflyte", "--help").partition("Commands")
    known = set(re.findall(r"^\W{1,3}([a-z][a-z-]*)", listed, re.MULTILINE))
    here = {"run", "register", "fetch", "get", "launchplan", "backfill", "info"}
    assert known - LOCAL - ELSEWHERE.keys() == here


def test_run_of_a_script_with_every_option(runs: Runs) -> None:
    options = (
        "--name",
        "with-options",
        "--label",
        "team=blue",
        "--annotation",
        "note=x",
        "--tag",
        "first",
        "--env",
        "A=1",
    )
    more = ("--max-parallelism", "3", "--interruptible", "true", "--overwrite-cache", "--service-account", "robot")
    told = runs.plane.run("pyflyte", "run", "--remote", *PLACE, *options, *more, CLIENTS, "echo", "--text", "hi")
    assert named(told) == "with-options"
    assert output(runs, "with-options") == "HI"
    spec = runs.remote.fetch_execution(name="with-options").spec
    assert (spec.max_parallelism, spec.interruptible, spec.overwrite_cache) == (3, True, True)
    assert (spec.labels.values, spec.annotations.values, spec.tags) == ({"team": "blue"}, {"note": "x"}, ["first"])
    assert spec.security_context.run_as.k8s_service_account == "robot"
    pod = runs.pod("with-options", "n0")
    assert {"name": "A", "value": "1"} in pod["spec"]["containers"][0]["env"]


def test_run_of_a_task_that_is_waited_for(runs: Runs) -> None:
    told = runs.plane.run("pyflyte", "run", "--remote", "--wait", *PLACE, CLIENTS, "shout", "--text", "task")
    assert output(runs, named(told)) == "TASK"


@pytest.mark.parametrize(
    ("kind", "name", "given", "expected"),
    [
        ("remote-task", f"clients.shout:{VERSION}", ("--text", "a"), "A"),
        ("remote-workflow", f"clients.echo:{VERSION}", ("--text", "b"), "B"),
        ("remote-workflow", "clients.echo", ("--text", "c"), "C"),
        ("remote-launchplan", f"clients.daily_plan:{VERSION}", ("--kickoff", "2024-05-06"), 6),
    ],
)
def test_run_of_what_is_registered(runs: Runs, kind: str, name: str, given: tuple[str, ...], expected: object) -> None:
    told = runs.plane.run("pyflyte", "run", *PLACE, kind, name, *given)
    assert output(runs, named(told)) == expected


def test_register_again_elsewhere_and_with_plans_activated(runs: Runs, tmp_path: Path) -> None:
    shutil.copy(CLIENTS, tmp_path)
    place = ("-p", "flytesnacks", "-d", "staging", "-v", "other")
    register = ("pyflyte", "register", *place)
    runs.plane.run(*register, "--dry-run", "clients.py", cwd=tmp_path)
    with pytest.raises(FlyteEntityNotExistException):
        runs.remote.fetch_task(domain="staging", name="clients.shout", version="other")
    for _ in range(2):
        runs.plane.run(*register, "--activate-launchplans", "clients.py", cwd=tmp_path)
    assert runs.remote.fetch_active_launchplan(domain="staging", name="clients.daily_plan").id.version == "other"


def test_fetch_of_inputs_and_outputs(runs: Runs, tmp_path: Path) -> None:
    done = runs.run("clients.echo", {"text": "fetched"})
    for place, expected in (("o", "FETCHED"), ("i", "fetched")):
        uri = f"flyte://v1/flytesnacks/development/{done.id.name}/n0/{place}"
        told = runs.plane.run("pyflyte", "fetch", "-r", uri, str(tmp_path / place))
        assert expected in told + "".join(path.read_text() for path in (tmp_path / place).rglob("*.json"))


def test_get_of_launch_plans(runs: Runs) -> None:
    get = ("pyflyte", "get", "launchplan", *PLACE)
    assert "clients.daily_plan" in runs.plane.run(*get)
    assert VERSION in runs.plane.run(*get, "clients.daily_plan")
    runs.plane.run(*get, "clients.daily_plan", VERSION)


def test_launch_plans_are_switched_on_and_off(runs: Runs) -> None:
    switch = ("pyflyte", "launchplan", *PLACE)
    runs.plane.run(*switch, "--activate", "clients.daily_plan", VERSION)
    assert runs.remote.fetch_active_launchplan(name="clients.daily_plan").id.version == VERSION
    assert "clients.daily_plan" in runs.plane.run("pyflyte", "get", "launchplan", *PLACE, "--active-only")
    runs.plane.run(*switch, "--deactivate", "clients.daily_plan", VERSION)
    assert runs.remote.fetch_active_launchplan(name="clients.daily_plan") is None


def test_backfill(runs: Runs) -> None:
    window = ("--from-date", "2024-05-01", "--to-date", "2024-05-04", "-n", "two-days", "--parallel")
    runs.plane.run("pyflyte", "backfill", *PLACE, *window, "clients.daily_plan", VERSION)
    done = runs.end(runs.remote.fetch_execution(name="two-days"))
    assert phase(done) == "SUCCEEDED"
    children = [child for node in done.node_executions.values() for child in node.workflow_executions]
    assert sorted(child.outputs["o0"] for child in children) == [2, 3]


def test_info_tells_the_version(runs: Runs) -> None:
    assert "Flyte" in runs.plane.run("pyflyte", "info")
