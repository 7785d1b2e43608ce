"""The command `sailplane`: a group whose members come from every distribution that is installed.

A member is an entry point of the group `sailplane.commands` that names a click command. Only the chosen one is
imported, so that no command pays for another's libraries, and the SDK needs to know no service.
"""

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

import click

COMMANDS = "sailplane.commands"


class Commands(click.Group):
    """The installed commands, by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in alphabetical order."""
        return sorted(self._installed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None if nobody offers it."""
        found = self._installed.get(cmd_name)
        if found is None:
            return None
        command = found.load()
        if not isinstance(command, click.Command):
            raise click.ClickException(f"{found.value} is not a command")
        return command

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=COMMANDS)}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Sailplane: typed, versioned workflows."""
