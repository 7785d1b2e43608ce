"""What every launcher promises about its own end: nothing runs twice, no outcome is lost, nothing is left half done."""

import os
import signal
from decimal import Decimal

import pytest
from conformance.conftest import soon
from conformance.pods_world import (
    NAMESPACE,
    PodWorld,
    gone,
    is_running,
    only,
    python,
    read_log,
)
from sailplane_core.ports import PodPhase
from sailplane_runtime.pods.capacity import Capacity
from sailplane_runtime.pods.sailplane_supervisor import process_start


async def test_what_ended_while_nobody_watched_is_told_to_the_next_launcher(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    go = world.directory / "go"
    code = f"import os, sys, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nsys.exit(7)"
    await launcher.ensure(python("a", code))
    await watcher.running("a")
    _, process = await world.claim("a")
    await world.stop()
    go.touch()
    await gone(process)
    _, watcher = await world.start()
    assert only(await watcher.ended("a")).exit_code == 7


async def test_running_processes_are_taken_up_again_and_none_runs_twice(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    runs, go = world.directory / "runs", world.directory / "go"
    code = (
        f"import os, signal, time\nopen({str(runs)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    await launcher.ensure(python("a", code))
    first = await watcher.running("a")
    for _ in range(3):
        launcher, watcher = await world.restart()
        await launcher.ensure(python("a", code))
        assert (await watcher.running("a")).phase is first.phase
    go.touch()
    container = only(await watcher.ended("a"))
    assert (container.exit_code, container.signal) == (137, signal.SIGKILL)
    assert runs.read_text() == "x"


async def test_outcomes_and_logs_stay_until_they_are_removed(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "print('said'); raise SystemExit(4)"))
    before = await watcher.ended("a")
    launcher, watcher = await world.restart()
    assert await watcher.ended("a") == before
    assert await read_log(launcher.log(NAMESPACE, "a", "")) == "said\n"
    await launcher.remove(NAMESPACE, "a")
    launcher, watcher = await world.restart()
    await launcher.ensure(python("b", "pass"))
    await watcher.ended("b")
    assert "a" not in watcher.history


async def test_whoever_observes_anew_is_told_everything(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    for name in ("a", "b"):
        await launcher.ensure(python(name, "pass"))
        await watcher.ended(name)
    await watcher.close()
    stream = launcher.observe()
    assert {(await soon(anext(stream))).name for _ in range(2)} == {"a", "b"}
    await stream.aclose()


@pytest.mark.needs("directories")
async def test_a_pod_taken_over_but_not_started_is_started(world: PodWorld) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(1), Decimal(1), 0))
    await launcher.ensure(python("a", "print('late')"))
    await watcher.until("a", lambda status: status.unschedulable)
    _, watcher = await world.restart()
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED


@pytest.mark.needs("directories")
@pytest.mark.parametrize("left", ["pod.json.tmp", "pod.json"])
async def test_a_pod_that_was_not_taken_over_whole_is_forgotten(world: PodWorld, left: str) -> None:
    await world.start()
    world.attempt("a").mkdir(parents=True)
    (world.attempt("a") / left).write_text('{"name"')
    launcher, watcher = await world.restart()
    await launcher.ensure(python("a", "pass"))
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED


@pytest.mark.needs("directories")
@pytest.mark.parametrize(
    "claim",
    [
        "",
        "supervisor 999999999 1\n",
        "supervisor 999999999 1\nprocess 999999999 1\n",
        f"supervisor 999999999 1\nprocess {os.getpid()} {process_start(os.getpid()) + 1}\n",
    ],
    ids=["claimed only", "before the process", "process gone", "number given to another process"],
)
async def test_a_claimed_pod_whose_process_is_gone_is_missing_and_not_run_again(world: PodWorld, claim: str) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(1), Decimal(1), 0))
    await launcher.ensure(python("a", "print('ran')"))
    await world.stop()
    (world.attempt("a") / "claim").write_text(claim)
    launcher, watcher = await world.start()
    assert (await watcher.ended("a")).phase is PodPhase.MISSING
    await launcher.ensure(python("a", "print('ran')"))
    assert await read_log(launcher.log(NAMESPACE, "a", "")) == ""


async def test_when_its_parent_is_killed_a_process_goes_on_and_is_missing_in_the_end(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    go = world.directory / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    await launcher.ensure(python("a", code))
    await watcher.running("a")
    supervisor, process = await world.claim("a")
    os.kill(supervisor, signal.SIGKILL)
    await launcher.ensure(python("b", "pass"))
    assert (await watcher.ended("b")).phase is PodPhase.SUCCEEDED
    assert is_running(process)
    go.touch()
    assert (await watcher.ended("a")).phase is PodPhase.MISSING


@pytest.mark.needs("directories")
async def test_a_start_asked_for_by_two_launchers_happens_once(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("before", "pass"))
    await watcher.ended("before")
    supervisor, _ = await world.claim("before")
    os.kill(supervisor, signal.SIGSTOP)
    runs, go = world.directory / "runs", world.directory / "go"
    code = (
        f"import os, time\nopen({str(runs)!r}, 'a').write('x')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    await launcher.ensure(python("a", code))  # the request waits in the socket of the stopped supervisor
    launcher, watcher = await world.restart()
    await watcher.running("a")
    os.kill(supervisor, signal.SIGCONT)
    await gone(supervisor)
    go.touch()
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    assert runs.read_text() == "x"


@pytest.mark.needs("directories")
async def test_temporary_files_of_a_removal_that_was_cut_short_are_deleted(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "import tempfile\ntempfile.mkdtemp()"))
    await watcher.ended("a")
    await world.stop()
    world.attempt("a").rename(world.attempt(".removed-a-1"))
    await world.start()
    assert not list((world.directory / "data/tmp").iterdir())
    assert not world.attempt(".removed-a-1").exists()
