"""The command `sailplane version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click

DISTRIBUTIONS = ("sailplane", "sailplane-server", "sailplane-protos")


@click.command()
def version() -> None:
    """Print the versions of what is installed."""
    for distribution in DISTRIBUTIONS:
        try:
            click.echo(f"{distribution} {version_of(distribution)}")
        except PackageNotFoundError:
            continue  # the server and its contract are an extra
