"""Generates the Python package `sailplane_protos` from the .proto files beside this script.

The schema's package is `sailplane`, which is also the import package of the SDK, so the Python modules live under
another name: `sailplane/core/literals.proto` becomes `sailplane_protos.core.literals_pb2`. Only Python's imports are
renamed; descriptors keep the names of the schema, which are what goes over the wire.

Generated Python has no comments, so they are kept beside it, as JSON by full name.

Run as `python protos/generate.py`, and by `hatch_build.py` when the distribution is built or installed. If nothing
changed since the last run, it does nothing.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "sailplane"
PACKAGE = HERE / "python" / "sailplane_protos"

_TOOLS = ("grpcio-tools", "mypy-protobuf", "googleapis-common-protos")
_STAMP = ".generated"
COMMENTS = "comments.json"
"""In the package: what the schema says in words about each of its names, for documents that are made of descriptors."""

# The schema's name also occurs in strings (descriptors, method paths), which must stay: only imports are renamed.
_IMPORT = re.compile(r"^from sailplane\.", re.MULTILINE)
_SERVICE = re.compile(r"^service \w", re.MULTILINE)


def main() -> None:
    """Generate everything anew, unless the sources, the tools and this script are those of the last run."""
    sources = sorted(SCHEMA.rglob("*.proto"))
    stamp = _stamp([Path(__file__), *sources])
    if _read(PACKAGE / _STAMP) == stamp:
        return
    PACKAGE.parent.mkdir(exist_ok=True)
    # Generated beside the old package and then put in its place, so that a run that fails changes nothing.
    with tempfile.TemporaryDirectory(dir=PACKAGE.parent) as scratch:
        generated = Path(scratch) / "sailplane"
        _protoc(sources, "python", "mypy", out=Path(scratch))
        with_services = [path for path in sources if _SERVICE.search(path.read_text())]
        _protoc(with_services, "grpc_python", "mypy_grpc", out=Path(scratch))
        for path in [*generated.rglob("*.py"), *generated.rglob("*.pyi")]:
            path.write_text(_IMPORT.sub("from sailplane_protos.", path.read_text()))
        for folder in {path.parent for path in generated.rglob("*.py")}:
            (folder / "__init__.py").touch()
        (generated / "__init__.py").write_text(
            '"""The wire contract of Sailplane, generated from its .proto files."""\n'
        )
        (generated / "py.typed").touch()
        (generated / COMMENTS).write_text(json.dumps(_comments(sources, Path(scratch)), indent=0, sort_keys=True))
        (generated / _STAMP).write_text(stamp)
        if PACKAGE.exists():
            PACKAGE.rename(Path(scratch) / "old")
        generated.rename(PACKAGE)


def _protoc(sources: list[Path], *plugins: str, out: Path) -> None:
    outs = [f"--{plugin}_out={'quiet:' if plugin.startswith('mypy') else ''}{out}" for plugin in plugins]
    _run_protoc(sources, *outs)


def _run_protoc(sources: list[Path], *options: str) -> None:
    """Runs in a process of its own, because protoc keeps state from one call to the next."""
    import google.api

    google_protos = Path(next(iter(google.api.__path__))).parents[1]
    # Neither a virtual environment nor an isolated build has its scripts on PATH of necessity.
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{HERE}", f"-I{google_protos}", *options, *map(str, sources)],
        env={**os.environ, "PATH": os.pathsep.join(scripts)},
        check=True,
    )


def _comments(sources: list[Path], scratch: Path) -> dict[str, str]:
    """What stands above each message, field, enum, value, service and RPC, by full name."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    described = scratch / "described.binpb"
    _run_protoc(sources, "--include_source_info", f"--descriptor_set_out={described}")
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(described.read_bytes()).file:
        for place in file.source_code_info.location:
            text = "\n".join(line.strip() for line in place.leading_comments.strip().splitlines())
            # A path is field numbers and indexes by turns: message_type, its third, field, its first.
            if text and len(place.path) % 2 == 0 and len(place.path) > 0:
                found[_full_name(file, list(place.path))] = text
    return found


def _full_name(file: Any, path: list[int]) -> str:
    names, part = [file.package], file
    for number, index in zip(path[::2], path[1::2], strict=True):
        part = getattr(part, part.DESCRIPTOR.fields_by_number[number].name)[index]
        names.append(part.name)
    return ".".join(names)


def _stamp(inputs: list[Path]) -> str:
    """A digest of all that decides the output: the given files and the versions of the tools."""
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(f"{path.relative_to(HERE)}\n".encode() + path.read_bytes())
    for tool in _TOOLS:
        digest.update(f"{tool} {importlib.metadata.version(tool)}\n".encode())
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    main()
