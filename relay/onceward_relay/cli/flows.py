"""`onceward flows`: business processes made of steps."""

import json
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.cells import print_decisions, print_history, print_verbs
from onceward_relay.cli.options import (
    Once,
    connected,
    database_option,
    json_option,
    limit_option,
    print_json,
    print_table,
)
from onceward_relay.cli.verbs import decided, direct, noted
from onceward_relay.people.words import ago, inert, money

STATES = ("running", "waiting", "blocked", "completed", "undone", "closed")


@click.group()
def flows() -> None:
    """Look at flows; resume, pause, undo or close them.

    Every verb works on one FLOW, or on all that the open incidents of a group are about: first
    --all-of GROUP --dry-run FILE, then --from FILE.
    """


for command in (
    direct("flow", "resume", "Let workers carry on with FLOW, which is blocked or paused.", "resume"),
    direct("flow", "pause", "Keep workers from FLOW until it is resumed. A run that is under way ends first.", "pause"),
    decided("flow", "undo", "Reverse all that FLOW did, the last first; also if it has completed."),
    decided("flow", "close", "Give FLOW up as it stands: nothing more is done or undone."),
    noted("flow"),
):
    flows.add_command(command)


@flows.command("list")
@database_option
@click.option("--state", cls=Once, type=click.Choice(STATES), help="Only flows in this state.")
@click.option("--name", cls=Once, help="Only flows of this name.")
@click.option("--key", cls=Once, help="Only flows of this business key.")
@limit_option
@json_option
def list_(database: str, state: str | None, name: str | None, key: str | None, limit: int, *, as_json: bool) -> None:
    """List flows, the newest first."""
    with connected(database) as connection:
        which = {"state": state, "name": name, "key": key, "limit": limit}
        rows = connection.execute(statement("onceward_relay.people", "flows"), which).fetchall()
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["id"], row["name"], row["key"], _state(row), ago(row["created_at"], row["now"]), _trouble(row))
        for row in rows
    ]
    print_table(("flow", "name", "key", "state", "since", "why"), cells, "no such flows")


@flows.command()
@click.argument("flow", type=click.UUID)
@database_option
@json_option
def show(flow: UUID, database: str, *, as_json: bool) -> None:
    """Show FLOW: its steps, what happens next, what would be undone, and what may be done with it."""
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay.people", "flow"), {"id": flow}).fetchone()
        steps, decisions, history = (
            connection.execute(statement("onceward_relay.people", name), {"id": flow, "kind": "flow"}).fetchall()
            for name in ("flow_steps", "decisions_about", "history")
        )
    if row is None:
        raise click.ClickException(f"there is no flow {flow}")
    undo = [step for step in reversed(steps) if step["to_undo"]]
    if as_json:
        print_json({**row, "steps": steps, "undo": undo, "decisions": decisions, "history": history})
        return
    for line in _facts(row):
        click.echo(inert(line))
    print_table(
        ("step", "kind", "state", "value", "when", "what is known"), [_step(step) for step in steps], "no step yet"
    )
    if undo:
        click.echo("\nIf it is undone, in this order:")
        plan = [
            (
                step["step"],
                step["undo"] or "nothing: a person has to",
                json.dumps(step["undo_request"]),
                money(step["amount"], step["currency"]),
            )
            for step in undo
        ]
        print_table(("step", "by", "request", "value"), plan, "")
    print_decisions(decisions)
    print_history(history)
    print_verbs(row["verbs"], "flows", flow)


def _facts(row: DictRow) -> list[str]:
    return [
        f"{row['name']} {row['key']} {_sentence(row)}.",
        "",
        f"  flow       {row['id']}",
        f"  state      {_state(row)}",
        f"  next move  {_next_move(row)}",
        f"  pivot      {row['pivot_step'] or 'not passed'}",
        f"  failures   {row['failures']} in a row",
        f"  why        {_trouble(row) or 'nothing is wrong'}",
        f"  version    {row['version']}",
        "",
    ]


def _sentence(row: DictRow) -> str:
    if row["ended_at"]:
        return f"has ended as {row['state']}"
    undoing = "is being undone" if row["undoing"] else "goes on"
    match row["state"]:
        case "blocked":
            return f"{undoing.replace('goes on', 'stands still')} and needs a person"
        case "waiting":
            return f"{undoing.replace('goes on', 'waits')} for {', '.join(row['waits_for'] or ['a time'])}"
        case _:
            return f"{undoing} by itself"


def _next_move(row: DictRow) -> str:
    if row["paused_at"]:
        return f"none: it is paused since {row['paused_at'].isoformat(timespec='seconds')}"
    if row["due_at"]:
        return str(row["due_at"].isoformat(timespec="seconds"))
    return (
        "when what it waits for comes"
        if row["state"] == "waiting"
        else "none" + (": a person decides" if row["state"] == "blocked" else "")
    )


def _state(row: DictRow) -> str:
    marks = [
        mark
        for mark, is_so in (("undoing", row["undoing"]), ("paused", row["paused_at"]))
        if is_so and not row["ended_at"]
    ]
    return ", ".join([row["state"], *marks])


def _trouble(row: DictRow) -> str:
    """Return the last line of a traceback, or why it is undone."""
    return (row["error"] or row["undo_reason"] or "").strip().rpartition("\n")[2]


def _step(step: DictRow) -> tuple[object, ...]:
    when = step["at"].isoformat(timespec="seconds")
    return step["step"], step["kind"], step["state"], money(step["amount"], step["currency"]), when, step["known"] or ""
