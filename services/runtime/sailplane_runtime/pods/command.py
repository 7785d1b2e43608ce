"""What a Pod's primary container comes to as one process of this machine. Values only, but for looking up programs.

A process sees the machine's own file system, not an image's. So a container that reads its inputs from files gets
directories of its own in place of the paths it names, and code that is to be unpacked somewhere below `/` is
unpacked in the attempt's working directory.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sailplane_core.dataconfig import ANNOTATION, DataConfig
from sailplane_core.errors import InvalidRequest
from sailplane_core.ports import Pod

from .attempt_files import AttemptFiles
from .capacity import Share
from .python_envs import PythonEnv, PythonEnvs

LANG = "C.UTF-8"
FAST_EXECUTE = "pyflyte-fast-execute"

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start. `program` is the executable's path, "" when there's none of that name.

    `warm_script` is the Python entry point that a fork may run instead of executing `program`, or "".
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    program: str
    warm_script: str
    python: PythonEnv
    share: Share
    data_config: DataConfig | None

    @property
    def not_found(self) -> str:
        """The message for a command that does not exist."""
        return (
            f"command {self.argv[0]!r} not found in the Python environment {self.python.prefix} "
            f"nor elsewhere on its PATH ({self.env['PATH']})"
        )


def command_of(pod: Pod, files: AttemptFiles, envs: PythonEnvs, path: str) -> Command:
    """The command of a Pod. `path` is searched after the Python environment's own programs.

    Raises `InvalidRequest` for a Pod that needs what a local process does not have.
    """
    container = _primary(pod)
    python = envs.of(str(container.get("image", "")))
    given = _given_env(container)
    argv = cast("list[str]", [*(container.get("command") or []), *(container.get("args") or [])])
    if not argv:
        raise InvalidRequest(
            f"container {container['name']!r} states no command; its image's own is not known to a local process"
        )
    argv = [expand(each, given) for each in argv]
    data_config = data_config_of(pod)
    if data_config is not None:
        paths = {data_config.input_path: str(files.inputs), data_config.output_path: str(files.outputs)}
        argv = [replace_paths(each, paths) for each in argv]
        given = {name: replace_paths(value, paths) for name, value in given.items()}
    if Path(argv[0]).name == FAST_EXECUTE:
        argv = _unpack_here(argv, files)
    env = {
        "HOME": str(files.work),
        "TMPDIR": str(files.tmp),
        "LANG": LANG,
        "VIRTUAL_ENV": str(python.prefix),
        **given,
        "PATH": f"{python.bin}{os.pathsep}{given.get('PATH', path)}",
    }
    _check_passable(argv, env)
    program = _find(argv[0], files.work, env["PATH"])
    warm_script = python.warm_script(program, given)
    return Command(tuple(argv), env, program, warm_script, python, Share.of(container), data_config)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' expansion: `$(NAME)` is the variable's value, or stays if there's none; `$$` is one `$`."""

    def replacement(match: "re.Match[str]") -> str:
        if match[1] is None:
            return "$"
        return env.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def replace_paths(text: str, paths: Mapping[str, str]) -> str:
    """`text` with each of the directories replaced, where it stands as a path or as the beginning of one."""
    for before in sorted(paths, key=len, reverse=True):
        directory = before.rstrip("/")
        if directory:
            after = paths[before]
            text = re.sub(rf"(?<![\w./-]){re.escape(directory)}(?![\w.-])", lambda _, after=after: after, text)
    return text


def _primary(pod: Pod) -> dict[str, Any]:
    spec = cast("dict[str, Any]", pod.manifest["spec"])
    if spec.get("initContainers"):
        raise InvalidRequest("the Pod has init containers, which run on Kubernetes only")
    for container in cast("list[dict[str, Any]]", spec.get("containers") or []):
        if container.get("name") == pod.primary_container:
            return container
    raise InvalidRequest(f"the Pod has no container {pod.primary_container!r}")


def _given_env(container: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in cast("list[dict[str, Any]]", container.get("env") or []):
        if "valueFrom" in each:
            raise InvalidRequest(f"variable {each['name']} comes from {', '.join(each['valueFrom'])}: Kubernetes only")
        found[each["name"]] = expand(str(each.get("value", "")), found)
    return found


def _check_passable(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Raises `InvalidRequest` for what no process of any system can be given. Values may be secret: none is told."""
    for index, argument in enumerate(argv):
        if "\0" in argument:
            raise InvalidRequest(f"argument {index} of the command contains a NUL character")
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise InvalidRequest(f"no environment variable can have the name {name!r}")
        if "\0" in value:
            raise InvalidRequest(f"the environment variable {name} contains a NUL character")


def data_config_of(pod: Pod) -> DataConfig | None:
    """What the container wants of its data, if it has no SDK."""
    annotations = cast("dict[str, str]", pod.manifest.get("metadata", {}).get("annotations") or {})
    return DataConfig.load(annotations[ANNOTATION]) if ANNOTATION in annotations else None


def _unpack_here(argv: list[str], files: AttemptFiles) -> list[str]:
    for index, each in enumerate(argv[:-1]):
        if each == "--":
            break
        if each == "--dest-dir" and Path(argv[index + 1]).is_absolute():
            return [*argv[: index + 1], str(files.work), *argv[index + 2 :]]
    return argv


def _find(program: str, work: Path, path: str) -> str:
    if os.sep in program:
        candidate = work / program
        return str(candidate) if candidate.exists() else ""
    return shutil.which(program, path=path) or ""
