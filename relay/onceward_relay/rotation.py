"""Empties the slots of the outbox whose rows are all settled, and says who keeps one from being emptied."""

import time

import structlog

from onceward_relay.metrics import Meter
from onceward_relay.session import Session, sql

ROTATE_EVERY = 5.0
"""Seconds between two tries. Three slots of ten minutes leave time for many."""
TOLD_AFTER = 600.0
"""Seconds for which a slot must be in use before the log names who uses it."""


class Rotation:
    """Rotates the outbox of one source, in its session."""

    def __init__(self, session: Session, meter: Meter, source: str) -> None:
        self._session = session
        self._meter = meter
        self._log = structlog.get_logger("onceward.relay").bind(source=source)
        self._tried_at = time.monotonic()
        self._in_use_since: dict[int, float] = {}

    def run(self) -> None:
        """Try it, if it is time. A slot that is empty or current costs no lock and no WAL."""
        now = time.monotonic()
        if now - self._tried_at < ROTATE_EVERY:
            return
        self._tried_at = now
        slots = self._session.query(sql("rotate"), ())
        self._meter.outbox(sum(size for _, _, size in slots))
        for part, result, _ in slots:
            self._meter.rotated(result)
            if result == "emptied":
                self._log.info("outbox slot emptied", slot=part)
            if result != "in use":
                self._in_use_since.pop(part, None)
            elif now - self._in_use_since.setdefault(part, now) >= TOLD_AFTER:
                self._name_blockers(part)
                self._in_use_since[part] = now

    def _name_blockers(self, part: int) -> None:
        names = [name for (name,) in self._session.query(sql("rotation_blockers"), {"part": part})]
        self._log.warning("an outbox slot cannot be emptied; the outbox grows", slot=part, blocked_by=names)
