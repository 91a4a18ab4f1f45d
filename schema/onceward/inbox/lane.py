"""The records of one assigned partition on their way into the inbox: handed on in order, one batch at a time."""

from collections import deque
from collections.abc import Sequence
from threading import Event, Lock

from onceward.inbox.record import Record

BATCH_RECORDS, BATCH_BYTES = 500, 4 << 20
CROWDED_RECORDS, CROWDED_BYTES = 2000, 16 << 20


class Lane:
    """A queue whose next batch is out only when the one before is settled. Filled by one thread, emptied by others."""

    def __init__(self) -> None:
        self.gave_up = Event()
        """Set when the partition is taken away: what is under way ends as soon as it can, and nothing new begins."""
        self.idle = Event()
        """Set while no batch is out."""
        self.idle.set()
        self.position: int | None = None
        """The offset behind the last settled record."""
        self.committed: int | None = None
        """The position that Kafka was last told."""
        self.paused = False
        """Whether the Kafka client was told to fetch no more."""
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._lock = Lock()

    def add(self, record: Record) -> None:
        """Let a record wait behind the others."""
        with self._lock:
            self._waiting.append(record)
            self._bytes += record.size

    @property
    def crowded(self) -> bool:
        """Whether so much is waiting that no more should be fetched."""
        return len(self._waiting) >= CROWDED_RECORDS or self._bytes >= CROWDED_BYTES

    @property
    def roomy(self) -> bool:
        """Whether more should be fetched: half of what makes it crowded is gone."""
        return len(self._waiting) <= CROWDED_RECORDS // 2 and self._bytes <= CROWDED_BYTES // 2

    def next_batch(self) -> list[Record]:
        """Return the next records; none if a batch is out already, nothing is waiting, or the lane is given up."""
        with self._lock:
            batch: list[Record] = []
            if self.gave_up.is_set() or not self.idle.is_set():
                return batch
            left = BATCH_BYTES
            while self._waiting and left > 0 and len(batch) < BATCH_RECORDS:
                batch.append(self._waiting.popleft())
                left -= batch[-1].size
                self._bytes -= batch[-1].size
            if batch:
                self.idle.clear()
            return batch

    def end_batch(self, batch: Sequence[Record], settled: int) -> None:
        """Take note that the first `settled` records of the batch are settled and no more of it will be."""
        if settled:
            self.position = batch[settled - 1].offset + 1
        self.idle.set()
