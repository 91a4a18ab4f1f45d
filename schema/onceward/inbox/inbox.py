"""The parts of the inbox, put together for one consumer group."""

from collections.abc import Sequence
from datetime import timedelta
from threading import Event

from sqlalchemy import Engine

from onceward.backoff import Backoff
from onceward.inbox.counts import Counts
from onceward.inbox.parking import Parking
from onceward.inbox.record import Record
from onceward.inbox.retrying import Retrying
from onceward.inbox.tables import Tables
from onceward.inbox.taking import Taking
from onceward.participant import Participant

RETRIES = Backoff(timedelta(seconds=10), timedelta(hours=1))
"""Between tries of a parked message."""
IDLE_LIMIT = timedelta(minutes=5)
"""How long a handler may leave its transaction without a statement before PostgreSQL ends it."""


class Inbox:
    """The inbox of one consumer group in the participant's database."""

    def __init__(
        self,
        participant: Participant,
        engine: Engine,
        consumer: str,
        *,
        retries: Backoff = RETRIES,
        idle_limit: timedelta = IDLE_LIMIT,
    ) -> None:
        self.counts = Counts()
        """What was done since the start."""
        tables = Tables(engine, consumer, idle_limit)
        parking = Parking(tables, retries, self.counts)
        self._taking = Taking(participant, tables, parking, self.counts)
        self._retrying = Retrying(participant, tables, parking, self.counts)

    def take(self, records: Sequence[Record], gave_up: Event) -> int:
        """Settle records of one partition in order; return how many: all, unless `gave_up` was set on the way.

        A settled record is handled, set aside, or was taken before, and that is committed: the offset may move past it.
        """
        return self._taking.take(records, gave_up)

    def retry(self, gave_up: Event) -> None:
        """Try the parked messages that are due, until `gave_up` is set."""
        self._retrying.retry(gave_up)
