"""`onceward audit`: what people decided, and the proof that nothing of it was changed."""

import re

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.options import (
    Once,
    connected,
    database_option,
    json_option,
    limit_option,
    print_json,
    print_table,
)
from onceward_relay.people.words import inert


@click.group()
def audit() -> None:
    """Look at what people decided, and prove that nothing of it was changed."""


@audit.command("list")
@database_option
@click.option("--actor", cls=Once, help="Only of this person.")
@click.option("--action", cls=Once, help="Only this: decision.propose, call.reveal, denied and so on.")
@click.option("--subject", cls=Once, metavar="ID", help="Only about this call, flow, incident and so on.")
@limit_option
@json_option
def list_(
    database: str, actor: str | None, action: str | None, subject: str | None, limit: int, *, as_json: bool
) -> None:
    """List entries, the newest first."""
    which = {"actor": actor, "action": action, "subject": subject, "limit": limit}
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay.people", "audit"), which).fetchall()
    if as_json:
        print_json([{**row, "hash": bytes(row["hash"]).hex()} for row in rows])
        return
    print_table(("no", "when", "who", "role", "what", "about", "why"), [_cells(row) for row in rows], "no such entries")


@audit.command()
@database_option
@click.option(
    "--head",
    cls=Once,
    metavar="NUMBER:HASH",
    help="What was kept of an earlier verification: it must still stand there.",
)
@json_option
def verify(database: str, head: str | None, *, as_json: bool) -> None:
    """Recompute every entry's hash from the first on, and say up to which number and hash all is as it was written.

    A changed entry and one that is missing in the middle show. That some were cut off at the end shows by --head, so
    keep what this prints somewhere else. Exit status 1: something was changed.
    """
    number, digest = _head(head)
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay.people", "audit_chain"), {"head": number}).fetchone()
    assert row is not None
    wrong = _wrong(row, number, digest)
    verified = {"entries": row["entries"], "number": row["number"], "hash": row["hash"]}
    if as_json:
        print_json({"ok": wrong is None, "wrong": wrong, **verified})
    elif wrong is not None:
        click.echo(f"BROKEN: {wrong}")
    elif not row["entries"]:
        click.echo("the audit is empty")
    else:
        click.echo(f"ok: {row['entries']:,} entries, verified up to {row['number']}:{row['hash']}")
    raise SystemExit(1 if wrong else 0)


def _head(text: str | None) -> tuple[int | None, str | None]:
    if text is None:
        return None, None
    if found := re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64})", text.strip().lower()):
        return int(found[1]), found[2]
    raise click.BadParameter("must be a number and a hash, as verify prints them: 17:3f9a...", param_hint="--head")


def _wrong(row: DictRow, number: int | None, digest: str | None) -> str | None:
    if row["broken"] is not None:
        return f"entry {row['broken']} {row['why']}; what stands before it is as it was written"
    if number is not None and row["head_hash"] is None:
        return f"the audit ends at {row['number'] or 0}, but had an entry {number}: its end was cut off"
    if digest != row["head_hash"]:
        return f"entry {number} is another than it was: the audit was written anew"
    return None


def _cells(row: DictRow) -> tuple[object, ...]:
    about = inert(f"{row['subject_kind']} {row['subject']}")
    return (
        row["no"],
        row["at"].isoformat(timespec="seconds"),
        row["actor"],
        row["db_role"],
        row["action"],
        about,
        row["reason"],
    )
