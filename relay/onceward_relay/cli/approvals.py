"""`onceward approvals`: what people decided and others have to agree to."""

import json
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.asked import in_words, show_decision
from onceward_relay.cli.bulk import Outcomes
from onceward_relay.cli.deciding import Desk, actor_option, deciding, do, reason_option
from onceward_relay.cli.options import (
    Once,
    connected,
    database_option,
    json_option,
    limit_option,
    print_json,
    print_table,
)
from onceward_relay.cli.verbs import named
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import ago, inert, money

STATES = ("proposed", "approved", "applied", "failed", "rejected", "withdrawn", "stale")


@click.group()
def approvals() -> None:
    """Agree to what others have decided, or stop it before it is carried out."""


@approvals.command("list")
@database_option
@click.option("--state", cls=Once, type=click.Choice(STATES), help="Default: proposed and approved, which are open.")
@click.option("--batch", cls=Once, type=click.UUID, help="Only of this batch.")
@limit_option
@json_option
def list_(database: str, state: str | None, batch: UUID | None, limit: int, *, as_json: bool) -> None:
    """List decisions, the oldest first."""
    with connected(database) as connection:
        which = {"states": [state] if state else ["proposed", "approved"], "batch": batch, "limit": limit}
        rows = connection.execute(statement("onceward_relay.people", "decisions"), which).fetchall()
    if as_json:
        print_json(rows)
        return
    headings = ("decision", "state", "verb", "about", "ref", "value", "by", "since", "reason", "batch")
    print_table(headings, [_cells(row) for row in rows], "no such decisions")


@approvals.command()
@click.argument("decision", type=click.UUID)
@database_option
@json_option
def show(decision: UUID, database: str, *, as_json: bool) -> None:
    """Show DECISION: what is to be done, why, and what it rests on."""
    with connected(database) as connection:
        row = connection.execute(statement("onceward_relay.people", "decision"), {"id": decision}).fetchone()
    if row is None:
        raise click.ClickException(f"there is no decision {decision}")
    if as_json:
        print_json(row)
        return
    subject = f"call {row['call_id']}" if row["call_id"] else f"flow {row['flow_id']}"
    note = f": {row['decision_note']}" if row["decision_note"] else ""
    for line in (
        f"{row['proposed_by']} decided {named(row['verb'])} for {subject}; {in_words(row)}.",
        "",
        f"  reason      {row['reason']}",
        f"  value       {money(row['amount'], row['currency']) or 'none'}",
        f"  with        {json.dumps(row['body'])}",
        f"  evidence    {_evidence(row)}",
        f"  proposed    {row['proposed_at'].isoformat(timespec='seconds')} by role {row['proposed_role']}",
        f"  others      {row['approvals']} who have to agree{', but one decides alone' if row['solo'] else ''}",
        f"  decided by  {row['decided_by'] or 'nobody yet'}{note}",
        f"  batch       {row['batch_id'] or 'none'}",
        "",
        f"onceward {'calls' if row['call_id'] else 'flows'} show {row['call_id'] or row['flow_id']}",
    ):
        click.echo(inert(line))


@approvals.command()
@click.argument("decision", type=click.UUID, required=False)
@click.option("--batch", cls=Once, type=click.UUID, help="All that wait of this batch.")
@database_option
@reason_option
@actor_option
@json_option
def approve(
    decision: UUID | None, batch: UUID | None, database: str, reason: str, actor: str, *, as_json: bool
) -> None:
    """Agree to DECISION, which another person has proposed. A worker then carries it out.

    If the call or flow has changed since it was proposed, it is stale: nothing is done, and the exit status is 1.
    """
    if (decision is None) == (batch is None):
        raise click.UsageError("give either a decision or --batch")
    if batch is not None:
        _approve_all(database, batch, reason, actor, as_json=as_json)
    assert decision is not None
    with deciding(database) as desk:
        row = _approve(desk, decision, reason, actor)
    show_decision(row, as_json=as_json)
    if row["state"] == "stale":
        raise SystemExit(1)


@approvals.command()
@click.argument("decision", type=click.UUID)
@database_option
@reason_option
@actor_option
@json_option
def reject(decision: UUID, database: str, reason: str, actor: str, *, as_json: bool) -> None:
    """Refuse DECISION, which another person has proposed; also after it was approved, until it is carried out."""
    attempt = Attempt(actor, "reject", "decision", str(decision), reason)
    show_decision(do(database, attempt, "reject", id=decision, actor=actor, reason=reason), as_json=as_json)


@approvals.command()
@click.argument("decision", type=click.UUID)
@database_option
@reason_option
@actor_option
@json_option
def withdraw(decision: UUID, database: str, reason: str, actor: str, *, as_json: bool) -> None:
    """Take back DECISION, which you have proposed, until it is carried out."""
    attempt = Attempt(actor, "withdraw", "decision", str(decision), reason)
    show_decision(do(database, attempt, "withdraw", id=decision, actor=actor, reason=reason), as_json=as_json)


def _approve(desk: Desk, decision: UUID, reason: str, actor: str) -> DictRow:
    attempt = Attempt(actor, "approve", "decision", str(decision), reason)
    return desk.do(attempt, "approve", id=decision, actor=actor, reason=reason)


def _approve_all(database: str, batch: UUID, reason: str, actor: str, *, as_json: bool) -> None:
    def agree(desk: Desk, decision: UUID) -> str:
        row = _approve(desk, decision, reason, actor)
        if row["state"] == "stale":
            raise click.ClickException(f"stale: {row['outcome']}")
        return in_words(row)

    with connected(database) as connection:
        which = {"states": ["proposed"], "batch": batch, "limit": None}
        rows = connection.execute(statement("onceward_relay.people", "decisions"), which).fetchall()
    outcomes = Outcomes()
    with deciding(database) as desk:
        for row in rows:
            about = {"decision": row["id"], "about": f"{named(row['verb'])} {row['name']}"}
            outcomes.add(about, agree, desk, row["id"])
    outcomes.end(as_json=as_json)


def _evidence(row: DictRow) -> str:
    if row["evidence_id"] is None:
        return "none"
    said = f"{row['kind']} of {row['by_actor']} says {row['says']}"
    return f"{row['evidence_id']}: {said}, {row['reference'] or 'no reference'}"


def _cells(row: DictRow) -> tuple[object, ...]:
    about = f"{'call' if row['call_id'] else 'flow'} {row['call_id'] or row['flow_id']}, {row['name']}"
    since = ago(row["proposed_at"], row["now"])
    state = f"{row['state']}, alone" if row["solo"] else row["state"]
    value = money(row["amount"], row["currency"])
    return (
        row["id"],
        state,
        row["verb"],
        about,
        row["ref"] or "",
        value,
        row["proposed_by"],
        since,
        row["reason"],
        row["batch_id"] or "",
    )
