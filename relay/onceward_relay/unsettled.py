"""Counts what waits in a participant's database: incidents, calls that are not settled, parked messages."""

import time

import psycopg

from onceward.sqlfiles import statement
from onceward_relay.metrics import Meter
from onceward_relay.outbox import filled_in
from onceward_relay.session import Session, sql

COUNT_EVERY = 30.0
"""Seconds between two counts."""
MOST = 10_000
"""Rows of a table that a count looks at."""
KINDS = ("incidents", "in_doubt", "parked")
"""Each with its statement among those of `onceward status`."""


class Unsettled:
    """Counts for one source, in its session and with the relay's rights."""

    def __init__(self, session: Session, meter: Meter) -> None:
        self._session = session
        self._meter = meter
        self._counted_at = -COUNT_EVERY

    def run(self) -> None:
        """Count, if it is time."""
        if time.monotonic() - self._counted_at >= COUNT_EVERY:
            self._counted_at = time.monotonic()
            for kind in KINDS:
                self._count(kind)
            self._read_figures()

    def _count(self, kind: str) -> None:
        count = filled_in(statement("onceward_relay.status", kind), limit=MOST)
        self._session.finish()
        try:
            with self._session.connection.transaction():
                self._session.query(sql("hardly_wait"))
                [(number,)] = self._session.query(count)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable):
            return  # of an older schema, or being rewritten; what cannot be counted stops nobody
        self._meter.unsettled(kind, number)

    def _read_figures(self) -> None:
        self._session.finish()
        try:
            with self._session.connection.transaction():
                self._session.query(sql("hardly_wait"))
                found = self._session.query(statement("onceward_relay.status", "ledger_figures"))
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.LockNotAvailable,
            psycopg.errors.UndefinedFunction,  # of an older schema
        ):
            return
        self._meter.ledger(
            {(figure, provider or "", currency or ""): float(value) for figure, provider, currency, value in found}
        )
