"""Makes attempts that are recorded, and records what they prove."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from onceward import tracing
from onceward.backoff import Backoff
from onceward.failpoint import failpoint
from onceward.inbox.faults import is_transient
from onceward.ledger import attempting, store
from onceward.ledger.attempting import Finding
from onceward.ledger.counts import CallCounts
from onceward.ledger.gate import Visit
from onceward.ledger.settling import Settling
from onceward.ledger.store import Record
from onceward.providers import Never, Operation, Provider, Sending
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

SEND_WINDOW = timedelta(seconds=5)
"""From the recording of an attempt to the last moment at which its first byte may leave."""
LEASE_MARGIN = timedelta(seconds=5)
"""Added to the send window and the timeout: until then nobody else takes the call."""
RECORDINGS = 6
"""How often the end of an attempt is recorded at most, while the database is away."""
RECORDING = Backoff(timedelta(milliseconds=100), timedelta(seconds=3))


class Making:
    """Makes attempts for one worker process.

    Args:
        engine: of the participant's database.
        settling: applies what attempts prove.
        counts: where attempts are counted.
        worker: who makes them, for the record.
        outside: surrounds what a thread does while it waits for a provider, and while it records the answer.
        recording: surrounds each recording of an answer.
    """

    def __init__(
        self,
        engine: Engine,
        settling: Settling,
        counts: CallCounts,
        worker: str,
        outside: Callable[[], AbstractContextManager[object]],
        recording: AbstractContextManager[object],
    ) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._settling = settling
        self._counts = counts
        self._worker = worker
        self._outside = outside
        self._recording = recording

    def make(self, operation: Operation[Any, Any, Any], begun: Record, sending: Sending, visit: Visit) -> Record | None:
        """Make the attempt that is recorded, and record what it proves; return the call if it is settled at once."""
        visit.made()
        if begun.kind == "send":
            failpoint("call.recorded")
        with self._outside():
            with _traced(operation, begun) as span:
                attempt = attempting.send if begun.kind == "send" else attempting.ask
                began = time.monotonic()
                finding = attempt(operation, sending)
                seconds = time.monotonic() - began
                _tell(span, finding)
            visit.end(finding.verdict)
            self._counts.add(operation.provider.name, operation.name, begun.kind, finding.verdict, seconds)
            failpoint("call.answered" if begun.kind == "send" else "call.looked_up")
            return self._conclude(operation, begun, finding)

    def _conclude(self, operation: Operation[Any, Any, Any], begun: Record, finding: Finding) -> Record | None:
        """Commit what the attempt proves, alone. A database that is away for a moment does not cost the answer."""
        for failures in count(1):
            try:
                settled = self._record(operation, begun, finding)
                break
            except DBAPIError as error:
                if failures == RECORDINGS or not is_transient(error):
                    raise
                log.warning("call %s: the answer is recorded again after %s", begun.id, type(error.orig).__name__)
                time.sleep(RECORDING.jittered(failures))
        failpoint("call.accepted" if finding.verdict == "accepted" else "call.settled")
        log.info("call %s of %s: attempt %s: %s", begun.id, operation, begun.attempts, finding.verdict)
        return settled

    def _record(self, operation: Operation[Any, Any, Any], begun: Record, finding: Finding) -> Record | None:
        """Doing this twice is harmless: each of its statements is guarded by what the first time has changed."""
        with self._recording:
            if finding.verdict == "applied" and operation.differs is None:  # a single statement, which commits itself
                with self._single.connect() as connection:
                    if settled := self._settling.succeed(connection, operation, begun, finding):
                        return settled
            scope = scope_of(operation.provider)
            with self._engine.begin() as connection:
                store.durable(connection)
                self._settling.settle(connection, operation, begun, finding, scope)
        return None

    def claim(self, operation: Operation[Any, Any, Any]) -> dict[str, Any]:
        """Return by what a call is claimed for an attempt."""
        lease = SEND_WINDOW + operation.timeout + LEASE_MARGIN
        return {"worker": self._worker, "lease": lease, "send_window": SEND_WINDOW}


def sending(operation: Operation[Any, Any, Any], key: str, body: bytes, reference: str | None = None) -> Sending:
    """Start the clock of an attempt before the database gives `send_by`, so as never to be later than that."""
    return Sending(
        key=key,
        body=body,
        send_by=time.monotonic() + SEND_WINDOW.total_seconds(),
        timeout=operation.timeout.total_seconds(),
        fresh=isinstance(operation.repeat, Never),
        reference=reference,
    )


def scope_of(provider: Provider[Any]) -> str | None:
    """Return the present scope of a provider; None if it cannot be told just now."""
    try:
        return provider.present_scope()
    except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told
        log.warning("provider %s: its scope cannot be told, so its calls wait: %s", provider.name, trace(error))
        return None


def _traced(operation: Operation[Any, Any, Any], begun: Record) -> AbstractContextManager[tracing.Span]:
    """Surround an attempt with a span where the call was first asked for, however much later it is made."""
    attributes = {
        "onceward.provider": operation.provider.name,
        "onceward.operation": operation.name,
        "onceward.call.id": str(begun.id),
        "onceward.attempt": begun.attempts,
        "onceward.attempt.kind": begun.kind,
    }
    return tracing.span(f"{begun.kind} {operation}", "client", attributes, begun.trace)


def _tell(span: tracing.Span, finding: Finding) -> None:
    span.note({"onceward.verdict": finding.verdict})
    if finding.http_status is not None:
        span.note({"http.response.status_code": finding.http_status})
    if finding.verdict not in ("applied", "absent"):
        span.failed(finding.verdict)
