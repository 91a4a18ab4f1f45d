"""Which of several instances relays a source, without a word between them.

Each ranks all of them for a source by rendezvous hashing, so all come to the same order, and when one goes only its
sources move. The first takes a source at once. Another steps in when it has seen nobody own it for a while, the longer
the later it comes. One that comes back claims its source by a second advisory lock: the owner cannot take that lock for
a moment, finishes its pages and lets go. Nothing is written for any of it.
"""

import time
from collections.abc import Sequence
from hashlib import blake2b

from onceward_relay.session import Session, sql
from onceward_relay.stop import Stop

STEP = 5.0
"""Seconds for which a source is left to each instance that comes before: a restart takes less."""
LONGEST = 15.0
"""Seconds after which everybody steps in."""
LOOK_EVERY = 2.0
"""Seconds between two looks of an owner whether its source is claimed."""


def ranking(source: str, instances: Sequence[str]) -> list[str]:
    """Return the instances in the order in which they come for a source."""
    return sorted(instances, key=lambda name: blake2b(f"{name}\0{source}".encode()).digest())


class Share:
    """The place of one instance among those that share a source; none others without `instances`."""

    def __init__(self, source: str, relay: str, instances: Sequence[str] = ()) -> None:
        self._source = source
        self._relay = relay
        self.settle(instances)

    def settle(self, instances: Sequence[str]) -> None:
        """Go over to other instances."""
        self._order = ranking(self._source, instances)

    def _place(self, relay: str) -> int:
        return self._order.index(relay) if relay in self._order else len(self._order)

    @property
    def is_first(self) -> bool:
        """Whether nobody comes before this instance."""
        return not self._order or self._order[0] == self._relay

    @property
    def patience(self) -> float:
        """Seconds for which an unowned source is left to those that come before."""
        return min(LONGEST, STEP * self._place(self._relay))

    def comes_before(self, owner: str | None) -> bool:
        """Whether this instance may claim the source from its owner."""
        return owner is not None and self._place(self._relay) < self._place(owner)


class Tenure(Stop):
    """The time of one owner: over when its source is to stop, or when an instance that comes before claims it."""

    def __init__(self, source: Stop, session: Session, share: Share, timeout: float) -> None:
        super().__init__(timeout)
        self._source = source
        self._session = session
        self._share = share
        self._looked_at = time.monotonic()

    @property
    def asked(self) -> bool:
        """Whether what is under way is to be finished, and nothing begun."""
        return self.claimed or self._source.asked

    @property
    def claimed(self) -> bool:
        """Whether another instance is to have the source."""
        return super().asked

    def check(self) -> None:
        """Give up what is under way once it has had its time.

        Raises:
            Stopping: the time is over.

        """
        self._source.check()
        super().check()

    def look(self) -> None:
        """Look whether the source is claimed, if it is time."""
        now = time.monotonic()
        if self._share.is_first or self.claimed or now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        if not self._session.query(sql("unclaimed"))[0][0]:
            self.ask()
