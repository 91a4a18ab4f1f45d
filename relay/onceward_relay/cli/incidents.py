"""`onceward incidents`: what waits for a person."""

from datetime import datetime
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.cells import print_history
from onceward_relay.cli.deciding import actor_option, do, reason_option
from onceward_relay.cli.options import (
    Once,
    connected,
    database_option,
    json_option,
    limit_option,
    print_json,
    print_table,
)
from onceward_relay.cli.times import moment_to_come
from onceward_relay.cli.verbs import noted
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import ago, inert, money


@click.group()
def incidents() -> None:
    """Look at what waits for a person, and take it."""


@incidents.command("list")
@database_option
@click.option("--group", cls=Once, help="Only of this group.")
@click.option("--assignee", cls=Once, metavar="NAME", help="Only what this person has taken.")
@click.option("--snoozed", is_flag=True, help="Also what was set aside for a while.")
@limit_option
@json_option
def list_(database: str, group: str | None, assignee: str | None, limit: int, *, snoozed: bool, as_json: bool) -> None:
    """List what is open, the most severe and oldest first."""
    which = {"group": group, "assignee": assignee, "snoozed": snoozed, "limit": limit}
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay.people", "incidents"), which).fetchall()
    if as_json:
        print_json(rows)
        return
    headings = ("incident", "severity", "kind", "since", "ref", "value", "about", "what happened")
    print_table(headings, [_cells(row) for row in rows], "nothing waits for a person")


@incidents.command()
@database_option
@limit_option
@json_option
def groups(database: str, limit: int, *, as_json: bool) -> None:
    """Show what is open in groups: what has one cause can often be decided at once."""
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay.people", "incident_groups"), {"limit": limit}).fetchall()
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            row["grp"],
            row["kind"],
            row["number"],
            ", ".join(row["values"] or ()),
            ago(row["oldest"], row["now"]),
            row["act_before"] or "",
        )
        for row in rows
    ]
    print_table(("group", "kind", "number", "value", "oldest", "act before"), cells, "nothing waits for a person")


@incidents.command()
@click.argument("incident", type=click.UUID)
@database_option
@json_option
def show(incident: UUID, database: str, *, as_json: bool) -> None:
    """Show INCIDENT and what was decided and noted about it."""
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay.people", "incident"), {"id": incident}).fetchone()
        history = connection.execute(
            statement("onceward_relay.people", "history"), {"kind": "incident", "id": str(incident)}
        ).fetchall()
    if row is None:
        raise click.ClickException(f"there is no incident {incident}")
    if as_json:
        print_json({**row, "history": history})
        return
    taken, snoozed, closed = row["assignee"] or "nobody", row["snoozed_until"] or "no", row["closed_at"] or "no"
    for line in (
        f"{row['title']}",
        "",
        f"  incident    {row['id']}",
        f"  kind        {row['kind']}, severity {row['severity']}, {row['times']} times",
        f"  group       {row['grp']}",
        f"  ref         {row['ref'] or 'none'}",
        f"  value       {money(row['amount'], row['currency']) or 'none'}",
        f"  about       {_subject(row)}",
        f"  opened      {row['opened_at'].isoformat(timespec='seconds')}",
        f"  act before  {row['act_before'] or 'no time is set'}",
        f"  taken by    {taken}",
        f"  snoozed     {snoozed}",
        f"  closed      {closed}{' by ' + row['closed_by'] if row['closed_by'] else ''}",
        "",
    ):
        click.echo(inert(line))
    print_history(history, "nobody has done anything about it yet")


@incidents.command()
@click.argument("incident", type=click.UUID)
@database_option
@actor_option
def claim(incident: UUID, database: str, actor: str) -> None:
    """Take INCIDENT, so that others know that you are at it."""
    do(database, Attempt(actor, "claim", "incident", str(incident)), "claim", incident=incident, actor=actor)
    click.echo(inert(f"{actor} has taken it"))


@incidents.command()
@click.argument("incident", type=click.UUID)
@database_option
@actor_option
def unclaim(incident: UUID, database: str, actor: str) -> None:
    """Give INCIDENT back, whoever has taken it."""
    do(database, Attempt(actor, "unclaim", "incident", str(incident)), "unclaim", incident=incident, actor=actor)
    click.echo("nobody has it now")


@incidents.command()
@click.argument("incident", type=click.UUID)
@database_option
@click.option(
    "--until", required=True, type=moment_to_come, metavar="TIME", help="2026-05-01T12:00:00Z, or 2h for in two hours."
)
@reason_option
@actor_option
def snooze(incident: UUID, database: str, until: datetime, reason: str, actor: str) -> None:
    """Leave INCIDENT out of the list for a while: at most 30 days, and not past its "act before"."""
    attempt = Attempt(actor, "snooze", "incident", str(incident), reason)
    do(database, attempt, "snooze", incident=incident, until=until, actor=actor, reason=reason)
    click.echo(f"left out until {until.isoformat(timespec='seconds')}")


@incidents.command()
@click.argument("incident", type=click.UUID)
@database_option
@reason_option
@actor_option
def close(incident: UUID, database: str, reason: str, actor: str) -> None:
    """Close INCIDENT, if nothing but a person can: a conflict, a late signal, or what is unmatched."""
    attempt = Attempt(actor, "close", "incident", str(incident), reason)
    do(database, attempt, "close_incident", incident=incident, actor=actor, reason=reason)
    click.echo("closed")


incidents.add_command(noted("incident"))


def _cells(row: DictRow) -> tuple[object, ...]:
    times = f", {row['times']} times" if row["times"] > 1 else ""
    return (
        row["id"],
        row["severity"],
        row["kind"],
        ago(row["opened_at"], row["now"]) + times,
        row["ref"] or "",
        money(row["amount"], row["currency"]),
        _subject(row),
        "; ".join([row["title"], *_remarks(row)]),
    )


def _remarks(row: DictRow) -> list[str]:
    found = [f"act before {row['act_before'].isoformat(timespec='minutes')}"] if row["act_before"] else []
    return [*found, f"{row['assignee']} is at it"] if row["assignee"] else found


def _subject(row: DictRow) -> str:
    kind = next(kind for kind in ("call", "flow", "message") if row[f"{kind}_id"])
    return f"{kind} {row[f'{kind}_id']}"
