"""Finds the guilty among rows that Kafka refused together.

In a batch the innocent are refused with the guilty, so a refusal counts only for a row that went alone. To send every
row alone would be a round trip for each. So parts of them go together: what is acknowledged is innocent, of what is
refused a smaller part goes next, until one is alone. A part is a sixteenth, and not a half, because a refusal costs
some hundred times what an acknowledgement costs: the producer is thrown away, and Kafka gives a new one its id after
half a second. Once a guilty row is found, the others were most likely refused for its sake: the next go alone, and then
twice as many each time. With each further verdict more of them go alone before that, so that where many are guilty
there are hardly more refusals than guilty rows.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from onceward_relay.outbox import ID
from onceward_relay.session import Row

PART = 16
"""The part of a refused batch that goes next: one in so many."""


class Suspects:
    """What is left of a page, in order, and whom of it Kafka has refused in a batch."""

    def __init__(self, left: Sequence[Row], suspects: AbstractSet[int]) -> None:
        self._left = list(left)
        self._suspects = set(suspects)
        self._most = _part(len(self._suspects))
        """How many under suspicion go together."""
        self._found = False
        """Whether one that is guilty of the last refusal of a batch was found."""
        self._verdicts = 0
        self._spared = 0
        """Innocent rows that went alone since the last verdict."""
        self._nameless = False
        """Whether the last batch failed and no report named a row."""

    def next(self) -> Sequence[Row]:
        """Return the rows that go together next: the first of what is left. None are left if it is empty."""
        if self._left and self._left[0][ID] in self._suspects and self._most == 1:
            return self._left[:1]
        room = self._most if self._left and self._left[0][ID] in self._suspects else 0
        for count, row in enumerate(self._left):
            if row[ID] in self._suspects:
                if not room:
                    return self._left[:count]
                room -= 1
        return self._left

    def settled(self, batch: Sequence[Row], *, found: bool) -> None:
        """Note that every row of `batch` is acknowledged or set aside, and whether a guilty one was `found` unsent."""
        suspected = batch[0][ID] in self._suspects
        self._left = self._left[len(batch) :]
        self._nameless = False
        self._found = self._found or found
        if not (self._found and suspected):
            return
        self._spared += len(batch)
        if self._most > 1 or self._spared >= 2 ** (self._verdicts - 1):
            self._most *= 2

    def judged(self) -> None:
        """Note that the first row, which went alone, was set aside for what Kafka said."""
        del self._left[0]
        self._found, self._most, self._spared = True, 1, 0
        self._verdicts += 1

    def refused(self, batch: Sequence[Row], unsettled: Sequence[Row], named: AbstractSet[int]) -> bool:
        """Note what is unsettled of `batch`, and the rows `named` as refused; return whether that tells anything.

        A failure that names nobody may be the echo of one before it: the same rows go once more.
        """
        self._left = [*unsettled, *self._left[len(batch) :]]
        if not named and not self._nameless:
            self._nameless = True
            return False
        self._nameless = False
        blamed = named or {row[ID] for row in unsettled}
        self._suspects -= {row[ID] for row in batch}
        self._suspects |= blamed
        self._most = _part(len(blamed))
        self._found = False
        return True


def _part(count: int) -> int:
    return max(1, count // PART)
