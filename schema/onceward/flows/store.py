"""The statements over the flows' tables."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause, text

from onceward.errors import LeaseLost
from onceward.flows.noticing import open_late
from onceward.flows.steps import Question, Recorded
from onceward.incidents import Kind, close_incidents, open_incident
from onceward.ledger import undoing
from onceward.sqlfiles import statement
from onceward.tracing import Carrier

INCIDENTS: tuple[Kind, ...] = ("flow_error", "flow_diverged", "stuck_after_pivot", "overdue")
"""What its end settles."""


@cache
def _clause(name: str) -> TextClause:
    return text(statement("onceward.flows", name))


def run(connection: Connection, name: str, /, **values: Any) -> Sequence[Row[Any]]:
    """Run the statement `name` and return its rows."""
    return connection.execute(_clause(name), values).all()


@dataclass(frozen=True, slots=True)
class Claim:
    """A flow that a worker has claimed."""

    id: UUID
    name: str
    key: str
    input: bytes
    epoch: int
    """Number of the claim. Whatever is written under it is written only while no other claim came after it."""
    signals: int
    failures: int
    """Failed runs in a row before this one."""
    troubled: bool
    """Whether an earlier run failed."""
    undo_reason: str | None = None
    """Why it is to be undone; None if its code is to be run."""
    trace: Carrier | None = None
    """Where in a trace it was started."""


class Store:
    """The flows' rows. What is written under a claim is written only while it lasts; else LeaseLost is raised."""

    def __init__(self, engine: Engine) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    def claim(self, names: Collection[str], worker: str, lease: float, code_version: str | None = None) -> Claim | None:
        """Claim the flow of one of these names that has been due the longest, for `lease` seconds."""
        rows = self._alone("claim", names=list(names), worker=worker, lease=lease, code_version=code_version)
        return Claim(**(rows[0]._asdict() | {"input": bytes(rows[0].input)})) if rows else None

    def recorded(self, claim: Claim) -> Mapping[str, Recorded]:
        """Return the steps that earlier runs recorded, by name."""
        return {row.step: _recorded(row) for row in self._alone("recorded", id=claim.id)}

    def unknown(self, names: Collection[str]) -> Mapping[str, int]:
        """Return how many flows are due that have none of these names, by name."""
        return {row.name: row.number for row in self._alone("unknown", names=list(names))}

    def extend(self, claim: Claim, lease: float) -> int:
        """Let the claim last `lease` seconds from now; return the flow's signals."""
        signals: int = _held(self._alone("extend", **_under(claim), lease=lease)).signals
        return signals

    @contextmanager
    def step(self, claim: Claim) -> Iterator[tuple[Connection, int]]:
        """Give a transaction that commits at the end of the block, and the flow's signals.

        While it is open nobody else can claim the flow or tell it something.
        """
        with self._engine.begin() as connection:
            yield connection, _held(run(connection, "guard", **_under(claim))).signals

    def record(
        self, connection: Connection, claim: Claim, step: str, seq: int, question: Question, result: str | None
    ) -> str | None:
        """Record a step in the transaction of its effects; return its result as later runs will read it."""
        values = {
            "step": step,
            "seq": seq,
            "kind": question.kind,
            "fingerprint": question.fingerprint,
            "result": result,
        }
        found: str | None = run(connection, "record_step", id=claim.id, **values)[0].result
        return found

    def park(self, claim: Claim, signals: int, until: datetime | None = None) -> bool:
        """Let the flow wait for a signal, at most until then.

        Returns False if one came since `signals` was read: the flow is due again.
        """
        return bool(_held(self._alone("park", **_under(claim), signals=signals, until=until)).state == "waiting")

    def release(self, claim: Claim) -> None:
        """Give the claim back."""
        _held(self._alone("release", **_under(claim)))

    def retry(self, claim: Claim, wait: float, error: str) -> None:
        """Have a failed run repeated in `wait` seconds."""
        _held(self._alone("retry", **_under(claim), wait=wait, error=error))

    def complete(self, claim: Claim, by: str, *, listens: bool = False) -> None:
        """End the flow, and the incidents that earlier runs opened; tell people of messages that it leaves."""
        if not (claim.troubled or listens):
            _held(self._alone("complete", **_under(claim)))
            return
        with self._engine.begin() as connection:
            _held(run(connection, "complete", **_under(claim)))
            _settle(connection, claim, by)

    def start_undo(self, claim: Claim, reason: str) -> bool:
        """Have the flow undone from now on; return False if it cannot be: it has passed its pivot."""
        with self._engine.begin() as connection:
            _held(run(connection, "guard", **_under(claim)))
            return undoing.start(connection, claim.id, reason)

    def undone(self, connection: Connection, claim: Claim, by: str) -> None:
        """End a flow that is undone, in the transaction of its undo handler."""
        _held(run(connection, "undone", **_under(claim)))
        connection.execute(_clause("close_undo_failed"), {"id": claim.id, "by": by})
        _settle(connection, claim, by)

    def block(self, claim: Claim, error: str, kind: Kind, *, severity: Literal[1, 2] = 2, **incident: Any) -> None:
        """Leave the flow to a person, with an incident about it, or about the call that `incident` names."""
        with self._engine.begin() as connection:
            _held(run(connection, "block", **_under(claim), error=error))
            about: dict[str, Any] = {"flow_id": claim.id, "ref": claim.key} | incident
            open_incident(connection, kind, severity=severity, **about)

    def _alone(self, name: str, **values: Any) -> Sequence[Row[Any]]:
        with self._single.connect() as connection:
            return run(connection, name, **values)


def _settle(connection: Connection, claim: Claim, by: str) -> None:
    """Close what the flow's end settles, and open what it leaves."""
    close_incidents(connection, flow_id=claim.id, kinds=INCIDENTS, by=by)
    open_late(connection, claim.name, claim.key, claim.id)


def _under(claim: Claim) -> dict[str, Any]:
    return {"id": claim.id, "epoch": claim.epoch}


def _held(rows: Sequence[Row[Any]]) -> Row[Any]:
    """Return the row that a guarded statement found."""
    if not rows:
        raise LeaseLost("another worker has claimed the flow")
    return rows[0]


def _recorded(row: Row[Any]) -> Recorded:
    if row.kind == "call":
        return Recorded(Question.of("call", row.provider, row.operation))
    return Recorded(Question(row.kind, bytes(row.fingerprint)), row.result, row.until, row.over)
