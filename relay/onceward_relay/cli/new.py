"""`onceward new`: a service of one's own, from the template."""

from pathlib import Path

import click

from onceward_relay import template
from onceward_relay.cli.options import Once


@click.command()
@click.argument("name")
@click.option(
    "--in",
    "parent",
    cls=Once,
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="Where its folder is made.",
)
def new(name: str, parent: Path) -> None:
    """Make a folder NAME with a small complete service: the template, under that name.

    NAME becomes the Python package: lower-case letters, digits and underscores, as parcel_desk.
    """
    made = template.copy(name, parent / name)
    click.echo(f"{made} is a service of your own; {made / 'README.md'} says how to test and run it")
