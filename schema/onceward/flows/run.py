"""One run of a flow's code: what its steps have in common, and what ended it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from sqlalchemy import Connection

from onceward.errors import BadStep, LeaseLost, Suspended
from onceward.failpoint import failpoint
from onceward.flows.lease import Lease
from onceward.flows.steps import Question, Recorded, Steps
from onceward.flows.store import Claim, Store


class Stopped(BaseException):
    """Ends a run whose worker ends."""


_OURS = (Suspended, LeaseLost, Stopped)
"""What only a step may raise."""


class Run:
    """One run of a flow's code. What first ends it is its end, whatever the code makes of that: no step comes after."""

    def __init__(self, store: Store, claim: Claim, lease: Lease, stopping: Event) -> None:
        self.claim = claim
        self.lease = lease
        self._store = store
        self._stopping = stopping
        self._ended_by: BaseException | None = None
        self._inside = False
        # Before the first run nothing can be recorded.
        self._steps = Steps(store.recorded(claim) if claim.epoch > 1 else {})

    @contextmanager
    def step(self) -> Iterator[None]:
        """Surround a step: an error in it ends the run.

        Raises:
            Suspended: the run has ended.
            Stopped: the worker ends.
            BadStep: it is within another step, whose transaction it would wait for.
        """
        self._refuse_if_ended()
        try:
            self._enter()
            yield
        except BaseException as error:
            self._ended_by = self._ended_by or error
            raise
        finally:
            self._inside = False

    def _refuse_if_ended(self) -> None:
        if self._ended_by is not None:
            raise Suspended("this run of the flow has ended; its code goes on in another run, from the first line")

    def _enter(self) -> None:
        if self._inside:
            raise BadStep("a step within a step: the function of a local step may not use the flow")
        if self._stopping.is_set():
            raise Stopped
        self._inside = True

    def ask(self, name: str, question: Question) -> Recorded | None:
        """Take note of a step and return what is recorded of it; None for a new one."""
        return self._steps.ask(name, question)

    @contextmanager
    def local(self) -> Iterator[Connection]:
        """Give the transaction of a local step; it commits at the end of the block."""
        self.lease.cover(0)
        with self._store.step(self.claim) as (connection, self.lease.signals):
            yield connection
            self._refuse_if_ended()  # by a step within this one, whose error the function swallowed
        failpoint("flow.step_recorded")

    @property
    def number(self) -> int:
        """How many steps this run has asked for."""
        return self._steps.number

    def end_undone(self, connection: Connection, by: str) -> None:
        """End the flow as undone, in the transaction of its undo handler."""
        self._store.undone(connection, self.claim, by)

    def record(self, connection: Connection, name: str, question: Question, result: str | None = None) -> str | None:
        """Record a local step in its transaction; return the result as later runs will read it."""
        return self._store.record(connection, self.claim, name, self.number, question, result)

    def finish(self) -> None:
        """Check, where the code has come to its end, that it asked for everything that is recorded.

        Raises:
            FlowDiverged: it did not.
        """
        self._steps.finish()

    def end(self, raised: BaseException | None) -> BaseException | None:
        """Let no step come any more; return what ended the run: None if its code came to its end."""
        if self._ended_by is None and isinstance(raised, _OURS):
            raised = BadStep(f"the code raised {type(raised).__name__} by itself, and nothing would wake the flow")
        ended_by = self._ended_by or raised
        self._ended_by = ended_by or Suspended("the flow is completed")
        return ended_by
