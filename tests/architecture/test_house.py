"""The rooms of the house: who imports whom, what every port has, and that what the docs say exists."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests" / "conformance"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

SUITES = {
    "PodLauncher": "pods",
    "BlobStore": "blobs",
    "Clock": "clock",
    "Notifier": "notifier",
    "Queue": "queue",
    "Store": "store",
}
"""The conformance suite of each port."""


def test_imports_keep_to_the_rooms() -> None:
    lint = str(Path(sys.executable).parent / "lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_port_has_a_conformance_suite() -> None:
    ports = {name for path in _port_files() for name in _protocols(path)} - {"Transaction"}  # a part of Store
    assert ports == set(SUITES)
    for port, suite in SUITES.items():
        assert list(CONFORMANCE.glob(f"{suite}*_test.py")), f"{port} has no suite"


def _port_files() -> list[Path]:
    return [
        ROOT / "services/core/sailplane_core/ports.py",
        ROOT / "services/runtime/sailplane_runtime/store/port.py",
    ]


def _protocols(path: Path) -> list[str]:
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if any(isinstance(b, ast.Name) and b.id == "Protocol" for b in node.bases)]


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (document.name, target)
        for document in DOCUMENTS
        for code in _code(document)
        for target in re.findall(r"\bmake ([a-z0-9-]+)", code)
    }
    assert {(document, target) for document, target in named if target not in targets} == set()
    assert {("README.md", "demo"), ("README.md", "test")} <= named


def test_commands_in_the_documents_exist() -> None:
    files = [ROOT / "pyproject.toml", ROOT / "sdk/pyproject.toml"]
    projects = [tomllib.loads(file.read_text())["project"] for file in files]
    commands = {name for project in projects for name in project["entry-points"]["sailplane.commands"]}
    named = {
        command
        for document in DOCUMENTS
        for code in _code(document)
        for command in re.findall(r"(?:^|[\s/])sailplane ([a-z][a-z-]*)", code)
    }
    assert named - commands == set()


def test_paths_in_the_documents_exist() -> None:
    missing = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text())
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert missing == []


def _code(document: Path) -> list[str]:
    """What a document sets as code."""
    text = document.read_text()
    fenced = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    return [*fenced, *re.findall(r"^ {4}.*$", text, re.MULTILINE), *re.findall(r"`([^`\n]+)`", text)]
