"""Runs the environment's uv with pip's settings: which index this machine uses, and which certificates.

uv does not read pip's settings, and a machine's package index is nearly always told to pip.

    .venv/bin/python tools/uv_as_pip.py pip compile pyproject.toml
"""

import ast
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# pip's setting -> the variable by which uv is told the same
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
# pip reads them in this order, and what comes later counts more: for all commands, for `install`, the environment.
SECTIONS = ("global", "install", ":env:")


def run(*arguments: str) -> int:
    """uv with these arguments, on the environment of the Python that runs this; its exit code."""
    # What uv was told already stays.
    environment = {**as_variables(pip_settings()), **os.environ, "VIRTUAL_ENV": sys.prefix}
    return subprocess.run([sys.executable, "-m", "uv", *arguments], env=environment, check=False).returncode


def pip_settings() -> dict[str, list[str]]:
    """All that pip was told, in files or in the environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for section in SECTIONS:
        for key, value in re.findall(rf"^{section}\.([a-z-]+)=(['\"].*)$", text, re.MULTILINE):
            found[key] = str(ast.literal_eval(value)).split()
    return found


def as_variables(settings: Mapping[str, list[str]]) -> dict[str, str]:
    """The same for uv."""
    told = {VARIABLES[key]: values for key, values in settings.items() if key in VARIABLES}
    if links := told.get("UV_FIND_LINKS"):  # pip passes over folders that are not there, uv does not
        told["UV_FIND_LINKS"] = [link for link in links if "://" in link or Path(link).is_dir()]
    variables = {key: ("," if key == "UV_FIND_LINKS" else " ").join(values) for key, values in told.items() if values}
    if "UV_INDEX" in variables:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's way; which files are taken, the hashes decide
    if ssl.get_default_verify_paths().cafile:  # else uv's own certificates
        variables["UV_SYSTEM_CERTS"] = "true"
    return variables


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
