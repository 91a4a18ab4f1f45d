"""Samples of each source, taken in the background and kept in memory for an hour: what the charts show."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from onceward_relay.console.participants import Participant, Participants
from onceward_relay.people.deciding import in_words

log = logging.getLogger(__name__)
EVERY = 15.0
"""Seconds between two samples."""
KEPT = 240
"""Samples of each source: an hour."""
PATIENCE = 5.0
"""Seconds that a source has to answer a sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How a source stood at one moment."""

    at: datetime
    figures: dict[str, Any] | None
    """As `onceward.source_figures()` tells them; None: it did not answer."""
    why: str | None = None
    """Why it did not."""
    published: float | None = None
    """Messages that were written a second since the sample before, by ids; None where that is not known."""
    relayed: float | None = None
    """Messages that were settled a second since then: acknowledged by Kafka, or set aside."""

    @property
    def lag_rows(self) -> int | None:
        """Messages that wait."""
        return None if self.figures is None else self.figures["lag_rows"]

    @property
    def lag_seconds(self) -> float | None:
        """Age of the oldest message that waits; 0 if none does."""
        if self.figures is None or self.figures["lag_rows"] is None:
            return None
        oldest = self.figures["oldest"]
        return 0.0 if oldest is None else max(0.0, (self.figures["at"] - oldest).total_seconds())


class Samples:
    """The last hour of each source."""

    def __init__(self, participants: Participants) -> None:
        self._participants = participants
        self._kept: dict[str, deque[Sample]] = {name: deque(maxlen=KEPT) for name in participants}
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()

    def of(self, name: str) -> Sequence[Sample]:
        """Return a source's samples, the oldest first."""
        return tuple(self._kept[name])

    @property
    def taken(self) -> str:
        """What changes with each sample."""
        return max((str(kept[-1].at.timestamp()) for kept in self._kept.values() if kept), default="")

    def start(self) -> None:
        """Begin to take samples."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Take no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ready(self, patience: float) -> None:
        """Wait until the first samples are there, but not for long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), patience)

    async def take(self) -> None:
        """Take a sample of each source."""
        await asyncio.gather(*map(self._take_of, self._participants.values()))
        self._first.set()

    async def _run(self) -> None:
        while True:
            await self.take()
            await asyncio.sleep(EVERY)

    async def _take_of(self, participant: Participant) -> None:
        kept = self._kept[participant.name]
        now = datetime.now(UTC)
        try:
            async with asyncio.timeout(PATIENCE):
                rows = await participant.rows("source", {})
        except TimeoutError:
            kept.append(Sample(now, None, f"did not answer within {PATIENCE:.0f} s"))
        except psycopg.Error as error:
            log.warning("source %s cannot be seen: %s", participant.name, type(error).__name__)
            kept.append(Sample(now, None, in_words(error)))
        else:
            kept.append(_beside(kept[-1] if kept else None, now, rows[0]))


def _beside(last: Sample | None, now: datetime, figures: dict[str, Any]) -> Sample:
    """Return a sample with the rates since the one before."""
    if last is None or last.figures is None or last.figures["newest_id"] > figures["newest_id"]:
        return Sample(now, figures)
    seconds = (figures["at"] - last.figures["at"]).total_seconds()
    if seconds <= 0:
        return Sample(now, figures)
    published = (figures["newest_id"] - last.figures["newest_id"]) / seconds
    settled = [_settled(each) for each in (last.figures, figures)]
    relayed = None if None in settled else max(0.0, (settled[1] - settled[0]) / seconds)  # type: ignore[operator]
    return Sample(now, figures, None, published, relayed)


def _settled(figures: dict[str, Any]) -> int | None:
    """Return up to which id all is settled, about: late rows have lower ones."""
    return None if figures["lag_rows"] is None else figures["newest_id"] - figures["lag_rows"]
