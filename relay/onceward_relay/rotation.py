"""Empties the slots of the outbox whose rows are all settled, and says who keeps one from being emptied."""

import time
from collections import Counter

import structlog

from onceward_relay.growth import Growth
from onceward_relay.metrics import Meter
from onceward_relay.session import Session, sql

ROTATE_EVERY = 15.0
"""Seconds between two tries. Three slots of ten minutes leave time for many."""
TOLD_AFTER = 600.0
"""Seconds for which a slot must be in use before the log names who uses it."""


class Rotation:
    """Rotates the outbox of one source, in its session."""

    def __init__(self, session: Session, meter: Meter, source: str, limit: int | None = None) -> None:
        self._session = session
        self._meter = meter
        self._log = structlog.get_logger("onceward.relay").bind(source=source)
        self._limit = limit
        self._growth = Growth()
        self._tried_at = time.monotonic()
        self._in_use_since: dict[int, float] = {}

    def run(self) -> None:
        """Try it, if it is time. A slot that is empty or current costs no lock and no WAL."""
        now = time.monotonic()
        if now - self._tried_at < ROTATE_EVERY:
            return
        self._tried_at = now
        slots = self._session.query(sql("rotate"), ())
        self._measure(now, sum(size for _, _, size in slots))
        blockers: Counter[str] = Counter()
        for part, result, _ in slots:
            self._meter.rotated(result)
            if result == "emptied":
                self._log.info("outbox slot emptied", slot=part)
            if result == "in use":
                blockers.update(self._blockers(part, now))
            else:
                self._in_use_since.pop(part, None)
        self._meter.blocked(blockers)

    def _measure(self, now: float, size: int) -> None:
        self._growth.note(now, size)
        self._meter.outbox(size)
        self._meter.growth(self._growth.rate, None if self._limit is None else self._growth.seconds_until(self._limit))

    def _blockers(self, part: int, now: float) -> list[str]:
        """Return the kinds of those who use a slot, and name them in the log if they have done so for long."""
        found = self._session.query(sql("rotation_blockers"), {"part": part})
        if now - self._in_use_since.setdefault(part, now) >= TOLD_AFTER:
            names = [f"{kind} {name}" for kind, name in found]
            self._log.warning("an outbox slot cannot be emptied; the outbox grows", slot=part, blocked_by=names)
            self._in_use_since[part] = now
        return [kind for kind, _ in found]
