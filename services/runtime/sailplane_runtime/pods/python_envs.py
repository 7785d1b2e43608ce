"""Python environments in place of images: which one a container's image stands for, and what it has to run."""

import fnmatch
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import sailplane_zygote as zygote

LOAD_TIME_PREFIXES = (
    *("PYTHON", "LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "GLIBC_"),
    *("OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOTO_", "NUMEXPR_", "ARROW_", "JE_ARROW_", "FSSPEC_", "GRPC_"),
)
"""Variables with these beginnings are read when an interpreter or a library is loaded, so a fork comes too late."""

LOAD_TIME_NAMES = frozenset(
    {"FLYTE_PYTHON_PACKAGE_ROOT", "_F_P_WRITE_CHUNK_SIZE", "_F_TE_MAX_COROS", "_F_RUNTIME_PACKAGES"}
)
"""flytekit reads these while it is imported; the last one installs packages that an import before would hide."""

READ_AFTER_FORK = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED"})
"""And these a fork does follow."""


@dataclass(frozen=True, slots=True)
class PythonEnv:
    """A virtual environment or other Python installation: a directory with `bin/python` in it."""

    prefix: Path

    @property
    def bin(self) -> Path:
        """Its programs."""
        return self.prefix / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def can_fork(self) -> bool:
        """Whether it has an entry point that a zygote could run."""
        return self.python.exists() and any(_is_python_script(self.bin / name) for name in zygote.ENTRYPOINTS)

    def warm_script(self, program: str, env: Mapping[str, str]) -> str:
        """The entry point to run by fork, if `program` (a path) is one that a fork runs just as a process would.

        "" if it must be executed: because it's another program, or a variable in `env` works only from the start.
        """
        path = Path(program)
        if path.name not in zygote.ENTRYPOINTS or path.parent != self.bin:
            return ""
        if any(_is_read_at_load(name) for name in env) or not _is_python_script(path):
            return ""
        return program

    def packages(self) -> list[Path]:
        """Where its packages are installed."""
        return sorted(self.prefix.glob("lib/python3*/site-packages"))


@dataclass(frozen=True, slots=True)
class Installed:
    """Which packages were installed at one moment."""

    places: tuple[Path, ...]
    touched: tuple[int, ...]
    found: frozenset[tuple[str, int]]
    """By name and version, and when."""

    @classmethod
    def of(cls, env: PythonEnv) -> "Installed":
        """What is installed now."""
        places = tuple(env.packages())
        return cls(places, _touched(places), _found(places))

    def is_so_still(self) -> bool:
        """Whether the same is installed now. Costs next to nothing while nobody touches the directories."""
        return _touched(self.places) == self.touched or _found(self.places) == self.found


def _touched(places: tuple[Path, ...]) -> tuple[int, ...]:
    return tuple(place.stat().st_mtime_ns for place in places)


def _found(places: tuple[Path, ...]) -> frozenset[tuple[str, int]]:
    return frozenset(
        (entry.name, entry.stat().st_mtime_ns)
        for place in places
        for entry in place.iterdir()
        if entry.suffix in (".dist-info", ".pth", ".egg-link")
    )


class PythonEnvs:
    """From images to environments: the first glob that matches counts, and the rest falls to the default."""

    def __init__(self, by_image_glob: Mapping[str, Path], default: Path | None = None) -> None:
        self._by_image_glob = {glob: PythonEnv(Path(path).absolute()) for glob, path in by_image_glob.items()}
        self.default = self._by_image_glob.pop("*", None) or PythonEnv(Path(default or sys.prefix))

    def of(self, image: str) -> PythonEnv:
        """The environment that stands for this image."""
        for glob, env in self._by_image_glob.items():
            if fnmatch.fnmatchcase(image, glob):
                return env
        return self.default


def _is_read_at_load(name: str) -> bool:
    if name in READ_AFTER_FORK:
        return False
    return name in LOAD_TIME_NAMES or name.startswith(LOAD_TIME_PREFIXES)


def _is_python_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.readline(512)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first
