"""What follows from an attempt's verdict: the fold over all attempts, one guarded transition at a time."""

import logging
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection

from onceward.backoff import Backoff
from onceward.incidents import Kind, close_incidents, open_incident
from onceward.ledger import store
from onceward.ledger.attempting import Finding, clean
from onceward.ledger.learning import learn
from onceward.ledger.store import Record
from onceward.ledger.terms import Facts, Terms, way_out
from onceward.providers import Operation
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

IN_DOUBT: tuple[Kind, ...] = ("in_doubt",)
_NO_EFFECT = frozenset({"not_reached", "not_sent", "throttled"})


class Settling:
    """Applies verdicts to calls, inside the caller's transaction."""

    def __init__(self, retries: Backoff, incident_after: timedelta) -> None:
        self._retries = retries
        self._incident_after = incident_after

    def settle(
        self,
        connection: Connection,
        operation: Operation[Any, Any, Any],
        begun: Record,
        finding: Finding,
        scope: str | None,
    ) -> None:
        """Apply the verdict of an attempt that was begun as `begun`. An older epoch may only report an effect."""
        if finding.verdict == "applied":
            self._succeed(connection, operation, begun, finding)
        elif finding.verdict == "absent":
            self._absent(connection, operation, begun, finding)
        elif not self._has_no_effect(connection, operation, begun, finding):
            self._doubt(connection, operation, begun, finding, scope)

    def move(
        self, connection: Connection, operation: Operation[Any, Any, Any], due: Record, scope: str
    ) -> Literal["resend", "ask", "nothing"]:
        """Return what to do now with a call in doubt, and tell people if it is time."""
        way = way_out(Terms.of(operation), _facts(due), scope)
        if way.move == "nothing":
            self.leave_to_people(connection, due, way.why)
        elif due.now - due.doubted_at >= self._incident_after:
            _open_in_doubt(connection, due, way.why)
        return way.move

    def leave_to_people(self, connection: Connection, due: Record, why: str) -> None:
        """Stop all that is automatic for a call in doubt and open its incident."""
        connection.execute(store.sql("leave_to_people"), {"id": due.id})
        _open_in_doubt(connection, due, why)

    def cancel(self, connection: Connection, due: Record) -> bool:
        """Cancel a call that was never sent, if it is too late for that or its flow is undone."""
        cancelled = store.one(connection, "cancel", id=due.id)
        if cancelled is not None:
            wake(connection, cancelled)
        return cancelled is not None

    def _has_no_effect(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> bool:
        """Fail the call or let it wait, if that is proven for all of its attempts."""
        if finding.verdict == "rejected":
            return self._fail(connection, operation, begun, finding)
        return finding.verdict in _NO_EFFECT and self._wait(connection, begun, finding)

    def _succeed(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        assert finding.result is not None
        learned = learn(operation, begun, finding.result)
        settled = store.one(
            connection,
            "succeed",
            id=begun.id,
            result=finding.stored,
            provider_ref=_reference(operation, finding),
            undo_request=learned.undo_request,
            difference=learned.difference,
            settled_by="lookup" if begun.kind == "lookup" else "answer",
        )
        if settled is None:
            self._contradict(connection, operation, begun)
            return
        wake(connection, settled)
        close_incidents(connection, call_id=begun.id, by="ledger", kinds=IN_DOUBT)
        if learned.difference is not None:
            _open_mismatch(connection, operation, begun.id, learned.difference)

    def _contradict(self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record) -> None:
        """Tell people of an effect of a call that is settled already, unless it is settled as that effect."""
        found = store.read(connection, begun.id)
        assert found is not None
        if found.state != "succeeded":
            _open(connection, "mismatch", found, f"{operation} took effect, but is recorded as {found.state}")

    def _fail(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> bool:
        settled = store.one(
            connection,
            "fail",
            id=begun.id,
            epoch=begun.epoch,
            code=finding.code,
            text=finding.text,
            rejects_final=operation.rejects_final,
        )
        if settled is not None:
            wake(connection, settled)
            close_incidents(connection, call_id=begun.id, by="ledger", kinds=IN_DOUBT)
        return settled is not None

    def _wait(self, connection: Connection, begun: Record, finding: Finding) -> bool:
        delay = self._delay(begun, finding)
        ids = {"id": begun.id, "epoch": begun.epoch}
        return store.one(connection, "wait", **ids, delay=delay, code=finding.code, text=finding.text) is not None

    def _absent(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        assert operation.found is not None
        ids = {"id": begun.id, "epoch": begun.epoch}
        if operation.found.authoritative:
            proof = {"no": begun.attempts, "timeout": operation.timeout, "settle": operation.found.settle}
            if store.one(connection, "proven_absent", **ids, **proof) is not None:
                close_incidents(connection, call_id=begun.id, by="ledger", kinds=IN_DOUBT)
                return
        store.one(connection, "stay_in_doubt", **ids, delay=self._delay(begun, finding))

    def _doubt(
        self,
        connection: Connection,
        operation: Operation[Any, Any, Any],
        begun: Record,
        finding: Finding,
        scope: str | None,
    ) -> None:
        ids = {"id": begun.id, "epoch": begun.epoch}
        delay = self._delay(begun, finding)
        if begun.kind == "lookup":
            store.one(connection, "stay_in_doubt", **ids, delay=delay)
            return
        if (
            store.one(connection, "doubt", **ids, delay=delay, code=finding.code or finding.verdict, text=finding.text)
            is None
        ):
            return  # the call has passed to another epoch; the attempt is recorded as late
        found = store.read(connection, begun.id)
        assert found is not None
        if scope is not None:
            way = way_out(Terms.of(operation), _facts(found), scope)
            if way.move == "nothing":
                self.leave_to_people(connection, found, way.why)

    def _delay(self, begun: Record, finding: Finding) -> timedelta:
        backoff = timedelta(seconds=self._retries.jittered(begun.attempts))
        return max(backoff, finding.retry_after or timedelta(0))


def _reference(operation: Operation[Any, Any, Any], finding: Finding) -> str | None:
    """Return the provider's reference; a fault in the team's function must not cost the result."""
    if operation.ref is None:
        return None
    try:
        return clean(str(operation.ref(finding.result)), 1000)
    except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told
        log.warning("%s: the reference could not be read from the result: %s", operation, trace(error))
        return None


def wake(connection: Connection, settled: Record) -> None:
    """Tell the flow of a call that is settled now, by the row that its settlement returned."""
    if settled.flow_id is not None:
        connection.execute(store.sql("wake_flow"), {"flow_id": settled.flow_id, "pivot_step": settled.pivot_step})


def _open_mismatch(connection: Connection, operation: Operation[Any, Any, Any], call_id: UUID, difference: str) -> None:
    found = store.read(connection, call_id)
    assert found is not None
    _open(connection, "mismatch", found, f"{operation} did something else than it was asked: {difference}")


def _facts(found: Record) -> Facts:
    return Facts(found.now, found.first_sent_at, found.scope, found.sends, refused_now=found.last_verdict == "rejected")


def _open_in_doubt(connection: Connection, found: Record, why: str) -> None:
    where = f"{found.provider}/{found.operation}"
    _open(connection, "in_doubt", found, f"{where} may or may not have taken effect ({found.error_text}); {why}")


def _open(connection: Connection, kind: Kind, found: Record, title: str) -> None:
    open_incident(
        connection,
        kind,
        call_id=found.id,
        flow_id=found.flow_id,
        grp=f"{found.provider}/{found.operation}/{found.error_code or kind}",
        severity=1,
        title=clean(title, 1000),
        ref=found.ref,
        amount=found.amount,
        currency=found.currency,
    )
