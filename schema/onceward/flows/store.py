"""The statements over the flows' tables."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause, text

from onceward.errors import LeaseLost
from onceward.flows.steps import Question, Recorded
from onceward.incidents import Kind, close_incidents, open_incident
from onceward.sqlfiles import statement
from onceward.tracing import Carrier

INCIDENTS: tuple[Kind, ...] = ("flow_error", "flow_diverged")
"""What blocks a flow."""


@cache
def _clause(name: str) -> TextClause:
    return text(statement("onceward.flows", name))


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
    trace: Carrier | None = None
    """Where in a trace it was started."""


class Store:
    """The flows' rows. What is written under a claim is written only while it lasts; else LeaseLost is raised."""

    def __init__(self, engine: Engine) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    def claim(self, names: Collection[str], worker: str, lease: float) -> Claim | None:
        """Claim the flow of one of these names that has been due the longest, for `lease` seconds."""
        rows = self._alone("claim", names=list(names), worker=worker, lease=lease)
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
    def step(self, claim: Claim) -> Iterator[Connection]:
        """Give a transaction that commits at the end of the block; while it is open nobody else can claim the flow."""
        with self._engine.begin() as connection:
            _held(_run(connection, "guard", **_under(claim)))
            yield connection

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
        found: str | None = _run(connection, "record_step", id=claim.id, **values)[0].result
        return found

    def park(self, claim: Claim, signals: int) -> bool:
        """Let the flow wait for a signal; return False if one came since `signals` was read: it is due again."""
        return bool(_held(self._alone("park", **_under(claim), signals=signals)).state == "waiting")

    def release(self, claim: Claim) -> None:
        """Give the claim back."""
        _held(self._alone("release", **_under(claim)))

    def retry(self, claim: Claim, wait: float, error: str) -> None:
        """Have a failed run repeated in `wait` seconds."""
        _held(self._alone("retry", **_under(claim), wait=wait, error=error))

    def complete(self, claim: Claim, by: str) -> None:
        """End the flow, and the incidents that earlier runs opened."""
        if not claim.troubled:
            _held(self._alone("complete", **_under(claim)))
            return
        with self._engine.begin() as connection:
            _held(_run(connection, "complete", **_under(claim)))
            close_incidents(connection, flow_id=claim.id, kinds=INCIDENTS, by=by)

    def block(self, claim: Claim, error: str, kind: Kind, grp: str, title: str) -> None:
        """Leave the flow to a person."""
        with self._engine.begin() as connection:
            _held(_run(connection, "block", **_under(claim), error=error))
            open_incident(connection, kind, flow_id=claim.id, ref=claim.key, grp=grp, severity=2, title=title)

    def _alone(self, name: str, **values: Any) -> Sequence[Row[Any]]:
        with self._single.connect() as connection:
            return _run(connection, name, **values)


def _run(connection: Connection, name: str, **values: Any) -> Sequence[Row[Any]]:
    return connection.execute(_clause(name), values).all()


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
    return Recorded(Question(row.kind, bytes(row.fingerprint)), row.result)
