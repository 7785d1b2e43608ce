"""Makes the lock files: every package that a development environment installs, with its hashes.

    requirements.lock         what the distributions and the group `dev` need
    build-requirements.lock   what building the distributions needs

Both are made for every platform at once and name no package index. Run it with `make lock`; arguments go to
`uv pip compile`, for instance `--upgrade-package grpcio`.
"""

import os
import sys
import tempfile
import tomllib
from pathlib import Path

import uv_as_pip

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = ("pyproject.toml", "protos/pyproject.toml", "sdk/pyproject.toml")
OWN = ("sailplane", "sailplane-protos", "sailplane-server")


def main() -> None:
    """Write both."""
    _compile("requirements.lock", [*PROJECTS, "--group", "dev"])
    with tempfile.NamedTemporaryFile("w", suffix=".in") as needed:
        for project in PROJECTS:
            build = tomllib.loads((ROOT / project).read_text())["build-system"]
            needed.write("\n".join(build["requires"]) + "\n")
        needed.flush()
        _compile("build-requirements.lock", [needed.name, "--no-annotate"])


def _compile(lock: str, sources: list[str]) -> None:
    own = [option for name in OWN for option in ("--no-emit-package", name)]
    options = ["--quiet", "--universal", "--generate-hashes", "--python-version", "3.11", "--no-header"]
    options += ["--no-emit-index-url", "--no-emit-find-links", "--output-file", lock, *own]
    os.chdir(ROOT)
    if uv_as_pip.run("pip", "compile", *options, *sources, *sys.argv[1:]):
        sys.exit(f"{lock} could not be made")


if __name__ == "__main__":
    main()
