"""`onceward calls`: the ledger of external calls."""

import json
from datetime import UTC
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.ledger.terms import Facts, Terms, way_out
from onceward.sqlfiles import statement
from onceward_relay.cli.options import (
    Once,
    ago,
    connected,
    database_option,
    inert,
    json_option,
    print_json,
    print_table,
)

STATES = ("pending", "in_flight", "in_doubt", "succeeded", "failed")


@click.group()
def calls() -> None:
    """Look at the ledger of external calls."""


@calls.command("list")
@database_option
@click.option("--state", cls=Once, type=click.Choice(STATES), help="Only calls in this state.")
@click.option("--ref", cls=Once, help="Only calls of this business reference.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most so many, the newest."
)
@json_option
def list_(database: str, state: str | None, ref: str | None, limit: int, *, as_json: bool) -> None:
    """List calls, the newest first."""
    with connected(database) as connection:
        query = {"state": state, "ref": ref, "limit": limit}
        rows = connection.execute(statement("onceward_relay", "calls"), query).fetchall()
    if as_json:
        print_json(rows)
        return
    print_table(
        ("call", "operation", "ref", "value", "state", "attempts", "since", "what is known"),
        [_cells(row) for row in rows],
        "no such calls",
    )


@calls.command()
@database_option
@click.argument("call", type=click.UUID)
@json_option
def show(database: str, call: UUID, *, as_json: bool) -> None:
    """Show a call: what is known of it, why nothing was sent again, and its attempts."""
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay", "call"), {"id": call}).fetchone()
        attempts = connection.execute(statement("onceward_relay", "call_attempts"), {"id": call}).fetchall()
    if row is None:
        raise click.ClickException(f"there is no call {call}")
    if as_json:
        print_json({**row, "verdict": verdict(row), "timeline": attempts})
        return
    for line in (verdict(row), *_facts(row)):
        click.echo(inert(line))
    print_table(
        ("no", "began", "kind", "worker", "status", "verdict", "what it says"),
        [_moment(each, row) for each in attempts],
        "no attempt yet",
    )


def verdict(row: DictRow) -> str:
    """Return what is known of a call, in one sentence."""
    what = f"{row['provider']}/{row['operation']}"
    match row["state"]:
        case "succeeded":
            return f"{what} took effect (known by {row['settled_by']}, reference {row['provider_ref'] or 'none'})."
        case "failed":
            return f"{what} had no effect and will have none: {row['error_text']}."
        case "pending":
            return f"{what} has had no effect yet and will be sent again: {row['error_text']}."
        case "in_flight":
            return f"{what} is being made by {row['worker']}."
        case _ if row["in_doubt_because"]:
            return f"{row['in_doubt_because']}."
        case _:
            return f"{what} may or may not have taken effect ({row['error_text']}); {_next_move(row)}."


def _next_move(row: DictRow) -> str:
    """Return what code will do with a call in doubt and why nothing else, if its provider's scope is still the same."""
    moments = {name: row[name].astimezone(UTC) for name in ("now", "first_sent_at")}
    facts = Facts(**moments, scope=row["scope"], sends=row["sends"], refused_now=row["last_verdict"] == "rejected")
    return way_out(Terms.stored(row), facts, row["scope"]).why


def _facts(row: DictRow) -> list[str]:
    terms = {
        "never": "no idempotency key",
        "same_key": f"idempotency key, kept {row['key_lifetime']}",
        "always": "repeatable",
    }
    flow = (
        f"{row['flow_name']} {row['flow_key']} ({row['flow_state']}), step {row['step']}" if row["flow_id"] else "none"
    )
    next_move = (
        row["due_at"].isoformat()
        if row["due_at"]
        else "none: a person settles it"
        if row["state"] == "in_doubt"
        else "none"
    )
    return [
        "",
        f"  call       {row['id']}",
        f"  state      {row['state']}",
        f"  ref        {row['ref'] or 'none'}",
        f"  value      {_value(row) or 'none'}",
        f"  key        {row['key']} in scope {row['scope']}",
        f"  flow       {flow}",
        f"  provider   {terms[row['repeat']]}; lookup: {row['lookup']}",
        f"  next move  {next_move}",
        f"  request    {json.dumps(row['request'])}",
        f"  result     {json.dumps(row['result'])}",
        "",
    ]


def _cells(row: DictRow) -> tuple[object, ...]:
    what = f"{row['provider']}/{row['operation']}"
    since = ago(row["created_at"], row["now"])
    return row["id"], what, row["ref"] or "", _value(row), row["state"], row["attempts"], since, row["error_text"] or ""


def _moment(attempt: DictRow, row: DictRow) -> tuple[object, ...]:
    outcome = attempt["verdict"] or ("under way" if row["state"] == "in_flight" else "never came back")
    began = attempt["began_at"].isoformat(timespec="milliseconds")
    verdict = f"{outcome} (late)" if attempt["late"] else outcome
    return (
        attempt["no"],
        began,
        attempt["kind"],
        attempt["worker"],
        attempt["http_status"] or "",
        verdict,
        attempt["detail"] or "",
    )


def _value(row: DictRow) -> str:
    return "" if row["amount"] is None else f"{row['amount'].normalize():f} {row['currency']}"
