"""`onceward incidents`: what waits for a person."""

import click
from rich.console import Console
from rich.table import Table

from onceward.sqlfiles import statement
from onceward_relay.cli.options import ago, connected, database_option, inert, json_option, print_json


@click.group()
def incidents() -> None:
    """Look at what waits for a person."""


@incidents.command("list")
@database_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most so many.")
@json_option
def list_(database: str, limit: int, *, as_json: bool) -> None:
    """List what is open, the most severe and oldest first."""
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay", "incidents"), {"limit": limit}).fetchall()
    if as_json:
        print_json(rows)
        return
    table = Table("severity", "kind", "since", "times", "ref", "about", "what happened", box=None)
    for row in rows:
        subject = row["call_id"] or row["flow_id"] or row["message_id"]
        cells = (
            row["severity"],
            row["kind"],
            ago(row["opened_at"], row["now"]),
            row["times"],
            row["ref"] or "",
            subject,
        )
        table.add_row(*map(inert, (*cells, row["title"])))
    Console(markup=False, highlight=False).print(table if rows else "nothing waits for a person")
