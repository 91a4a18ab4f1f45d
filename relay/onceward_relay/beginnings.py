"""What one producer has begun, so that nothing lands behind a gap.

A batch that Kafka refuses for good leaves a gap in its partition's sequence, and the broker refuses what is under way
behind it. But not if it was the first that the partition had from this producer: a broker that does not know a producer
takes any number for its first, so later rows of the key would land. So of each key one row is acknowledged before the
others go, until each partition of the topic has had one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from onceward_relay.outbox import KEY, TOPIC
from onceward_relay.session import Row

Place = tuple[str, bytes | None]
"""A topic and a key."""


class Beginnings:
    """Keys and partitions of which a producer had a row acknowledged."""

    def __init__(self) -> None:
        self._keys: set[Place] = set()
        self._partitions: dict[str, set[int]] = defaultdict(set)

    def clear(self) -> None:
        """Begin anew: with another producer."""
        self._keys.clear()
        self._partitions = defaultdict(set)

    def partitions(self, topic: str) -> set[int]:
        """Return the partitions of a topic, to add to when a row is acknowledged."""
        return self._partitions[topic]

    def whole(self, topic: str, partitions: int) -> bool:
        """Return whether each of the topic's `partitions` has had a row, so that its keys need not be looked at."""
        return 0 < partitions <= len(self._partitions[topic])

    def add(self, places: Iterable[Place]) -> None:
        """Note that a row of each of these was acknowledged."""
        self._keys.update(places)

    def first(self, rows: Iterable[Row]) -> list[Row]:
        """Return the first row of each key that has not begun. Rows without a key have no order to keep."""
        firsts: dict[Place, Row] = {}
        for row in rows:
            place = row[TOPIC], row[KEY]
            if place[1] is not None and place not in self._keys:
                firsts.setdefault(place, row)
        return list(firsts.values())

    def up_to_a_second(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the first of `rows`, up to the second one of a key that has not begun."""
        seen: set[Place] = set()
        for count, row in enumerate(rows):
            place = row[TOPIC], row[KEY]
            if place[1] is None or place in self._keys:
                continue
            if place in seen:
                return rows[:count]
            seen.add(place)
        return rows
