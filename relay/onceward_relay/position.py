"""How far a source has got: PostgreSQL snapshots, the position made of them, and the window between two."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A `pg_snapshot`: which transactions are visible."""

    text: str
    xmin: int
    """All transactions below are visible, if they were not rolled back."""
    xmax: int
    """No transaction from here on is visible."""
    running: frozenset[int]
    """Transactions below xmax that are not visible either: they had not ended."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read PostgreSQL's form, `xmin:xmax:xip,xip`."""
        xmin, xmax, running = text.split(":")
        return cls(text, int(xmin), int(xmax), frozenset(map(int, running.split(","))) if running else frozenset())


START = Snapshot.parse("1:1:")
"""Nothing is visible: the position of a source that was never relayed."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything visible in `s1` is settled; with an open window also the rows visible in `s2` up to `last_id`."""

    s1: Snapshot
    s2: Snapshot | None = None
    last_id: int | None = None

    def bounds(self) -> dict[str, int | Snapshot]:
        """Return what a scan of the open window by id compares each row with."""
        assert self.s2 is not None
        return {"s1": self.s1, "s2": self.s2, "s1_xmax": self.s1.xmax, "s2_xmin": self.s2.xmin}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one Kafka transaction carries: written down before it is committed, so that the very same can be sent again.

    A page is what lies between two positions, or with `release` the first messages of a hold. What lies between two
    positions that are written down never changes: no transaction id below them is given again.
    """

    page: int
    """Its number, which the transaction commits as an offset."""
    after: Position
    """The position once it is committed."""
    aside: frozenset[int] = frozenset()
    """Ids of its rows that are set aside instead."""
    release: UUID | None = None
    """The hold whose messages it carries."""
    upto: int | None = None
    """Id of the last of those."""

    @property
    def mark(self) -> str:
        """Return what its transaction commits with the number: another source of this name has other pages under it."""
        s1, s2, last_id = self.after.s1, self.after.s2, self.after.last_id
        what = (self.page, s1.text, s2 and s2.text, last_id, self.release, self.upto)
        return sha256(repr(what).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Window:
    """What is visible in `after` and was not visible in `before`."""

    before: Snapshot
    after: Snapshot

    @property
    def late(self) -> frozenset[int]:
        """Transactions that were running at `before` and have ended since.

        Leaving these out loses every message of a transaction that outlived a window.
        """
        return frozenset(xid for xid in self.before.running - self.after.running if xid < self.after.xmax)

    def condition(self) -> str:
        """Return the window as SQL over `xid`, with its bounds as literals, for which the planner can choose the index.

        Made of integers only. Covers exactly the rows that pg_visible_in_snapshot() would give, by way of the index.
        """
        new = f"xid >= '{self.before.xmax}'::xid8 AND xid < '{self.after.xmax}'::xid8"
        if self.after.running:
            new += f" AND xid <> ALL ({_xids(self.after.running)})"
        return f"({new}) OR xid = ANY ({_xids(self.late)})" if self.late else f"({new})"


def _xids(xids: frozenset[int]) -> str:
    return "'{" + ",".join(map(str, sorted(xids))) + "}'::xid8[]"
