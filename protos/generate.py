"""Generates the Python package `sailplane_protos` from the .proto files beside this script.

The schema's package is `sailplane`, which is also the import package of the SDK, so the Python modules live under
another name: `sailplane/core/literals.proto` becomes `sailplane_protos.core.literals_pb2`. Only Python's imports are
renamed; descriptors keep the names of the schema, which are what goes over the wire.

Run as `python protos/generate.py`, and by `hatch_build.py` when the distribution is built or installed. If nothing
changed since the last run, it does nothing.
"""

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "sailplane"
PACKAGE = HERE / "python" / "sailplane_protos"

_TOOLS = ("grpcio-tools", "mypy-protobuf", "googleapis-common-protos")
_STAMP = ".generated"

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
        (generated / _STAMP).write_text(stamp)
        if PACKAGE.exists():
            PACKAGE.rename(Path(scratch) / "old")
        generated.rename(PACKAGE)


def _protoc(sources: list[Path], *plugins: str, out: Path) -> None:
    """Runs in a process of its own, because protoc keeps state from one call to the next."""
    import google.api

    google_protos = Path(next(iter(google.api.__path__))).parents[1]
    # Neither a virtual environment nor an isolated build has its scripts on PATH of necessity.
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    outs = [f"--{plugin}_out={'quiet:' if plugin.startswith('mypy') else ''}{out}" for plugin in plugins]
    subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{HERE}", f"-I{google_protos}", *outs, *map(str, sources)],
        env={**os.environ, "PATH": os.pathsep.join(scripts)},
        check=True,
    )


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
