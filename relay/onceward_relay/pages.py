"""A page: outbox rows that go to Kafka together, and what is known of each."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from onceward_relay.holds import SetAside
from onceward_relay.kafka import Refusal, refusal
from onceward_relay.outbox import HEADERS, ID, KEY, PAYLOAD, TOPIC
from onceward_relay.position import Position
from onceward_relay.records import RESERVE, now_ms
from onceward_relay.session import Row
from onceward_relay.topics import Topic


class Lane:
    """The rows of one topic in one page: what the topic takes, and the reports that came."""

    __slots__ = (
        "_plain",
        "acknowledged",
        "confirmed",
        "destination",
        "facts",
        "oldest",
        "refused",
        "reported",
        "small",
    )

    def __init__(self, destination: str, facts: Topic, begun: set[int], *, plain: bool) -> None:
        self.destination = destination
        """The topic's name in Kafka."""
        self._plain = plain
        self.learn(facts)
        self.confirmed = False
        """Whether the facts were asked for again before a verdict was based on them."""
        self.acknowledged: list[bytes | None] = []
        """Keys of the OK reports. The n-th of a key is for the n-th row of that key: what landed is a prefix."""
        self.refused: list[tuple[bytes | None, Refusal]] = []
        self.reported = self._reporter(begun if len(begun) < facts.partitions else None)

    def learn(self, facts: Topic) -> None:
        """Take over what Kafka says of the topic."""
        self.facts = facts
        takes_all = self._plain and facts.problem is None and not facts.needs_key
        self.small = facts.max_bytes - RESERVE if takes_all else -1
        """A payload of so many bytes without headers of its own certainly fits. -1: look at every row."""
        self.oldest = now_ms() - facts.past_ms
        """Earliest timestamp that the topic takes."""

    def look_at_every_row(self) -> None:
        """Let none pass unseen from here on: a key of the topic is held, whatever is learnt of the topic."""
        self._plain, self.small = False, -1

    def unfit(self, key: bytes | None, size: int, timestamp: int) -> str | None:
        """Return why Kafka would never take a message, alone in a batch of `size` bytes."""
        if size > self.facts.max_bytes:
            return (
                f"with {size} bytes it is larger than max.message.bytes of {self.destination}, {self.facts.max_bytes}"
            )
        if timestamp < self.oldest:
            return f"it is older than message.timestamp.before.max.ms of {self.destination}, {self.facts.past_ms}"
        if key is None and self.facts.needs_key:
            return f"it has no key, and {self.destination} is compacted"
        return None

    def _reporter(self, begun: set[int] | None) -> Callable[[Any, Any], None]:
        acknowledge, refuse = self.acknowledged.append, self.refused.append

        def reported_first(error: Any, message: Any) -> None:
            reported(error, message)
            if error is None and begun is not None:
                begun.add(message.partition())

        def reported(error: Any, message: Any) -> None:
            if error is None:
                acknowledge(message.key())
            else:
                refuse((message.key(), refusal(error)))

        return reported if begun is None else reported_first


@dataclass(slots=True)
class Page:
    """Rows that go to Kafka together, and the position once all of them are settled."""

    rows: Sequence[Row]
    next: Position
    lanes: dict[str, Lane] = field(default_factory=dict)
    aside: SetAside = field(default_factory=SetAside)
    recovered: bool = False
    """Settled after an error, whatever the first reports said."""

    @property
    def sent(self) -> Sequence[Row]:
        """Once it is settled: the rows that Kafka has, which are those that were not set aside."""
        if not self.aside:
            return self.rows
        aside = {message[0] for message in self.aside.messages}
        return [row for row in self.rows if row[ID] not in aside]

    @property
    def left(self) -> int:
        """How many rows are neither acknowledged nor set aside."""
        if self.recovered:
            return 0
        return len(self.rows) - len(self.aside.messages) - sum(len(lane.acknowledged) for lane in self.lanes.values())

    @property
    def refused(self) -> bool:
        """Whether an error report came."""
        return any(lane.refused for lane in self.lanes.values())

    def remains(self) -> tuple[list[Row], set[int]]:
        """Return the rows without an OK report, and the ids of those among them that may have been refused.

        A report does not say which row it is for, and need not: of a key, the first rows have landed and the next
        were refused. Of rows without a key nobody knows which they were, so all of them go again.
        """
        aside = {message[0] for message in self.aside.messages}
        landed = Counter(
            (topic, key) for topic, lane in self.lanes.items() for key in lane.acknowledged if key is not None
        )
        refused = Counter(
            (topic, key) for topic, lane in self.lanes.items() for key, why in lane.refused if why.about != "nothing"
        )
        left: list[Row] = []
        suspects: set[int] = set()
        for row in self.rows:
            place = row[TOPIC], row[KEY]
            if row[ID] in aside:
                continue
            if landed[place] > 0:
                landed[place] -= 1
                continue
            left.append(row)
            if refused[place] > 0:
                suspects.add(row[ID])
                refused[place] -= row[KEY] is not None
        return left, suspects


def mean_size(rows: Sequence[Row]) -> float:
    """Return the mean bytes of key, payload and headers, from some hundred of the rows; 0 if there are none."""
    some = rows[:: 1 + len(rows) // 100]
    return sum(len(row[KEY] or b"") + len(row[PAYLOAD] or b"") + len(row[HEADERS]) for row in some) / max(1, len(some))
