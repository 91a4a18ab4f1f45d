"""How a call is settled, by whatever makes its outcome known: an answer, a lookup, a webhook, a person."""

import logging
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection

from onceward.incidents import Kind, close_incidents, open_incident
from onceward.ledger import store
from onceward.ledger.attempting import Finding, clean
from onceward.ledger.learning import learn
from onceward.ledger.store import Record
from onceward.ledger.terms import Terms
from onceward.providers import Operation
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

SettledBy = Literal["answer", "lookup", "webhook", "person"]
UNSETTLED: tuple[Kind, ...] = ("in_doubt", "overdue")
"""Incidents about a call whose outcome is not known."""


def applied(
    connection: Connection,
    operation: Operation[Any, Any, Any],
    call: Record,
    finding: Finding,
    by: SettledBy,
    *,
    attempt: int | None = None,
    decision: UUID | None = None,
    closer: str = "ledger",
) -> Record | None:
    """Settle a call as succeeded, and end the attempt that showed it; return None if it is settled already."""
    assert finding.result is not None
    learned = learn(operation, call, finding.result)
    settled = store.one(
        connection,
        "succeed",
        id=call.id,
        no=attempt,
        result=finding.stored,
        provider_ref=reference(operation, finding),
        undo_request=learned.undo_request,
        difference=learned.difference,
        settled_by=by,
        resolution_id=decision,
        closer=closer,
        **store.said(finding),
    )
    if settled is not None and learned.difference is not None:
        found = store.read(connection, call.id)
        assert found is not None
        title = f"{operation} did something else than it was asked: {learned.difference}"
        open_about(connection, "mismatch", found, title)
    return settled


def not_applied(
    connection: Connection,
    operation: Operation[Any, Any, Any],
    call_id: UUID,
    by: SettledBy,
    *,
    code: str,
    text: str,
    decision: UUID | None = None,
    closer: str = "ledger",
) -> bool:
    """Settle a call in doubt as failed; return False while an attempt of it may still take effect."""
    terms = Terms.of(operation)
    settled = store.one(
        connection,
        "not_applied",
        id=call_id,
        code=code,
        text=text,
        timeout=terms.timeout,
        settle=terms.settle_delay,
        settled_by=by,
        resolution_id=decision,
    )
    if settled is None:
        return False
    wake(connection, settled)
    close_incidents(connection, call_id=call_id, by=closer, kinds=UNSETTLED)
    return True


def against_it(call: Record, said: str | None) -> str | None:
    """Return, in words, what an effect of the reference `said` has against how a call is settled; None: nothing."""
    if call.state != "succeeded":
        return "it took effect"
    if said is not None and call.provider_ref is not None and said != call.provider_ref:
        return f"it took effect as {said!a}, and it is recorded as {call.provider_ref!a}: it may have done so twice"
    return None


def contradicted(connection: Connection, call: Record, by_what: str) -> None:
    """Tell people that something speaks against how a call is settled."""
    connection.execute(store.sql("contradict"), {"id": call.id})
    where = f"{call.provider}/{call.operation}"
    open_about(connection, "conflict", call, f"{where} is recorded as {call.state}, but {by_what}")


def wake(connection: Connection, settled: Record) -> None:
    """Tell the flow of a call that is settled now, by the row that its settlement returned."""
    if settled.flow_id is not None:
        connection.execute(store.sql("wake_flow"), {"flow_id": settled.flow_id, "pivot_step": settled.pivot_step})


def close(connection: Connection, call: Record, by: str, *kinds: Kind) -> None:
    """Close the open incidents of these kinds about a call."""
    close_incidents(connection, call_id=call.id, by=by, kinds=kinds)


def open_about(connection: Connection, kind: Kind, call: Record, title: str) -> None:
    """Open an incident about a call."""
    open_incident(
        connection,
        kind,
        call_id=call.id,
        flow_id=call.flow_id,
        grp=f"{call.provider}/{call.operation}/{call.error_code or kind}",
        severity=1,
        title=clean(title, 1000),
        ref=call.ref,
        amount=call.amount,
        currency=call.currency,
    )


def reference(operation: Operation[Any, Any, Any], finding: Finding) -> str | None:
    """Return the provider's reference; a fault in the team's function must not cost the result."""
    if operation.ref is None:
        return None
    try:
        return clean(str(operation.ref(finding.result)), 1000)
    except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told
        log.warning("%s: the reference could not be read from the result: %s", operation, trace(error))
        return None
