"""`onceward calls`: the ledger of external calls."""

import json
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.call_verbs import applied, evidence, refund
from onceward_relay.cli.cells import print_decisions, print_evidence, print_history, print_undos, print_verbs
from onceward_relay.cli.deciding import actor_option, deciding, reason_option
from onceward_relay.cli.options import Once, connected, database_option, json_option, print_json, print_table
from onceward_relay.cli.statements import statement as by_statement
from onceward_relay.cli.verbs import decided, direct, noted
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.documents import readable
from onceward_relay.people.verdict import verdict
from onceward_relay.people.words import ago, inert, money

STATES = ("pending", "in_flight", "in_doubt", "accepted", "succeeded", "failed", "cancelled")


@click.group()
def calls() -> None:
    """Look at the ledger of external calls, and settle what code cannot.

    `show` says what may be done with a call, and why the rest may not. Every verb but applied works on one CALL, or on
    all that the open incidents of a group are about: first --all-of GROUP --dry-run FILE, then --from FILE.
    """


for command in (
    direct("call", "lookup", "Ask the provider what became of CALL, now.", "ask", what="lookup"),
    direct("call", "resend", "Send CALL once more, now, if that is safe.", "ask", what="resend"),
    applied,
    decided("call", "not_applied", "Settle CALL as failed: it took no effect, and will take none."),
    decided("call", "new_key", "Make CALL, which has failed, again under another key."),
    refund,
    decided("call", "accept_difference", "Take what the provider did other than CALL asked, and let its flow go on."),
    evidence,
    by_statement,
    noted("call"),
):
    calls.add_command(command)


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
        found = connection.execute(statement("onceward_relay.people", "calls"), query).fetchall()
    if as_json:
        print_json(found)
        return
    print_table(
        ("call", "operation", "ref", "value", "state", "attempts", "since", "what is known"),
        [_cells(row) for row in found],
        "no such calls",
    )


@calls.command()
@database_option
@click.argument("call", type=click.UUID)
@json_option
def show(database: str, call: UUID, *, as_json: bool) -> None:
    """Show a call: what is known of it, why nothing was sent again, its attempts, and what may be done with it."""
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay.people", "call"), {"id": call}).fetchone()
        parts = {
            name: connection.execute(statement("onceward_relay.people", query), {"id": call, "kind": "call"}).fetchall()
            for name, query in (
                ("timeline", "call_attempts"),
                ("undone_by", "call_undos"),
                ("evidence", "call_evidence"),
                ("decisions", "decisions_about"),
                ("history", "history"),
            )
        }
    if row is None:
        raise click.ClickException(f"there is no call {call}")
    if as_json:
        print_json({**row, "verdict": verdict(row), **parts})
        return
    for line in (verdict(row), *_facts(row)):
        click.echo(inert(line))
    print_table(
        ("no", "began", "kind", "worker", "status", "verdict", "what it says"),
        [_moment(each, row) for each in parts["timeline"]],
        "no attempt yet",
    )
    print_undos(parts["undone_by"])
    print_evidence(parts["evidence"])
    print_decisions(parts["decisions"])
    print_history(parts["history"])
    print_verbs(row["verbs"], "calls", call)


@calls.command()
@click.argument("call", type=click.UUID)
@database_option
@reason_option
@actor_option
@json_option
def reveal(call: UUID, database: str, reason: str, actor: str, *, as_json: bool) -> None:
    """Print what was sent and answered for CALL, and the evidence, unmasked. The audit says who asked, and why."""
    attempt = Attempt(actor, "reveal", "call", str(call), reason)
    with deciding(database) as desk, desk.attempting(attempt) as functions:
        found = functions.rows("reveal", call=call, actor=actor, reason=reason)
    if as_json:
        print_json([{"what": row["what"], **readable(bytes(row["content"]))} for row in found])
        return
    for row in found:
        content = readable(bytes(row["content"]))
        click.echo(f"{inert(row['what'])}:")
        for line in content.get("text", content.get("base64", "")).splitlines():
            click.echo(f"  {inert(line)}")


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
        f"  value      {money(row['amount'], row['currency']) or 'none'}",
        f"  key        {row['key']} in scope {row['scope']}",
        f"  flow       {flow}",
        f"  provider   {terms[row['repeat']]}; lookup: {row['lookup']}",
        f"  next move  {next_move}",
        f"  request    {_document(row['request'], row)}",
        f"  result     {_document(row['result'], row)}",
        f"  undo       {_undo(row)}",
        f"  version    {row['version']}",
        "",
    ]


def _cells(row: DictRow) -> tuple[object, ...]:
    what = f"{row['provider']}/{row['operation']}"
    since = ago(row["created_at"], row["now"])
    return (
        row["id"],
        what,
        row["ref"] or "",
        money(row["amount"], row["currency"]),
        row["state"],
        row["attempts"],
        since,
        row["error_text"] or "",
    )


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


def _document(document: object, row: DictRow) -> str:
    return "purged" if document is None and row["purged_at"] else json.dumps(document)


def _undo(row: DictRow) -> str:
    """Return what would be sent to reverse the call."""
    if row["undoes"]:
        return f"reverses call {row['undoes']} itself"
    if row["undo"] is None:
        return "none: the operation declares nothing that reverses it"
    if row["undo_request"] is None:
        return f"{row['provider']}/{row['undo']}, with a request that follows from the result"
    return f"{row['provider']}/{row['undo']} {json.dumps(row['undo_request'])}"
