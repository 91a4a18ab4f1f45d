"""`onceward incidents`: what waits for a person."""

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.options import ago, connected, database_option, json_option, print_json, print_table


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
    cells = [
        (
            row["severity"],
            row["kind"],
            ago(row["opened_at"], row["now"]),
            row["times"],
            row["ref"] or "",
            _subject(row),
            row["title"],
        )
        for row in rows
    ]
    print_table(
        ("severity", "kind", "since", "times", "ref", "about", "what happened"), cells, "nothing waits for a person"
    )


def _subject(row: DictRow) -> str:
    kind = next(kind for kind in ("call", "flow", "message") if row[f"{kind}_id"])
    return f"{kind} {row[f'{kind}_id']}"
