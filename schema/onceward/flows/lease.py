"""A worker's claim of a flow, for a time that it can lengthen."""

import time
from datetime import timedelta

from onceward.flows.store import Claim, Store

LEASE = timedelta(seconds=30)
"""How long a claim lasts by default; then others take the flow."""


class Lease:
    """Keeps a claim from ending during a step. What it takes for its end is never later than the database's."""

    def __init__(self, store: Store, claim: Claim, length: float, claimed_at: float) -> None:
        self.signals = claim.signals
        """The flow's signals, read before the step under way began to look at anything."""
        self._store = store
        self._claim = claim
        self._length = length
        self._margin = length / 3
        self._end = claimed_at + length

    def cover(self, seconds: float) -> None:
        """Make sure that the claim lasts for a step of so many seconds, and some more.

        Raises:
            LeaseLost: another worker has the flow.
        """
        needed = seconds + self._margin
        now = time.monotonic()
        if self._end - now < needed:
            length = max(self._length, needed)
            self.signals = self._store.extend(self._claim, length)
            self._end = now + length
