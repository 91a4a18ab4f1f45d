"""Carries out what people have decided: each decision in one transaction, with its outcome and its audit entry.

A decision counts for what the person saw: if the call or flow has changed since, or something has come in its way, it
is stale and changes nothing. One that cannot be carried out has failed, and its outcome says why.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from onceward import tracing
from onceward.failpoint import failpoint
from onceward.inbox.faults import is_transient
from onceward.ledger import attempting, closing, remaking, store, undoing, verdicts
from onceward.ledger.attempting import clean
from onceward.ledger.ledger import Ledger
from onceward.ledger.remaking import Refused
from onceward.ledger.store import Record
from onceward.providers import Operation
from onceward.wordless import server_words, trace

log = logging.getLogger("onceward.ledger")

End = Literal["applied", "failed", "stale"]


class Resolving:
    """The decisions about the calls of one ledger, and about flows. Serves any number of workers."""

    def __init__(self, engine: Engine, ledger: Ledger, worker: str) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._ledger = ledger
        self._worker = worker

    def carry_out(self, limit: int = 100) -> int:
        """Carry out decisions whose time has come, oldest first, and return how many were looked at."""
        for done in range(limit):
            if not self._carry_out_one():
                return done
        return limit

    def _carry_out_one(self) -> bool:
        with self._engine.connect() as connection, connection.begin() as transaction:
            store.durable(connection)
            decision = store.one(connection, "next_decision", **self._ledger.known())
            if decision is None:
                return False
            subject = _lock(connection, decision)
            with _traced(decision, subject) as span:
                state, outcome = self._end(connection, decision, subject)
                span.note({"onceward.decision.end": state})
            end = {"id": decision.id, "state": state, "outcome": clean(outcome, 1000), "worker": self._worker}
            if connection.scalar(store.sql("carried_out"), end):
                failpoint("decision.carried_out")
                log.info("decision %s to %s is %s: %s", decision.id, decision.verb, state, outcome)
            else:
                transaction.rollback()  # it was taken back, or another worker has just carried it out
        failpoint("decision.committed")
        return True

    def _end(self, connection: Connection, decision: Record, subject: Record) -> tuple[End, str]:
        if subject.version != decision.seen_version:
            return "stale", f"it has changed since it was seen, and is {subject.state} now"
        if obstacle := connection.scalar(store.sql("decision_obstacle"), {"id": decision.id}):
            return "stale", obstacle
        try:
            with connection.begin_nested():
                return "applied", self._carry_out(connection, decision, subject)
        except Refused as refused:
            return "failed", str(refused)
        except DBAPIError as error:
            if is_transient(error):
                raise
            return "failed", server_words(error.orig)
        except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told, and stops no other decision
            log.warning("decision %s to %s failed: %s", decision.id, decision.verb, trace(error))
            return "failed", f"our own code failed: {type(error).__name__}"

    def _carry_out(self, connection: Connection, decision: Record, subject: Record) -> str:
        if decision.flow_id is not None:
            return _OF_FLOWS[decision.verb](connection, decision, subject)
        operation = self._ledger.operation(subject.provider, subject.operation)
        assert operation is not None
        return _OF_CALLS[decision.verb](connection, operation, decision, subject)


def _traced(decision: Record, subject: Record) -> AbstractContextManager[tracing.Span]:
    """Surround what is done with a span where the call was first asked for, or the flow was started."""
    kind = "flow" if decision.call_id is None else "call"
    attributes = {
        "onceward.decision.id": str(decision.id),
        "onceward.decision.verb": decision.verb,
        f"onceward.{kind}.id": str(subject.id),
    }
    return tracing.span(f"carry out {decision.verb}", "internal", attributes, subject.trace)


def _lock(connection: Connection, decision: Record) -> Record:
    """Lock what the decision is about, and the flow of a call that is to be made again: it goes on nowhere else."""
    if decision.flow_id is not None:
        subject = store.one(connection, "lock_flow", id=decision.flow_id)
    else:
        subject = store.one(connection, "lock", id=decision.call_id)
        if decision.verb == "new_key" and subject is not None:
            store.one(connection, "lock_flow", id=subject.flow_id)
    assert subject is not None
    return subject


def _applied(connection: Connection, operation: Operation[Any, Any, Any], decision: Record, call: Record) -> str:
    if store.one(connection, "bears_out", evidence_id=decision.evidence_id, call_id=call.id) is None:
        raise Refused("evidence: there is none that the call took effect")
    finding = attempting.told(operation, decision.result or "")
    if finding.verdict != "applied":
        raise Refused(f"result: {finding.text}")
    person = {"decision": decision.id, "closer": decision.decided_by}
    if verdicts.applied(connection, operation, call, finding, "person", **person) is None:
        raise Refused("it is settled already")
    return "it is settled as succeeded"


def _not_applied(connection: Connection, operation: Operation[Any, Any, Any], decision: Record, call: Record) -> str:
    says: dict[str, Any] = {"code": "person", "text": "a person has found that it took no effect"}
    person = {"decision": decision.id, "closer": decision.decided_by}
    if not verdicts.not_applied(connection, operation, call.id, "person", **says, **person):
        raise Refused("an attempt of it may still take effect")
    return "it is settled as failed"


def _accept_difference(
    connection: Connection, operation: Operation[Any, Any, Any], decision: Record, call: Record
) -> str:
    accepted = store.one(connection, "accept_difference", id=call.id)
    if accepted is None:
        raise Refused("there is nothing to accept")
    verdicts.wake(connection, accepted)
    verdicts.close(connection, call, decision.decided_by, "mismatch")
    return f"what {operation} did is accepted"


def _undo(connection: Connection, decision: Record, flow: Record) -> str:
    if not undoing.start(connection, flow.id, decision.reason, decision.id):
        raise Refused("it has passed its pivot, or still may")
    return "what it did is being undone"


_OF_CALLS: Mapping[str, Callable[[Connection, Operation[Any, Any, Any], Record, Record], str]] = {
    "applied": _applied,
    "not_applied": _not_applied,
    "accept_difference": _accept_difference,
    "new_key": remaking.make_again,
    "refund": remaking.refund,
}
_OF_FLOWS: Mapping[str, Callable[[Connection, Record, Record], str]] = {"undo": _undo, "close": closing.close}
