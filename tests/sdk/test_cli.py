"""The command line: a group whose members come from whatever is installed."""

from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner
from sailplane import cli


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, arguments)
    return result.exit_code, result.output


def test_version_names_the_distributions() -> None:
    code, output = invoke("version")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["sailplane", "sailplane-server", "sailplane-protos"]


def test_help_lists_the_commands() -> None:
    code, output = invoke("--help")
    assert code == 0
    assert {"up", "version"} <= {line.split()[0] for line in output.partition("Commands:")[2].splitlines() if line}


def test_an_unknown_command_is_said_so() -> None:
    code, output = invoke("fly")
    assert code == 2
    assert "No such command 'fly'" in output


def test_an_entry_point_that_is_no_command_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(group: str) -> list[EntryPoint]:
        return [EntryPoint("odd", "math:pi", group)]

    monkeypatch.setattr(cli, "entry_points", installed)
    group = cli.Commands("sailplane")
    with pytest.raises(click.ClickException, match="math:pi is not a command"):
        group.get_command(click.Context(group), "odd")
