"""One run of a flow's code: what its steps have in common, and what ended it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from sqlalchemy import Connection

from onceward.errors import Suspended
from onceward.failpoint import failpoint
from onceward.flows.lease import Lease
from onceward.flows.steps import Question, Recorded, Steps
from onceward.flows.store import Claim, Store


class Stopped(BaseException):
    """Ends a run whose worker ends."""


class Run:
    """One run of a flow's code. What first ends it is its end, whatever the code makes of that: no step comes after."""

    def __init__(self, store: Store, claim: Claim, lease: Lease, stopping: Event) -> None:
        self.claim = claim
        self.lease = lease
        self._store = store
        self._stopping = stopping
        self._ended_by: BaseException | None = None
        # Before the first run nothing can be recorded.
        self._steps = Steps(store.recorded(claim) if claim.epoch > 1 else {})

    @contextmanager
    def step(self) -> Iterator[None]:
        """Surround a step: an error in it ends the run.

        Raises:
            Suspended: the run has ended.
            Stopped: the worker ends.
        """
        if self._ended_by is not None:
            raise Suspended("this run of the flow has ended; its code goes on in another run, from the first line")
        try:
            self._stop_if_asked()
            yield
        except BaseException as error:
            self._ended_by = error
            raise

    def _stop_if_asked(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    def ask(self, name: str, question: Question) -> Recorded | None:
        """Take note of a step and return what is recorded of it; None for a new one."""
        return self._steps.ask(name, question)

    @contextmanager
    def local(self) -> Iterator[Connection]:
        """Give the transaction of a local step; it commits at the end of the block."""
        self.lease.cover(0)
        with self._store.step(self.claim) as connection:
            yield connection
        failpoint("flow.step_recorded")

    def record(self, connection: Connection, name: str, question: Question, result: str | None = None) -> str | None:
        """Record a local step in its transaction; return the result as later runs will read it."""
        return self._store.record(connection, self.claim, name, self._steps.number, question, result)

    def finish(self) -> None:
        """Check, where the code has come to its end, that it asked for everything that is recorded.

        Raises:
            FlowDiverged: it did not.
        """
        self._steps.finish()

    def end(self, raised: BaseException | None) -> BaseException | None:
        """Let no step come any more; return what ended the run: None if its code came to its end."""
        ended_by = self._ended_by or raised
        self._ended_by = ended_by or Suspended("the flow is completed")
        return ended_by
