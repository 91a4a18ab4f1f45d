"""Acts on what providers report by themselves: finds the call, and settles it or tells people why that cannot be.

A report that a call took effect is true of the call, whatever attempt it came from. One that it did not is true of the
moment at which it was made: it settles the call only if no attempt can take effect any more, and if it cannot be about
an attempt before the last.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from onceward.failpoint import failpoint
from onceward.incidents import Kind, close_incidents, open_incident
from onceward.ledger import attempting, store, verdicts
from onceward.ledger.attempting import clean
from onceward.ledger.ledger import Ledger
from onceward.ledger.making import scope_of
from onceward.ledger.store import Record
from onceward.ledger.terms import Terms
from onceward.providers import Operation

log = logging.getLogger("onceward.ledger")

UNMATCHED: tuple[Kind, ...] = ("unmatched",)
UNMATCHED_AFTER = timedelta(minutes=15)
"""How long a report may be about no call before people hear of it: its call may not be committed yet."""


class Evidence:
    """The reports about the calls of one ledger. Serves any number of workers."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._ledger = ledger

    def handle(self, limit: int = 100) -> int:
        """Act on reports that are due, oldest first, and return how many were looked at. Each is one transaction."""
        for done in range(limit):
            if not self._handle_one():
                return done
        return limit

    def _handle_one(self) -> bool:
        with self._engine.begin() as connection:
            store.durable(connection)
            report = store.one(connection, "next_report", providers=list(self._ledger.providers))
            if report is None:
                return False
            about = _calls(connection, report)
            call = store.one(connection, "lock", id=about[0]) if len(about) == 1 else None
            if call is None:
                _tell_unmatched(connection, report, len(about))
            else:
                close_incidents(connection, message_id=report.id, by="ledger", kinds=UNMATCHED)
            handled = call is not None and self._act(connection, report, call)
            end = {"id": report.id, "call_id": call and call.id}
            connection.execute(store.sql("handled" if handled else "look_again"), end)
            failpoint("report.handled")
        failpoint("report.committed")
        return True

    def _act(self, connection: Connection, report: Record, call: Record) -> bool:
        """Do what the report calls for; return False if it has to be looked at again."""
        operation = self._ledger.operation(call.provider, call.operation)
        if operation is None:
            return False  # another worker has its code
        log.info("call %s of %s: %s is reported", call.id, operation, report.says)
        if report.says == "applied":
            return _applied(connection, operation, report, call, scope_of(operation.provider))
        return report.says == "unclear" or _not_applied(connection, operation, report, call)


def _applied(
    connection: Connection, operation: Operation[Any, Any, Any], report: Record, call: Record, scope: str | None
) -> bool:
    finding = attempting.told(operation, bytes(report.body or b""))
    readable = finding.verdict == "applied"
    if call.settled_at is not None:
        against = verdicts.against_it(call, verdicts.reference(operation, finding) if readable else None)
        if against is not None:
            verdicts.contradicted(connection, call, f"the provider reports that {against}")
        return True
    if readable:
        return verdicts.applied(connection, operation, call, finding, "webhook") is not None
    if call.state == "in_flight" or scope is None:
        return False
    asks = operation.found is not None
    connection.execute(store.sql("unreadable"), {"id": call.id, "scope": scope, "lookup": asks})
    problem = f"{operation} took effect, as the provider reports, but its result cannot be read: {finding.text}"
    verdicts.open_about(connection, "in_doubt", call, problem)
    return True


def _not_applied(connection: Connection, operation: Operation[Any, Any, Any], report: Record, call: Record) -> bool:
    if call.state == "succeeded":
        verdicts.contradicted(connection, call, "the provider reports that it took no effect")
    if call.state not in ("in_flight", "in_doubt", "accepted"):
        return True
    over = call.send_by + operation.timeout + Terms.of(operation).settle_delay
    if call.state == "in_flight" or call.now <= over:
        return False
    if report.at > call.last_sent_at and (call.sends <= 1 or _is_about_the_last(report, call)):
        text = "the provider reports that it took no effect"
        return verdicts.not_applied(connection, operation, call.id, "webhook", code="reported", text=text)
    problem = "the provider reports that it took no effect, which may be about the attempt before the last"
    connection.execute(store.sql("hint"), {"id": call.id, "lookup": operation.found is not None})
    verdicts.open_about(connection, "in_doubt", call, f"{operation}: {problem}")
    return True


def _is_about_the_last(report: Record, call: Record) -> bool:
    """Whether the report names what the provider has accepted last. Reports come late, and few say which attempt."""
    return call.state == "accepted" and report.reference is not None and report.reference == call.provider_ref


def _calls(connection: Connection, report: Record) -> Sequence[UUID]:
    """Return the calls that a report may be about: those of its key, else those of its reference."""
    for name, value in (("key", report.key), ("reference", report.reference)):
        if value is not None:
            asked = {"provider": report.provider, name: value}
            if found := connection.execute(store.sql(f"calls_of_{name}"), asked).scalars().all():
                return found
    return []


def _tell_unmatched(connection: Connection, report: Record, calls: int) -> None:
    if report.now - report.at < UNMATCHED_AFTER:
        return
    number = "no call" if calls == 0 else f"{calls} calls"
    name = f"key {report.key!a}" if report.key else f"reference {report.reference!a}"
    open_incident(
        connection,
        "unmatched",
        message_id=report.id,
        grp=f"{report.provider}/unmatched",
        severity=2,
        title=clean(f"{report.provider} reports {report.says} of {name}, which fits {number}", 1000),
        ref=report.reference or report.key,
    )
