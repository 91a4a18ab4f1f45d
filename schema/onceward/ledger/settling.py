"""What follows from an attempt's verdict: the fold over all attempts, one guarded transition at a time."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from onceward.backoff import Backoff
from onceward.ids import derived
from onceward.incidents import Kind, close_incidents
from onceward.ledger import store
from onceward.ledger.attempting import Finding
from onceward.ledger.store import Record
from onceward.ledger.terms import Facts, Terms, way_out
from onceward.ledger.verdicts import (
    UNSETTLED,
    SettledBy,
    against_it,
    applied,
    contradicted,
    open_about,
    reference,
    wake,
)
from onceward.providers import Operation

_MOVES: Mapping[str, Literal["send", "lookup", "nothing"]] = {"resend": "send", "ask": "lookup", "nothing": "nothing"}
IN_DOUBT: tuple[Kind, ...] = ("in_doubt",)
_NO_EFFECT = frozenset({"not_reached", "not_sent", "throttled"})


class Settling:
    """Applies verdicts to calls, inside the caller's transaction."""

    def __init__(self, retries: Backoff, incident_after: timedelta, worker: str) -> None:
        self._worker = worker
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
        if finding.verdict == "applied" and self.succeed(connection, operation, begun, finding) is not None:
            return
        store.end_attempt(connection, begun.id, begun.attempts, finding)
        if finding.verdict == "applied":
            self._contradict(connection, operation, begun, finding)
        elif finding.verdict == "accepted":
            self._accept(connection, operation, begun, finding)
        elif begun.kind == "lookup":
            self._looked(connection, operation, begun, finding)
        elif not self._has_no_effect(connection, operation, begun, finding):
            self._doubt(connection, operation, begun, finding, scope)
        if finding.unauthorized:
            self._stop(connection, operation, begun, finding)

    def move(
        self, connection: Connection, operation: Operation[Any, Any, Any], due: Record, scope: str
    ) -> Literal["send", "lookup", "nothing"]:
        """Return what to do now with a call that is due, and tell people if it is time."""
        if due.state == "pending":
            return "send"
        if due.state == "accepted":
            return self._pursue(connection, operation, due)
        way = way_out(Terms.of(operation), _facts(due), scope)
        if way.move == "nothing":
            self.leave_to_people(connection, due, way.why)
        elif due.now - due.doubted_at >= self._incident_after:
            _open_in_doubt(connection, due, way.why)
        return _MOVES[way.move]

    def _pursue(
        self, connection: Connection, operation: Operation[Any, Any, Any], due: Record
    ) -> Literal["lookup", "nothing"]:
        """Return how to learn what became of a call that was accepted, and tell people if that is overdue."""
        if due.expect_by <= due.now:
            where, by = f"{due.provider}/{due.operation}", f"{due.expect_by:%Y-%m-%d %H:%M} UTC"
            open_about(
                connection, "overdue", due, f"{where} was accepted, but its outcome, expected by {by}, has not come"
            )
        if operation.found is not None:
            return "lookup"
        connection.execute(store.sql("leave_to_people"), {"id": due.id})
        return "nothing"

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

    def succeed(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> Record | None:
        """Settle the call as succeeded and end its attempt, in one statement unless the operation compares."""
        by: SettledBy = "lookup" if begun.kind == "lookup" else "answer"
        return applied(connection, operation, begun, finding, by, attempt=begun.attempts)

    def _contradict(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        """Keep the late answer as evidence, and tell people, unless the call is settled as that effect."""
        found = store.read(connection, begun.id)
        assert found is not None
        said = reference(operation, finding)
        against = against_it(found, said)
        if against is None:
            return
        self._keep_late(connection, found, begun, finding, "applied", said)
        contradicted(connection, found, f"attempt {begun.attempts} answered late that {against}")

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
            close_incidents(connection, call_id=begun.id, by="ledger", kinds=UNSETTLED)
        return settled is not None

    def _wait(self, connection: Connection, begun: Record, finding: Finding) -> bool:
        delay = self._delay(begun, finding)
        ids = {"id": begun.id, "epoch": begun.epoch}
        return store.one(connection, "wait", **ids, delay=delay, code=finding.code, text=finding.text) is not None

    def _accept(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        ids = {"id": begun.id, "epoch": begun.epoch}
        delay = self._delay(begun, finding)
        terms = {"within": operation.expect_within, "delay": None if operation.found is None else delay}
        what = {"reference": finding.reference, "text": finding.text, "sent": begun.kind == "send"}
        if store.one(connection, "accept", **ids, **terms, **what) is not None:
            close_incidents(connection, call_id=begun.id, by="ledger", kinds=IN_DOUBT)
        elif store.one(connection, "ask_later", **ids, delay=delay) is None:
            self._accepted_late(connection, operation, begun, finding)

    def _accepted_late(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        """Keep what the answer of an older epoch says: by its reference the outcome is asked for, or reported."""
        found = store.read(connection, begun.id)
        assert found is not None
        self._keep_late(connection, found, begun, finding, "unclear", finding.reference)
        if found.state in ("failed", "cancelled"):
            contradicted(connection, found, f"attempt {begun.attempts} answered late that it was accepted")
        elif finding.reference is not None:
            reference = {"id": found.id, "reference": finding.reference}
            if store.one(connection, "keep_reference", **reference) is not None:
                connection.execute(store.sql("hint"), {"id": found.id, "lookup": operation.found is not None})

    def _keep_late(
        self, connection: Connection, call: Record, begun: Record, finding: Finding, says: str, reference: str | None
    ) -> None:
        answer = {"body": finding.answer or (finding.stored or "").encode(), "reference": reference, "says": says}
        late = {"id": derived(str(call.id), "late answer", str(begun.attempts)), "call_id": call.id, "by": self._worker}
        connection.execute(store.sql("late_answer"), late | answer | {"provider": call.provider, "key": call.key})

    def _looked(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        """Take what a lookup proves of a call that has not taken effect; most prove nothing."""
        assert operation.found is not None
        ids = {"id": begun.id, "epoch": begun.epoch}
        proof = {"no": begun.attempts, "timeout": operation.timeout, "settle": operation.found.settle}
        if finding.verdict == "rejected":
            what = {"code": finding.code, "text": finding.text}
            settled = store.one(connection, "refused_there", **ids, **proof, **what)
            if settled is not None:
                wake(connection, settled)
        elif finding.verdict == "absent" and operation.found.authoritative:
            settled = store.one(connection, "proven_absent", **ids, **proof)
        else:
            settled = None
        if settled is None:
            store.one(connection, "ask_later", **ids, delay=self._delay(begun, finding))
        else:
            close_incidents(connection, call_id=begun.id, by="ledger", kinds=UNSETTLED)

    def _stop(
        self, connection: Connection, operation: Operation[Any, Any, Any], begun: Record, finding: Finding
    ) -> None:
        """Let nothing more be sent to a provider that refused our credential."""
        name = operation.provider.name
        reason = f"it refused our credential: {finding.text}"
        if store.one(connection, "stop_provider", provider=name, reason=reason) is None:
            return
        found = store.read(connection, begun.id)
        assert found is not None
        title = f"{name} is stopped, for {reason}; nothing is sent to it until somebody starts it again"
        open_about(connection, "provider_stopped", found, title)

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


def _facts(found: Record) -> Facts:
    refused_now = found.last_verdict == "rejected"
    return Facts(found.now, found.first_sent_at, found.scope, found.sends, refused_now=refused_now, asked=found.asked)


def _open_in_doubt(connection: Connection, found: Record, why: str) -> None:
    where = f"{found.provider}/{found.operation}"
    open_about(connection, "in_doubt", found, f"{where} may or may not have taken effect ({found.error_text}); {why}")
