"""Every method of the stock `FlyteRemote` that asks a control plane for something."""

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from compat.programs import clients
from compat.runs import POLL, PROGRAMS, VERSION, WAIT, Runs, node_phase, phase
from flytekit import LaunchPlan, Options, reference_launch_plan, reference_task, reference_workflow
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.models.admin.common import Sort
from flytekit.models.core.identifier import Identifier, ResourceType
from flytekit.models.execution import NotificationList
from flytekit.models.filters import Equal
from flytekit.remote import FlyteRemote

PROJECT, DOMAIN = "flytesnacks", "development"
HERE = Path(__file__).parent
WITH_TESTS = {"PYTHONPATH": str(HERE.parent)}
"""With which a task finds the program that stands in a module of the tests."""
LOCAL = {
    *("auto", "for_endpoint", "for_sandbox", "remote_context", "get_extra_headers_for_protocol"),
    *("generate_console_http_domain", "generate_console_url", "fast_package"),
}
"""They ask nobody."""
INSIDE = {
    *("find_launch_plan", "find_launch_plan_for_node", "sync_execution", "sync_node_execution", "sync_task_execution"),
    *("execute_local_launch_plan", "execute_local_task", "execute_local_workflow", "raw_register"),
    *("execute_reference_launch_plan", "execute_reference_task", "execute_reference_workflow"),
    *("execute_remote_task_lp", "execute_remote_wf"),
}
"""Parts of `sync`, `wait`, `execute` and the `register_` methods."""


@pytest.fixture(scope="module")
def remote(runs: Runs) -> FlyteRemote:
    return runs.remote


def settings(version: str) -> SerializationSettings:
    images = ImageConfig.auto_default_image()
    return SerializationSettings(images, project=PROJECT, domain=DOMAIN, version=version, env=WITH_TESTS)


def result(remote: FlyteRemote, started: Any) -> object:
    done = remote.wait(started, timeout=WAIT, poll_interval=POLL)
    assert phase(done) == "SUCCEEDED"
    return done.outputs["o0"]


def test_every_method_is_tried_somewhere() -> None:
    public = {name for name, _ in inspect.getmembers(FlyteRemote, callable) if not name.startswith("_")}
    tried = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    assert {name for name in public - LOCAL - INSIDE if f".{name}(" not in tried} == set()


def test_projects_and_domains(remote: FlyteRemote) -> None:
    assert [domain.id for domain in remote.get_domains()] == ["development", "staging", "production"]
    by_name = Sort("identifier", Sort.Direction.ASCENDING)
    assert PROJECT in [project.id for project in remote.list_projects(sort_by=by_name)]
    assert remote.list_projects(filters=[Equal("project.identifier", "nowhere")]) == []


def test_registering_one_thing_after_another(remote: FlyteRemote) -> None:
    shout = remote.register_task(clients.shout, settings("m1"), version="m1")
    assert result(remote, remote.execute(shout, inputs={"text": "task"})) == "TASK"
    echo = remote.register_workflow(clients.echo, settings("m1"), version="m1")
    assert result(remote, remote.execute(echo, inputs={"text": "flow"})) == "FLOW"
    plan = LaunchPlan.get_or_create(clients.echo, name="clients.loud", fixed_inputs={"text": "fixed"})
    registered = remote.register_launch_plan(plan, version="m1", serialization_settings=settings("m1"))
    assert result(remote, remote.execute(registered, inputs={})) == "FIXED"


def test_registering_with_the_source(remote: FlyteRemote) -> None:
    script = remote.register_script(
        clients.echo, version="m2", source_path=str(PROGRAMS), module_name="clients", envs=WITH_TESTS
    )
    assert result(remote, remote.execute(script, inputs={"text": "script"})) == "SCRIPT"
    fast = remote.fast_register_workflow(clients.echo, settings("m3"), version="m3")
    assert fast.id.version == "m3"


def test_fetching(remote: FlyteRemote) -> None:
    assert remote.fetch_task(name="clients.shout", version=VERSION).id.version == VERSION
    assert remote.fetch_workflow(name="clients.echo", version=VERSION).interface.inputs.keys() == {"text"}
    assert remote.fetch_launch_plan(name="clients.daily_plan", version=VERSION).id.version == VERSION
    assert remote.fetch_task_lazy(name="clients.shout", version=VERSION).entity.id.name == "clients.shout"
    assert remote.fetch_workflow_lazy(name="clients.echo", version=VERSION).entity.id.name == "clients.echo"
    tasks = remote.list_tasks_by_version(VERSION, limit=500)
    assert {"clients.shout", "clients.day_of"} <= {found.id.name for found in tasks}


def test_executing_what_stands_here(remote: FlyteRemote) -> None:
    started = remote.execute(
        clients.shout, inputs={"text": "local"}, version="m4", serialization_settings=settings("m4"), wait=True
    )
    assert started.outputs["o0"] == "LOCAL"
    again = remote.execute(
        clients.echo, inputs={"text": "again"}, version="m4", serialization_settings=settings("m4"), wait=True
    )
    assert again.outputs["o0"] == "AGAIN"


def test_executing_what_is_only_referred_to(remote: FlyteRemote) -> None:
    place = {"project": PROJECT, "domain": DOMAIN, "version": VERSION}

    @reference_task(name="clients.shout", **place)
    def shout(text: str) -> str:
        return ""

    @reference_workflow(name="clients.echo", **place)
    def echo(text: str) -> str:
        return ""

    @reference_launch_plan(name="clients.echo", **place)
    def plan(text: str) -> str:
        return ""

    started = [remote.execute(one, inputs={"text": "far"}) for one in (shout, echo, plan)]
    assert [result(remote, one) for one in started] == ["FAR"] * 3


def test_every_option_of_an_execution(runs: Runs, remote: FlyteRemote) -> None:
    options = Options.default_from(k8s_service_account="robot", raw_data_prefix=None)
    options.max_parallelism, options.notifications = 5, NotificationList([])
    done = runs.end(
        remote.execute(
            remote.fetch_workflow(name="clients.echo", version=VERSION),
            inputs={"text": "x"},
            execution_name_prefix="chosen",
            options=options,
            overwrite_cache=True,
            interruptible=True,
            envs={"A": "1"},
            tags=["one", "two"],
            cluster_pool="pool",
            execution_cluster_label="label",
        )
    )
    assert done.id.name.startswith("chosen")
    spec = done.spec
    assert (spec.max_parallelism, spec.interruptible, spec.overwrite_cache) == (5, True, True)
    assert (spec.tags, spec.envs.envs) == (["one", "two"], {"A": "1"})
    assert (spec.cluster_assignment.cluster_pool, spec.execution_cluster_label.value) == ("pool", "label")


def test_watching_and_ending(remote: FlyteRemote, runs: Runs, tmp_path: Path) -> None:
    slow = remote.fetch_workflow(name="launches.parent_of_lingering", version=VERSION)
    started = remote.execute(slow, inputs={"marks": str(tmp_path)})
    assert started.id.name in [found.id.name for found in remote.recent_executions(limit=5)]
    assert phase(remote.sync(started)) in ("UNDEFINED", "QUEUED", "RUNNING")
    remote.terminate(started, cause="enough")
    done = remote.wait(started, timeout=WAIT, poll_interval=POLL, sync_nodes=True)
    assert (phase(done), done.closure.abort_metadata.cause) == ("ABORTED", "enough")
    assert {node_phase(node) for node in done.node_executions.values()} <= {"SUCCEEDED", "ABORTED"}
    assert remote.fetch_execution(name=started.id.name).id == started.id


def test_data_by_its_address(remote: FlyteRemote, runs: Runs, tmp_path: Path) -> None:
    done = runs.run("clients.echo", {"text": "data"})
    base = f"flyte://v1/{PROJECT}/{DOMAIN}/{done.id.name}/n0"
    assert remote.get(f"{base}/o").get("o0", str) == "DATA"
    assert remote.get(f"{base}/0/i").get("text", str) == "data"
    assert remote.get(f"{base}/o/o0").scalar.primitive.string_value == "DATA"
    task = remote.fetch_task(name="launches.written", version=VERSION)
    file = runs.end(remote.execute(task, inputs={"text": "DATA"}))
    remote.download(file.outputs, str(tmp_path / "got"))
    assert "DATA" in "".join(path.read_text() for path in (tmp_path / "got").rglob("*") if path.is_file())


def test_uploading(remote: FlyteRemote, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content")
    md5, uri = remote.upload_file(tmp_path / "a.txt", PROJECT, DOMAIN)
    assert len(md5) == 16
    assert uri.endswith("a.txt")


@pytest.fixture
def plan(remote: FlyteRemote) -> Iterator[Identifier]:
    id = Identifier(ResourceType.LAUNCH_PLAN, PROJECT, DOMAIN, "clients.daily_plan", VERSION)
    yield id
    remote.deactivate_launchplan(id)


def test_launch_plans_are_switched_on_and_off(remote: FlyteRemote, plan: Identifier) -> None:
    remote.activate_launchplan(plan)
    assert remote.fetch_active_launchplan(name=plan.name).id.version == VERSION
    remote.deactivate_launchplan(plan)
    assert remote.fetch_active_launchplan(name=plan.name) is None


def test_backfilling(remote: FlyteRemote) -> None:
    window = {
        "from_date": datetime(2024, 5, 1, tzinfo=UTC),
        "to_date": datetime(2024, 5, 3, tzinfo=UTC),
        "parallel": True,
    }
    place = {"project": PROJECT, "domain": DOMAIN, "launchplan": "clients.daily_plan", "launchplan_version": VERSION}
    dry = remote.launch_backfill(**place, **window, dry_run=True)
    assert len(dry.nodes) == 1
    started = remote.launch_backfill(**place, **window, version="b1", execution_name="one-day")
    assert phase(remote.wait(started, timeout=WAIT, poll_interval=POLL)) == "SUCCEEDED"
