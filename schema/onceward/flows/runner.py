"""Claims flows and runs their code, one run at a time."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from threading import Event

from sqlalchemy import Engine

from onceward import tracing
from onceward.backoff import Backoff
from onceward.errors import (
    BadStep,
    CallFailed,
    ConfigError,
    DuplicateStep,
    FlowDiverged,
    LeaseLost,
    PublishError,
    Suspended,
    UndoFlow,
)
from onceward.failpoint import failpoint
from onceward.flows.flow import Flow
from onceward.flows.lease import LEASE, Lease
from onceward.flows.noticing import Noticing
from onceward.flows.registry import Flows
from onceward.flows.run import Run, Stopped
from onceward.flows.store import Claim, Store
from onceward.flows.undo import undo
from onceward.inbox.faults import Fault, fault, storable
from onceward.ledger import Ledger
from onceward.ledger.undoing import UndoFailed, Undoing

log = logging.getLogger("onceward.flows")

TRIES = 5
"""How many runs of a flow may fail in a row before it is left to a person."""
WAITS = Backoff(timedelta(seconds=1), timedelta(minutes=5))
"""Between them."""

_OUR_WORDS = (FlowDiverged, DuplicateStep, BadStep, ConfigError)
"""Errors whose words may be logged."""
_FINAL = (*_OUR_WORDS, PublishError)
"""Errors that would only come again."""


class Runner:
    """Runs the flows of one participant. Serves any number of threads.

    Raises:
        ConfigError: the lease is not positive, or no run may fail.
    """

    def __init__(
        self,
        flows: Flows,
        engine: Engine,
        ledger: Ledger,
        *,
        worker: str,
        lease: timedelta = LEASE,
        tries: int = TRIES,
        waits: Backoff = WAITS,
        code_version: str | None = None,
    ) -> None:
        if lease <= timedelta(0):
            raise ConfigError("lease", "must be positive")
        if tries < 1:
            raise ConfigError("tries", "must be at least 1")
        self._flows = flows
        self._store = Store(engine)
        self._ledger = ledger
        self._undoing = Undoing(engine, ledger)
        self._noticing = Noticing(engine)
        self._code_version = code_version
        self._worker = worker
        self._lease = lease.total_seconds()
        self._tries = tries
        self._waits = waits
        self._stopping = Event()

    @property
    def _name(self) -> str:
        return f"worker {self._worker}"

    def stop(self) -> None:
        """Let runs end before their next step, and give their flows back."""
        self._stopping.set()

    def unknown(self) -> Mapping[str, int]:
        """Return how many flows are due that no code here is for, by name."""
        return self._store.unknown(list(self._flows))

    def notice(self) -> int:
        """Tell flows of messages that they may not know of; return how many there were."""
        return self._noticing.notice()

    def age(self) -> int:
        """Tell people of messages whose flow nobody has started for a day; return how many were looked at."""
        return self._noticing.age()

    def run_once(self, claimed: Callable[[], object] = lambda: None) -> bool:
        """Run the flow that has been due the longest; return False if none is due.

        Args:
            claimed: is called before the run begins.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database failed; the flow comes again when its lease is over.
        """
        claimed_at = time.monotonic()
        claim = self._store.claim(list(self._flows), self._worker, self._lease, self._code_version)
        if claim is None:
            return False
        claimed()
        failpoint("flow.claimed")
        lease = Lease(self._store, claim, self._lease, claimed_at)
        ended_by = self._traced_run(claim, lease)
        try:
            self._settle(claim, lease, ended_by)
        except LeaseLost as lost:
            log.warning("flow %s %s: %s; nothing of this run is written any more", claim.name, claim.id, lost)
        return True

    def _traced_run(self, claim: Claim, lease: Lease) -> BaseException | None:
        attributes: tracing.Attributes = {
            "onceward.flow.name": claim.name,
            "onceward.flow.id": str(claim.id),
            "onceward.run": claim.epoch,
        }
        with tracing.span(f"run {claim.name}", "internal", attributes, claim.trace) as span:
            ended_by = self._run(claim, lease)
            if isinstance(ended_by, Exception):
                span.failed(type(ended_by).__name__)
            elif ended_by is not None:
                span.note({"onceward.flow.ended_by": type(ended_by).__name__})
        return ended_by

    def _run(self, claim: Claim, lease: Lease) -> BaseException | None:
        """Run the code, or undo what it did; return what ended that, None if it came to its end."""
        run = Run(self._store, claim, lease, self._stopping)
        definition = self._flows[claim.name]
        try:
            event = definition.model.model_validate_json(claim.input)
            if claim.undo_reason is not None:
                undo(run, self._undoing, definition, event, self._name)
            else:
                definition(Flow(run, self._ledger, definition.listen), event)
                run.finish()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 -- _settle says what it means; no flow's code may end the worker
            return run.end(error)
        return run.end(None)

    def _settle(self, claim: Claim, lease: Lease, ended_by: BaseException | None) -> None:
        match ended_by:
            case None if claim.undo_reason is not None:
                pass  # its end was written with its undo handler
            case None:
                self._store.complete(claim, self._name, listens=bool(self._flows[claim.name].listen))
            case Suspended():
                self._store.park(claim, lease.signals, ended_by.until)
            case Stopped():
                self._store.release(claim)
            case LeaseLost():
                raise ended_by
            case UndoFlow() | CallFailed() if claim.undo_reason is None:
                self._start_undo(claim, ended_by)
            case UndoFailed():
                self._leave_undone(claim, ended_by)
            case _:
                self._failed(claim, ended_by)

    def _failed(self, claim: Claim, error: BaseException) -> None:
        found = _fault(error)
        if isinstance(error, _FINAL) or claim.failures + 1 >= self._tries:
            self._block(claim, error, found)
            return
        wait = self._waits.jittered(claim.failures + 1)
        log.warning("flow %s %s failed, again in %.1f s: %s", claim.name, claim.id, wait, found.summary)
        self._store.retry(claim, wait, found.text)

    def _start_undo(self, claim: Claim, error: UndoFlow | CallFailed) -> None:
        """Have the flow undone; behind its pivot nothing is, and a person has to look."""
        if self._store.start_undo(claim, _reason(error)):
            log.info("flow %s %s is undone after %s", claim.name, claim.id, type(error).__name__)
            failpoint("flow.undoing")
            return
        found = fault(error)
        log.error("flow %s %s can neither go on nor be undone: %s", claim.name, claim.id, found.summary)
        self._store.block(
            claim,
            found.text,
            "stuck_after_pivot",
            severity=1,
            grp=f"{claim.name}/{found.kind}",
            title=f"Flow {claim.name} can neither go on nor be undone, for it has passed its pivot: {found.summary}",
        )

    def _leave_undone(self, claim: Claim, error: UndoFailed) -> None:
        call, title = error.call, storable(f"Flow {claim.name}: {error}")
        log.error("flow %s %s: the undo of call %s is left to a person", claim.name, claim.id, call.id)
        about = {"call_id": call.id, "ref": call.ref or claim.key, "amount": call.amount, "currency": call.currency}
        group = f"{call.provider}/{call.operation}/undo"
        self._store.block(claim, title, "undo_failed", severity=1, grp=group, title=title[:1000], **about)

    def _block(self, claim: Claim, error: BaseException, found: Fault) -> None:
        log.error("flow %s %s is left to a person: %s", claim.name, claim.id, found.summary)
        self._store.block(
            claim,
            found.text,
            "flow_diverged" if isinstance(error, FlowDiverged) else "flow_error",
            grp=f"{claim.name}/{found.kind}",
            title=f"Flow {claim.name} stands still: {found.summary}",
        )


def _fault(error: BaseException) -> Fault:
    """Describe `error`, in its own words where they repeat nothing of the flow's data."""
    found = fault(error)
    if isinstance(error, _OUR_WORDS):
        return replace(found, summary=storable(f"{found.kind}: {error}"))
    return found


def _reason(error: UndoFlow | CallFailed) -> str:
    reason = error.reason if isinstance(error, UndoFlow) else f"a call failed: {error.text}"
    return storable(str(reason))
