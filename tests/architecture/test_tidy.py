"""What a reader may rely on everywhere, checked over the tracked files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 500
LOCKS = ("requirements.lock", "build-requirements.lock")
PRODUCT = ("services/", "sdk/", "protos/")


def tracked() -> list[str]:
    """Paths of the files under version control, and of those that could be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("these files are not under version control")
    return [path for path in listed if (ROOT / path).is_file()]


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path.endswith(suffixes) and path not in LOCKS and path != "tests/architecture/test_tidy.py":
            yield path, (ROOT / path).read_text(encoding="utf-8")


def lines_with(pattern: str, *suffixes: str) -> list[str]:
    found = re.compile(pattern)
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts(*suffixes)
        for number, line in enumerate(text.splitlines(), 1)
        if found.search(line)
    ]


def test_files_are_short_enough_to_read() -> None:
    lengths = {path: text.count("\n") for path, text in texts(".py", ".md", ".toml", "Makefile")}
    assert {path: length for path, length in lengths.items() if length > LINES_MAX} == {}


def test_nothing_is_left_for_later() -> None:
    words = r"\b(TODO|FIXME|XXX|HACK)\b"
    assert lines_with(words, ".py", ".proto", ".md", ".toml", ".yaml", "Makefile") == []


def test_tests_are_skipped_only_with_a_reason() -> None:
    assert lines_with(r"mark\.skip(if)?\b(?!.*reason=)|pytest\.skip\(\s*\)", ".py") == []


def test_no_file_names_a_machine_or_an_index() -> None:
    suffixes = (".py", ".proto", ".md", ".toml", ".lock", ".yaml", ".json", ".sh", "Makefile", "run")
    assert lines_with(r"/home/\w|/Users/\w|/work/|/root/\w*\.|files\.pythonhosted\.org", *suffixes) == []
    for lock in LOCKS:
        text = (ROOT / lock).read_text()
        assert re.findall(r"https?://|--(extra-)?index-url|file:", text) == []


def test_every_module_says_what_it_holds() -> None:
    silent = [
        path
        for path, text in texts(".py")
        if text.strip() and "/migrations/versions/" not in path and ast.get_docstring(ast.parse(text)) is None
    ]
    assert silent == []


def test_every_setting_says_what_it_means() -> None:
    """Each field of a settings group is followed by its documentation."""
    undocumented: list[str] = []
    for path, text in texts(".py"):
        if not path.startswith(PRODUCT):
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
                undocumented += [f"{path}: {node.name}.{field}" for field in _bare_fields(node)]
    assert undocumented == []


def _bare_fields(group: ast.ClassDef) -> list[str]:
    bare: list[str] = []
    for statement, following in zip(group.body, [*group.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
            bare.append(statement.target.id)
    return bare
