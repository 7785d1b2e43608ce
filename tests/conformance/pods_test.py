"""What every launcher promises: one run per name, outcomes that outlive it, limits, removal of all that was started."""

import asyncio
import contextlib
import json
import os
import signal
from decimal import Decimal
from pathlib import Path

import pytest
from conformance.conftest import soon
from conformance.pods_world import (
    NAMESPACE,
    PodWorld,
    gone,
    needing,
    number_in,
    only,
    pod,
    python,
    read_log,
)
from sailplane_core.errors import InvalidRequest, NotFound
from sailplane_core.ports import Pod, PodPhase
from sailplane_runtime.pods import command
from sailplane_runtime.pods.capacity import Capacity

# One run


async def test_a_good_end_is_succeeded_with_times_and_labels(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "print('hello')"))
    status = await watcher.ended("a")
    container = only(status)
    assert status.phase is PodPhase.SUCCEEDED
    assert status.labels == {"node-id": "a"}
    assert (container.state, container.exit_code, container.signal) == ("terminated", 0, None)
    assert container.started_at is not None
    assert container.finished_at is not None
    assert container.started_at <= container.finished_at
    assert await read_log(launcher.log(NAMESPACE, "a", "a")) == "hello\n"


async def test_ensuring_twice_runs_once(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    runs = world.directory / "runs"
    once = python("a", f"open({str(runs)!r}, 'a').write('x')")
    await asyncio.gather(launcher.ensure(once), launcher.ensure(once))
    await watcher.ended("a")
    await launcher.ensure(once)
    await launcher.ensure(python("b", "pass"))
    await watcher.ended("b")
    assert runs.read_text() == "x"


async def test_the_exit_code_is_kept_and_the_end_of_the_log_told(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "import sys\nprint('before the end')\nsys.exit(3)"))
    status = await watcher.ended("a")
    assert status.phase is PodPhase.FAILED
    assert (only(status).exit_code, only(status).signal, only(status).message) == (3, None, "before the end")


async def test_an_exception_that_nobody_caught_is_exit_code_1_with_its_traceback(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "def broken():\n    raise ValueError('no such value')\nbroken()"))
    container = only(await watcher.ended("a"))
    assert container.exit_code == 1
    assert "ValueError: no such value" in container.message


async def test_a_signal_is_told_apart_from_an_exit_code(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"))
    await launcher.ensure(python("b", "import os\nos._exit(139)"))
    assert (only(await watcher.ended("a")).exit_code, only(await watcher.ended("a")).signal) == (139, signal.SIGSEGV)
    assert (only(await watcher.ended("b")).exit_code, only(await watcher.ended("b")).signal) == (139, None)


async def test_many_at_once_all_end_well(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    names = [f"p{index}" for index in range(40)]
    await asyncio.gather(*(launcher.ensure(python(name, f"print({name!r})")) for name in names))
    assert {(await watcher.ended(name)).phase for name in names} == {PodPhase.SUCCEEDED}
    assert [await read_log(launcher.log(NAMESPACE, name, "")) for name in names] == [f"{name}\n" for name in names]


async def test_a_process_sees_its_own_surroundings_and_nothing_of_ours(
    world: PodWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CONTROL_PLANE", "x")
    launcher, watcher = await world.start()
    leaked_in, leaked_out = os.pipe()
    os.set_inheritable(leaked_out, True)
    code = (
        "import json, os, sys, tempfile\n"
        "fds = sorted(int(each) for each in os.listdir('/proc/self/fd'))\n"
        "print(json.dumps([dict(os.environ), os.getcwd(), tempfile.gettempdir(), sys.stdin.read(), fds]))"
    )
    await launcher.ensure(python("a", code, env={"GREETING": "hello $(NAME)", "NAME": "you"}))
    await watcher.ended("a")
    os.close(leaked_in)
    os.close(leaked_out)
    env, cwd, temporary, stdin, fds = json.loads(await read_log(launcher.log(NAMESPACE, "a", "")))
    env.pop("LC_CTYPE", None)
    assert set(env) == {"GREETING", "NAME", "PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV"}
    assert env["GREETING"] == "hello $(NAME)"  # a variable can refer to those before it only
    assert env["PATH"].startswith(f"{world.python_env}/bin:")
    assert Path(cwd).is_relative_to(world.attempt("a"))
    assert Path(temporary).is_relative_to(world.directory / "data/tmp")
    assert stdin == ""
    # Standard streams, the listing itself, and a fork's pipe to its zygote.
    assert len(fds) == 4 + world.warm


async def test_arguments_refer_to_variables_as_on_kubernetes(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    code = "import sys\nprint(sys.argv[2:])"
    await launcher.ensure(
        pod("a", "pyflyte-execute", code, "$(WHO)", "$$(WHO)", "$(NOBODY)", "$$", env={"WHO": "world"})
    )
    await watcher.ended("a")
    assert await read_log(launcher.log(NAMESPACE, "a", "")) == "['world', '$(WHO)', '$(NOBODY)', '$']\n"


# Logs


async def test_megabytes_of_output_are_kept_whole(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "for i in range(100_000): print(f'{i:063d}')"))
    await watcher.ended("a")
    text = await read_log(launcher.log(NAMESPACE, "a", ""))
    assert len(text) == 6_400_000
    assert text.endswith("99999\n")


async def test_of_endless_output_the_beginning_is_kept_and_the_task_goes_on(world: PodWorld) -> None:
    launcher, watcher = await world.start(log_bytes_max=10_000)
    go = world.directory / "go"
    code = (
        "import os, time\n"
        "print('first')\n"
        "while True:\n"
        "    print('x' * 1000, flush=True)\n"
        "    time.sleep(0.001)\n"
        f"    if os.path.exists({str(go)!r}): break\n"
        "print('last')\n"
    )
    await launcher.ensure(python("a", code))
    await watcher.running("a")
    log = world.attempt("a") / "log"

    async def cut() -> None:
        while not log.exists() or "[sailplane: " not in log.read_text():
            await asyncio.sleep(0.01)

    await soon(cut())  # while it runs
    go.touch()
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    text = await read_log(launcher.log(NAMESPACE, "a", ""))
    assert text.startswith("first\nxxx")
    kept, _, note = text.partition("\n[sailplane: ")
    assert len(kept) == 10_000
    assert note == "the log has reached its limit, nothing after this is kept]\n"
    assert log.stat().st_size == len(text)


async def test_a_burst_of_output_right_before_the_end_is_cut_too(world: PodWorld) -> None:
    launcher, watcher = await world.start(log_bytes_max=10_000)
    await launcher.ensure(python("a", "print('x' * 1_000_000)"))
    await launcher.ensure(python("b", "print('x' * 9_999)"))
    for name in ("a", "b"):
        assert (await watcher.ended(name)).phase is PodPhase.SUCCEEDED
    assert (await read_log(launcher.log(NAMESPACE, "a", ""))).startswith("x" * 10_000 + "\n[sailplane: ")
    assert (world.attempt("a") / "log").stat().st_size < 10_100
    assert await read_log(launcher.log(NAMESPACE, "b", "")) == "x" * 9_999 + "\n"


async def test_following_a_log_ends_with_the_pod(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    go = world.directory / "go"
    code = (
        "import os, time\n"
        "print('first', flush=True)\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "print('last')"
    )
    await launcher.ensure(python("a", code))
    chunks = launcher.log(NAMESPACE, "a", "a", follow=True)
    assert await soon(anext(chunks)) == b"first\n"
    go.touch()
    assert await soon(read_log(chunks)) == "last\n"
    await watcher.ended("a")


async def test_logs_of_what_nobody_knows_are_not_found(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "pass"))
    await watcher.ended("a")
    for name, container in (("b", ""), ("a", "sidecar")):
        with pytest.raises(NotFound):
            await anext(launcher.log(NAMESPACE, name, container))


# What cannot run


async def test_a_command_that_does_not_exist_says_so(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(pod("a", "no-such-program", "--help"))
    container = only(await watcher.ended("a"))
    assert (container.reason, container.exit_code) == ("CommandNotFound", 127)
    assert "'no-such-program'" in container.message
    assert str(world.python_env) in container.message


async def test_a_script_with_a_missing_interpreter_says_so(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    script = world.directory / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    await launcher.ensure(pod("a", str(script)))
    container = only(await watcher.ended("a"))
    assert (container.reason, container.exit_code) == ("CommandNotFound", 127)


async def test_a_file_that_is_not_executable_says_so(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    file = world.directory / "file"
    file.write_text("text\n")
    await launcher.ensure(pod("a", str(file)))
    container = only(await watcher.ended("a"))
    assert (container.reason, container.exit_code) == ("ContainerCannotRun", 126)
    assert "ermission denied" in container.message


async def test_a_script_without_an_interpreter_line_is_the_shells(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    script = world.directory / "script"
    script.write_text("exit 5\n")
    script.chmod(0o755)
    await launcher.ensure(pod("a", str(script)))
    assert only(await watcher.ended("a")).exit_code == 5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (pod("a"), "states no command"),
        (pod("a/../b", "true"), "'a/../b'"),
        (Pod("a", "..", "a", pod("a", "true").manifest), "'..'"),
        (Pod("a", NAMESPACE, "other", pod("a", "true").manifest), "'other'"),
        (Pod("a", NAMESPACE, "a", {"spec": {"initContainers": [{}]}}), "init containers"),
        (pod("a", "true", resources={"requests": {"cpu": "much"}}), "'much'"),
        (pod("a", "true", env={"": "secret"}), "the name ''"),
        (pod("a", "true", env={"A=B": "secret"}), "the name 'A=B'"),
        (pod("a", "true", env={"A": "sec\0ret"}), "variable A contains a NUL character$"),
        (pod("a", "true", "sec\0ret"), "argument 1 of the command contains a NUL character$"),
    ],
)
async def test_what_can_never_run_is_refused(world: PodWorld, wrong: Pod, said: str) -> None:
    launcher, _ = await world.start()
    with pytest.raises(InvalidRequest, match=said):
        await launcher.ensure(wrong)
    assert not world.attempt("a").exists()


async def test_a_request_that_cannot_be_carried_out_harms_nothing_else(
    world: PodWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_check_passable", lambda argv, env: None)
    launcher, watcher = await world.start()
    go_on = world.directory / "go-on"
    await launcher.ensure(pod("bystander", "sh", "-c", f"until [ -e {go_on} ]; do sleep 0.01; done"))
    await watcher.running("bystander")
    await launcher.ensure(pod("a", "true", env={"": "x"}))
    container = only(await watcher.ended("a"))
    assert (container.reason, container.exit_code) == ("ContainerCannotRun", 126)
    assert "illegal environment variable name" in container.message
    go_on.touch()
    assert (await watcher.ended("bystander")).phase is PodPhase.SUCCEEDED


# Removal


async def test_removing_the_unknown_is_fine(world: PodWorld) -> None:
    launcher, _ = await world.start()
    await launcher.remove(NAMESPACE, "nobody")


FAMILY = """
import os, signal, subprocess, sys, time
if {stubborn}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
open({path!r}, 'w').write(f'{{child.pid}}\\n')
time.sleep(600)
"""


@pytest.mark.parametrize("stubborn", [False, True])
async def test_removal_ends_everything_that_was_started(world: PodWorld, stubborn: bool) -> None:
    launcher, _watcher = await world.start(termination_grace_s=0.3 if stubborn else 600.0)
    path = world.directory / "child"
    await launcher.ensure(python("a", FAMILY.format(path=str(path), stubborn=stubborn)))
    child = await number_in(path)
    _, process = await world.claim("a")
    await soon(launcher.remove(NAMESPACE, "a"))
    await gone(process)
    await gone(child)
    assert not world.attempt("a").exists()
    assert not list((world.directory / "data/tmp").iterdir())
    with pytest.raises(NotFound):
        await anext(launcher.log(NAMESPACE, "a", ""))


async def test_removal_after_a_restart_ends_everything_too(world: PodWorld) -> None:
    launcher, _ = await world.start()
    path = world.directory / "child"
    await launcher.ensure(python("a", FAMILY.format(path=str(path), stubborn=False)))
    child = await number_in(path)
    launcher, _watcher = await world.restart()
    await soon(launcher.remove(NAMESPACE, "a"))
    await gone(child)


async def test_what_a_process_leaves_behind_ends_with_it(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    path = world.directory / "child"
    code = FAMILY.format(path=str(path), stubborn=False).replace("\ntime.sleep(600)\n", "\n")
    await launcher.ensure(python("a", code))
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    await gone(await number_in(path))


async def test_a_removed_name_can_be_used_again(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "print('one')"))
    await watcher.ended("a")
    await asyncio.gather(launcher.remove(NAMESPACE, "a"), launcher.remove(NAMESPACE, "a"))
    watcher.history.clear()
    await launcher.ensure(python("a", "print('two')"))
    await watcher.ended("a")
    assert await read_log(launcher.log(NAMESPACE, "a", "")) == "two\n"


async def test_what_is_removed_before_it_starts_never_runs(world: PodWorld) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(1), Decimal(1), 1))
    runs = world.directory / "runs"
    await launcher.ensure(python("first", "import time\ntime.sleep(600)"))
    await watcher.running("first")
    await launcher.ensure(python("second", f"open({str(runs)!r}, 'a').write('x')"))
    await launcher.remove(NAMESPACE, "second")
    await launcher.remove(NAMESPACE, "first")
    await launcher.ensure(python("third", "pass"))
    await watcher.ended("third")
    assert not runs.exists()


# Capacity


@pytest.mark.needs("local_capacity")
async def test_what_finds_no_room_waits_in_order_and_says_for_what(world: PodWorld) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(2), Decimal(2**30), 10))
    go = world.directory / "go"
    order = world.directory / "order"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    await launcher.ensure(python("first", code, **needing("1500m")))
    await watcher.running("first")
    await launcher.ensure(python("large", f"open({str(order)!r}, 'a').write('large ')", **needing("2", "512Mi")))
    await launcher.ensure(python("small", f"open({str(order)!r}, 'a').write('small ')", **needing("1")))
    waiting = await watcher.until("large", lambda status: status.unschedulable)
    assert waiting.phase is PodPhase.PENDING
    assert waiting.message == "cpu: asks for 2, 500m is free"
    assert "behind others" in (await watcher.until("small", lambda status: bool(status.message))).message
    go.touch()
    await watcher.ended("small")
    assert order.read_text() == "large small "


@pytest.mark.needs("local_capacity")
async def test_memory_is_counted_too(world: PodWorld) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(2), Decimal(2**30), 10))
    await launcher.ensure(python("first", "import time\ntime.sleep(600)", **needing(memory="768Mi")))
    await launcher.ensure(python("second", "pass", **needing(memory="512Mi")))
    waiting = await watcher.until("second", lambda status: status.unschedulable)
    assert waiting.message == "memory: asks for 512Mi, 256Mi is free"


@pytest.mark.needs("local_capacity")
async def test_what_asks_for_more_than_there_is_runs_alone_and_says_so(world: PodWorld) -> None:
    launcher, watcher = await world.start(capacity=Capacity(Decimal(2), Decimal(2**30), 10))
    await launcher.ensure(python("huge", "import time\ntime.sleep(600)", **needing("64", "512Gi")))
    assert "more than this machine has" in (await watcher.running("huge")).message
    await launcher.ensure(python("other", "pass", **needing("100m")))
    await watcher.until("other", lambda status: status.unschedulable)
    await launcher.remove(NAMESPACE, "huge")
    await watcher.ended("other")


@pytest.mark.needs("local_capacity")
async def test_running_processes_count_after_a_restart(world: PodWorld) -> None:
    capacity = Capacity(Decimal(2), Decimal(2**30), 1)
    launcher, watcher = await world.start(capacity=capacity)
    await launcher.ensure(python("first", "import time\ntime.sleep(600)"))
    await watcher.running("first")
    launcher, watcher = await world.restart(capacity=capacity)
    await launcher.ensure(python("second", "pass"))
    waiting = await watcher.until("second", lambda status: status.unschedulable)
    assert waiting.message == "1 of 1 processes run"
    with contextlib.suppress(asyncio.CancelledError):
        await launcher.remove(NAMESPACE, "first")
    await watcher.ended("second")
