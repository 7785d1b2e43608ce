"""Warm start: a forked entry point is a process like any other, and what cannot be forked safely is executed."""

import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.pods_world import (
    NAMESPACE,
    STAND_IN,
    PodWorld,
    Watcher,
    gone,
    is_running,
    make_python_env,
    only,
    pod,
    python,
    read_log,
)
from sailplane_core.ports import PodLauncher, PodPhase

PROBE = """
import __main__, gc, json, logging, os, random, signal, sys, tempfile, threading
print("to stderr", file=sys.stderr)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
signals = {each.name: str(signal.getsignal(each)) for each in signal.Signals if each < 32}
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "path": sys.path,
    "executable": sys.executable, "prefix": sys.prefix, "main": [__main__.__file__, __main__.__name__],
    "env": dict(os.environ), "cwd": os.getcwd(), "umask": os.umask(0o77),
    "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()], "signals": signals,
    "blocked": status["SigBlk"].strip(), "ignored": status["SigIgn"].strip(), "caught": status["SigCgt"].strip(),
    "threads": threading.active_count(), "gc": gc.isenabled(), "temporary": tempfile.gettempdir(),
    "stdio": [[each.encoding, each.errors, each.line_buffering, each.write_through, type(each.buffer).__name__,
               os.readlink(f"/proc/self/fd/{each.fileno()}")] for each in (sys.stdout, sys.stderr)],
    "limits": open("/proc/self/limits").read(), "flags": str(sys.flags), "nice": os.nice(0),
    "hooks": [str(sys.excepthook), str(sys.displayhook)], "locale": __import__("locale").setlocale(0),
}))
"""


async def forked(world: PodWorld, name: str) -> bool:
    """Whether the attempt's parent is a zygote, by its command line."""
    supervisor, _ = await world.claim(name)
    return "zygote" in cmdline(supervisor)


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def is_warm(world: PodWorld, launcher: PodLauncher, watcher: Watcher, name: str, **more: Any) -> bool:
    await launcher.ensure(python(name, "pass", **more))
    assert (await watcher.ended(name)).phase is PodPhase.SUCCEEDED
    return await forked(world, name)


@pytest.fixture(scope="session")
def python_env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_python_env(tmp_path_factory.mktemp("env") / "venv")


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[Callable[[Path, bool], PodWorld]]:
    made: list[PodWorld] = []

    def make(python_env: Path, warm: bool) -> PodWorld:
        made.append(PodWorld(tmp_path / f"warm-{warm}", python_env, warm, frozenset()))
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(worlds: Callable[[Path, bool], PodWorld], python_env: Path) -> PodWorld:
    return worlds(python_env, True)


@pytest.fixture
def hang_up_ignored() -> Iterator[None]:
    """As under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_ignored")
@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1", "PYTHONPATH": "relative:/absolute", "TZ": "Asia/Tokyo"}])
async def test_a_fork_cannot_be_told_from_a_process_of_its_own(
    worlds: Callable[[Path, bool], PodWorld], python_env: Path, env: dict[str, str]
) -> None:
    seen: list[Any] = []
    for warm in (False, True):
        world = worlds(python_env, warm)
        launcher, watcher = await world.start()
        await launcher.ensure(python("a", PROBE, env=env))
        assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
        assert await forked(world, "a") is warm
        text = await read_log(launcher.log(NAMESPACE, "a", ""))
        seen.append(json.loads(text.replace(str(world.directory), "DIR").replace("to stderr\n", "")))
    cold, warm = seen
    cold["env"].pop("LC_CTYPE", None)  # Python sets it when it starts in the C locale
    warm["env"].pop("LC_CTYPE", None)
    assert warm == cold


async def test_each_fork_has_its_own_randomness(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    for name in ("a", "b"):
        await launcher.ensure(python(name, "import random, uuid\nprint(random.random(), uuid.uuid4())"))
        await watcher.ended(name)
        assert await forked(world, name)
    said = [await read_log(launcher.log(NAMESPACE, name, "")) for name in ("a", "b")]
    assert not set(said[0].split()) & set(said[1].split())


async def test_what_one_fork_imports_and_changes_another_does_not_see(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "import os, sys, wave\nos.environ['LEFT'] = 'x'\nsys.left = os.chdir('/')"))
    await watcher.ended("a")
    await launcher.ensure(
        python("b", "import os, sys\nprint('wave' in sys.modules, 'LEFT' in os.environ, hasattr(sys, 'left'))")
    )
    await watcher.ended("b")
    assert await read_log(launcher.log(NAMESPACE, "b", "")) == "False False False\n"


async def test_threads_are_waited_for_and_exit_handlers_run(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'handler')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
        "raise SystemExit('a reason')"
    )
    await launcher.ensure(python("a", code))
    assert only(await watcher.ended("a")).exit_code == 1
    assert await forked(world, "a")
    assert sorted((await read_log(launcher.log(NAMESPACE, "a", ""))).splitlines()) == ["a reason", "handler", "thread"]


async def test_an_entry_point_run_by_another_goes_on_in_the_same_process(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    code = "import json, os, sys, __main__\nprint(json.dumps([os.getpid(), sys.argv, sys.path[:2], __main__.__file__]))"
    await launcher.ensure(pod("a", "pyflyte-fast-execute", "--dest-dir", "/root", "--", "pyflyte-execute", code, "x"))
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    _, process = await world.claim("a")
    pid, argv, path, main = json.loads(await read_log(launcher.log(NAMESPACE, "a", "")))
    bin_directory = world.python_env / "bin"
    assert pid == process
    assert argv == [f"{bin_directory}/pyflyte-execute", code, "x"]
    assert path == [str(bin_directory), str(world.attempt("a") / "work/unpacked")]
    assert main == argv[0]


async def test_code_to_be_unpacked_below_the_root_goes_into_the_working_directory(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    show = "import os, sys\nprint(sys.argv)"
    await launcher.ensure(pod("a", "pyflyte-execute", show, "--dest-dir", "/root"))
    await launcher.ensure(pod("b", "sh", "-c", "echo $*", "--dest-dir", "/root"))
    for name in ("a", "b"):
        await watcher.ended(name)
        assert "/root" in await read_log(launcher.log(NAMESPACE, name, ""))


@pytest.mark.parametrize(
    "name",
    ["PYTHONHASHSEED", "OMP_NUM_THREADS", "LD_PRELOAD", "LC_ALL", "_F_RUNTIME_PACKAGES", "FLYTE_PYTHON_PACKAGE_ROOT"],
)
async def test_variables_that_count_from_the_start_make_a_process_of_its_own(world: PodWorld, name: str) -> None:
    launcher, watcher = await world.start()
    assert not await is_warm(world, launcher, watcher, "a", env={name: ""})
    assert await is_warm(world, launcher, watcher, "b", env={"ANOTHER": ""})


async def test_a_zygote_with_threads_is_not_forked(worlds: Callable[[Path, bool], PodWorld], tmp_path: Path) -> None:
    threaded = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    sources = {**STAND_IN, "loggers.py": STAND_IN["loggers.py"] + threaded}
    world = worlds(make_python_env(tmp_path / "venv", sources), True)
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "import os\nprint(os.getppid())"))
    await watcher.ended("a")
    assert "sailplane_supervisor" in cmdline(int(await read_log(launcher.log(NAMESPACE, "a", ""))))
    assert not await is_warm(world, launcher, watcher, "b")


@pytest.mark.parametrize(
    "broken",
    ["raise RuntimeError('no such release')", "import os\nos.kill(os.getpid(), 9)", "raise SystemExit(0)"],
)
async def test_without_a_zygote_attempts_run_as_processes(
    worlds: Callable[[Path, bool], PodWorld], tmp_path: Path, broken: str
) -> None:
    """`broken` is imported by the zygote, and not by the entry point."""
    sources = {**STAND_IN, "loggers.py": broken}
    world = worlds(make_python_env(tmp_path / "venv", sources), True)
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "print('ran')"))
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    assert await read_log(launcher.log(NAMESPACE, "a", "")) == "ran\n"
    assert (await is_warm(world, launcher, watcher, "b")) is False


async def test_an_environment_without_flytekit_has_no_zygote(
    worlds: Callable[[Path, bool], PodWorld], tmp_path: Path
) -> None:
    env = make_python_env(tmp_path / "venv")
    for script in ("pyflyte-execute", "pyflyte-fast-execute"):
        (env / "bin" / script).unlink()
    launcher, watcher = await worlds(env, True).start()
    await launcher.ensure(pod("a", "python", "-c", "print('ran')"))
    await launcher.ensure(pod("b", "pyflyte-execute", "pass"))
    assert (await watcher.ended("a")).phase is PodPhase.SUCCEEDED
    assert only(await watcher.ended("b")).reason == "CommandNotFound"


async def test_installing_a_package_makes_a_new_zygote(
    worlds: Callable[[Path, bool], PodWorld], tmp_path: Path
) -> None:
    env = make_python_env(tmp_path / "venv")
    world = worlds(env, True)
    launcher, watcher = await world.start()
    code = "import os, flytekit\nprint(os.getppid(), getattr(flytekit, 'release', 1))"
    await launcher.ensure(python("a", code))
    await watcher.ended("a")
    before = (await read_log(launcher.log(NAMESPACE, "a", ""))).split()
    (packages,) = env.glob("lib/python3*/site-packages")
    (packages / "flytekit/__init__.py").write_text("release = 2")
    (packages / "flytekit-2.dist-info").mkdir()
    await launcher.ensure(python("b", code))
    await watcher.ended("b")
    after = (await read_log(launcher.log(NAMESPACE, "b", ""))).split()
    assert (before[1], after[1]) == ("1", "2")
    await gone(int(before[0]))


async def test_a_zygote_that_dies_is_replaced_and_what_it_had_not_started_is_started(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    await launcher.ensure(python("a", "pass"))
    await watcher.ended("a")
    zygote, _ = await world.claim("a")
    os.kill(zygote, signal.SIGKILL)
    await launcher.ensure(python("b", "pass"))
    assert (await watcher.ended("b")).phase is PodPhase.SUCCEEDED
    assert await is_warm(world, launcher, watcher, "c")
    assert (await world.claim("c"))[0] != zygote


async def test_what_tasks_are_seen_to_use_is_imported_ahead(
    worlds: Callable[[Path, bool], PodWorld], tmp_path: Path
) -> None:
    env = make_python_env(tmp_path / "venv")
    (packages,) = env.glob("lib/python3*/site-packages")
    (packages / "scipy.py").write_text("import os\nimported_by = os.getpid()\n")
    world = worlds(env, True)
    launcher, watcher = await world.start()
    code = "import scipy, os\nprint(scipy.imported_by == os.getpid())"
    await launcher.ensure(python("a", code))
    await watcher.ended("a")
    await launcher.ensure(python("b", "pass"))  # the zygote hears of it before the next fork at the latest
    await watcher.ended("b")
    await launcher.ensure(python("c", code))
    await watcher.ended("c")
    said = [await read_log(launcher.log(NAMESPACE, name, "")) for name in ("a", "c")]
    assert said == ["True\n", "False\n"]


async def test_a_zygote_stays_while_its_forks_run_and_leaves_after_them(world: PodWorld) -> None:
    launcher, watcher = await world.start()
    go = world.directory / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    await launcher.ensure(python("a", code))
    await watcher.running("a")
    zygote, _ = await world.claim("a")
    await world.stop()
    assert is_running(zygote)
    go.touch()
    await gone(zygote)
