"""Python entry points run by fork from a process that has imported flytekit already.

Part of `sailplane_supervisor`, and like it run by path in the task's own Python environment, with the standard
library alone. Importing flytekit costs a fresh process seconds; a fork costs it milliseconds, and is otherwise a
process like any other: its own session, environment, directory, log, random numbers and temporary files. What a
program would have read from its environment while it imported flytekit is read again after the fork.

Forking is safe only while this process has one thread. That is measured, not assumed: `import_first` and
`import_more` say whether it is still so.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import os
import random
import select
import shutil
import sys
import tempfile
import threading
import time
import types
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENTRYPOINTS = ("pyflyte-execute", "pyflyte-fast-execute", "pyflyte-map-execute", "sailplane-execute")
FIRST = ("flytekit.bin.entrypoint",)
WORTHWHILE = frozenset({"flytekit", "joblib", "numpy", "pandas", "pyarrow", "scipy", "sklearn"})
"""Packages that are slow to import and safe to fork. Those of their modules that a task was seen to use are imported
here in idle time, ahead of the next task."""

SEEN_BYTES_MAX = 1 << 16
NAMES_PER_WRITE = 20

SOFTWARE_ERROR = 70


class Exec(BaseException):
    """Raised in place of starting a second entry point as a process of its own: unwind, then run it in this one."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        super().__init__(argv)
        self.argv, self.env = argv, env


class Zygote:
    """The imported modules, and how a fork of this process becomes an attempt."""

    def __init__(self) -> None:
        self.wanted: list[str] = []
        self.tried: set[str] = set()
        self.seen, self.seen_in = os.pipe()
        for fd in (self.seen, self.seen_in):
            os.set_blocking(fd, False)

    def import_first(self) -> bool:
        """Import what every attempt needs. False if this process must not be forked."""
        gc.disable()
        # Named outright: were the directory gone, files of imports would otherwise be left wherever there's room.
        tempfile.tempdir = os.environ["TMPDIR"]
        try:
            for module in FIRST:
                importlib.import_module(module)
            renew_flytekit()
            compile_patterns()
        except Exception as error:
            print(f"no warm start: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return False
        gc.collect()
        gc.freeze()
        return thread_count() == 1

    def has_more(self) -> bool:
        """Whether attempts were seen to use modules that are worth importing ahead."""
        with contextlib.suppress(BlockingIOError):
            for name in os.read(self.seen, SEEN_BYTES_MAX).decode().split():
                if name not in self.tried:
                    self.tried.add(name)
                    self.wanted.append(name)
        self.wanted = [name for name in self.wanted if name not in sys.modules]
        return bool(self.wanted)

    def import_more(self) -> bool:
        """Import one of them. False if this process must not be forked any more."""
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(self.wanted.pop(0))
        gc.freeze()
        return thread_count() == 1

    def run(self, request: dict[str, Any]) -> NoReturn:
        """Become the attempt: called in the fork, never returns."""
        before = frozenset(sys.modules)
        os.setsid()
        os.close(self.seen)
        gc.enable()
        redirect(os.path.join(request["dir"], "log"))
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        renew_interpreter()
        renew_flytekit()
        code = run_program(request["script"], request["argv"])
        self.tell(before)
        leave(code)

    def tell(self, before: frozenset[str]) -> None:
        """Tell the zygote which modules the attempt imported that had better be there already."""
        used = [
            name
            for name, module in sys.modules.copy().items()
            if name not in before and name.partition(".")[0] in WORTHWHILE and getattr(module, "__spec__", None)
        ]
        # In pieces that a pipe takes whole, because other attempts write to it at the same time.
        for start in range(0, len(used), NAMES_PER_WRITE):
            told = "".join(f"{name} " for name in used[start : start + NAMES_PER_WRITE]).encode()
            if len(told) <= select.PIPE_BUF:
                with contextlib.suppress(OSError):
                    os.write(self.seen_in, told)


def compile_patterns() -> None:
    """Have the parser of docstrings compile its patterns, which costs each task a third of its time otherwise."""
    with contextlib.suppress(ImportError):
        parser: Any = importlib.import_module("docstring_parser")
        parser.parse("A sentence.\n\nArgs:\n    x: A value.\n")


def thread_count() -> int:
    """Threads of this process, those of C libraries included where the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def redirect(log: str) -> None:
    """Standard input from nowhere, output and errors to the log."""
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for fd, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(fd, target)
    os.close(null)
    os.close(out)


def renew_interpreter() -> None:
    """What the interpreter and libraries derived from the environment or the system's randomness when they started."""
    tempfile.tempdir = None
    random.seed()
    if "TZ" in os.environ:
        time.tzset()
    if "numpy" in sys.modules:
        numpy: Any = sys.modules["numpy"]
        numpy.random.seed()
        restore_blas_threads()
    if os.environ.get("PYTHONUNBUFFERED"):
        interpreter: Any = sys
        interpreter.stdout = interpreter.__stdout__ = unbuffered(1, sys.stdout)
        interpreter.stderr = interpreter.__stderr__ = unbuffered(2, sys.stderr)


def unbuffered(fd: int, like: Any) -> io.TextIOWrapper:
    """A text stream as `python -u` has it."""
    raw = open(fd, "wb", 0, closefd=False)
    return io.TextIOWrapper(raw, encoding=like.encoding, errors=like.errors, write_through=True)


def restore_blas_threads() -> None:
    """Give OpenBLAS its threads back, which it was denied here because threads do not survive a fork."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        libraries = {line.split()[-1] for line in maps if "openblas" in line.rpartition("/")[2]}
        for path in libraries:
            library = ctypes.CDLL(path)
            for prefix in ("scipy_", ""):
                for suffix in ("64_", ""):
                    name = f"{prefix}openblas_set_num_threads{suffix}"
                    if hasattr(library, name):
                        getattr(library, name)(len(os.sched_getaffinity(0)))


def renew_flytekit() -> None:
    """Do again what flytekit's modules do with the environment and the temporary directory when they're imported."""
    configuration: Any = importlib.import_module("flytekit.configuration")
    loggers: Any = importlib.import_module("flytekit.loggers")
    context_manager: Any = importlib.import_module("flytekit.core.context_manager")
    data_persistence: Any = importlib.import_module("flytekit.core.data_persistence")

    before, after = configuration.Config.local_sandbox_path, tempfile.mkdtemp(prefix="flyte")
    configuration.Config.local_sandbox_path = after
    init = configuration.Config.__init__
    init.__defaults__ = tuple(after if default == before else default for default in init.__defaults__)

    data_persistence.flyte_tmp_dir = tempfile.mkdtemp(prefix="flyte-")
    provider = data_persistence.FileAccessProvider(
        local_sandbox_dir=os.path.join(data_persistence.flyte_tmp_dir, "sandbox"),
        raw_output_prefix=os.path.join(data_persistence.flyte_tmp_dir, "raw"),
        data_config=configuration.DataConfig.auto(),
    )
    data_persistence.default_local_file_access_provider = provider
    context_manager.default_local_file_access_provider = provider
    context_manager.FlyteContextManager.initialize()

    for logger in (loggers.logger, loggers.user_space_logger, loggers.developer_logger):
        logger.handlers.clear()
    loggers.initialize_global_loggers()
    if os.environ.get(loggers.LOGGING_RICH_FMT_ENV_VAR) == "0":
        sys.excepthook = sys.__excepthook__


def run_program(script: str, argv: list[str]) -> int:
    """Run a console script as the interpreter would, or the one that it asks to be replaced by; gives its exit code."""
    entrypoint: Any = importlib.import_module("flytekit.bin.entrypoint")

    bin_directory, base_path = os.path.dirname(script), list(sys.path)
    entrypoint._run_subprocess = exec_instead(bin_directory, entrypoint._run_subprocess)
    while True:
        enter(script, argv, base_path)
        try:
            with open(script, "rb") as file:
                source = file.read()
            exec(compile(source, script, "exec"), sys.modules["__main__"].__dict__)
            return 0
        except Exec as replacement:
            os.environ.clear()
            os.environ.update(replacement.env)
            argv = replacement.argv
            script = os.path.join(bin_directory, os.path.basename(argv[0]))
        except SystemExit as end:
            return exit_code(end)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
            return 1


def exec_instead(bin_directory: str, run_subprocess: Callable[..., int]) -> Callable[..., int]:
    """In place of flytekit's way to start a process: entry points of this environment are run in this process."""

    def run(cmd: Sequence[Any], env: dict[str, str] | None = None) -> int:
        name = os.path.basename(cmd[0]) if cmd else ""
        path = (env or os.environ).get("PATH")
        if name in ENTRYPOINTS and shutil.which(cmd[0], path=path) == os.path.join(bin_directory, name):
            raise Exec([str(part) for part in cmd], dict(env or os.environ))
        return run_subprocess(cmd, env)

    return run


def enter(script: str, argv: list[str], base_path: list[str]) -> None:
    """Arguments, import path and `__main__` as a fresh interpreter has them when it begins with `script`."""
    sys.argv = [script, *argv[1:]]
    interpreter: Any = sys
    interpreter.orig_argv = [sys.executable, *sys.argv]
    given = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    path = [os.path.dirname(os.path.realpath(script))]
    for each in [*given, *base_path]:
        if each not in path[1:]:
            path.append(each)
    sys.path[:] = path
    main: Any = types.ModuleType("__main__")
    main.__file__ = script
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main


def exit_code(end: SystemExit) -> int:
    """The code that the interpreter would exit with."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def leave(code: int) -> NoReturn:
    """End as the interpreter does: wait for threads, run exit handlers, flush; but leave the memory to the system."""
    try:
        vars(threading)["_shutdown"]()
        vars(atexit)["_run_exitfuncs"]()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = code or 120
    finally:
        os._exit(code)
