"""What had to be set aside, and what waits behind it.

A key (or a whole topic) of which one message cannot be sent is held: its later messages line up behind, in order,
and everything else flows. Copies go to held_message in the transaction of the checkpoint that passes them.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg

from onceward_relay.outbox import ID, KEY, MESSAGE_ID, TOPIC
from onceward_relay.session import Row, Session, sql

MOST_KEYS = 1000
"""Held keys of one topic; at one more the topic itself is held."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it is to be written."""

    hold_id: UUID
    scope: str
    topic: str
    key: bytes | None
    reason: str
    heals: bool = False
    """Kafka may come to take the topic again by itself."""


@dataclass(slots=True)
class SetAside:
    """What a page leaves behind instead of sending it, to be written with its checkpoint."""

    holds: list[Hold] = field(default_factory=list)
    messages: list[tuple[int, UUID | None, str, str | None]] = field(default_factory=list)
    """(outbox id, hold, state, error)"""
    incidents: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.messages)

    @property
    def ids(self) -> frozenset[int]:
        """Outbox ids of the messages."""
        return frozenset(message[0] for message in self.messages)

    def add(self, more: "SetAside") -> None:
        """Take over what another try at the same page has left behind."""
        self.holds += more.holds
        self.messages += more.messages
        self.incidents += more.incidents


class Holds:
    """The holds of one source: what the database has, and what the pages under way will add."""

    def __init__(self, session: Session) -> None:
        self._keys: dict[tuple[str, bytes], UUID] = {}
        self._topics: dict[str, UUID] = {}
        self._keys_of: Counter[str] = Counter()
        for hold_id, topic, key in session.query(sql("holds"), binary=True):
            self._remember(UUID(hold_id), topic, key)

    def __bool__(self) -> bool:
        return bool(self._keys or self._topics)

    @property
    def keys(self) -> int:
        """How many keys are held."""
        return len(self._keys)

    @property
    def topics(self) -> int:
        """How many topics are held."""
        return len(self._topics)

    def touch(self, topic: str) -> bool:
        """Return whether anything of this topic is held."""
        return topic in self._topics or topic in self._keys_of

    def over(self, topic: str, key: bytes | None) -> UUID | None:
        """Return the hold that messages of this key wait behind, if any. A key's own hold comes before its topic's."""
        return (self._keys.get((topic, key)) if key is not None else None) or self._topics.get(topic)

    def line_up(self, aside: SetAside, row: Row, hold: UUID) -> None:
        """Set a message aside behind a hold."""
        aside.messages.append((row[ID], hold, "behind", None))

    def forget(self, hold_id: UUID, topic: str, key: bytes | None) -> None:
        """Let a hold go: nothing waits in it any more."""
        if key is None and self._topics.get(topic) == hold_id:
            del self._topics[topic]
        elif key is not None and self._keys.get((topic, key)) == hold_id:
            del self._keys[topic, key]
            self._keys_of -= Counter([topic])

    def hold_key(self, aside: SetAside, topic: str, key: bytes, reason: str) -> UUID:
        """Hold one key."""
        return self._hold(aside, "key", topic, key, reason)

    def poison(self, aside: SetAside, row: Row, error: str) -> None:
        """Set a message aside that Kafka can never take, and hold its key. One without a key holds nobody."""
        error = error.replace("\0", "")
        topic, key = row[TOPIC], row[KEY]
        hold_id = None
        title = f"Message {row[MESSAGE_ID]} to {topic} cannot be sent: {error}"
        if key is not None and self._keys_of[topic] >= MOST_KEYS:
            hold_id = self._hold(aside, "topic", topic, None, f"more than {MOST_KEYS} of its keys are held")
            title += f"; and with more than {MOST_KEYS} held keys the whole topic is held"
        elif key is not None:
            hold_id = self.hold_key(aside, topic, key, error)
        aside.messages.append((row[ID], hold_id, "poison", error))
        aside.incidents.append(incident_of(row, title, error))

    def hold_topic(self, aside: SetAside, row: Row, reason: str) -> None:
        """Hold the whole topic of this message, which lines up first."""
        hold_id = self._hold(aside, "topic", row[TOPIC], None, reason, heals=True)
        aside.incidents.append(incident_of(row, f"Topic {row[TOPIC]} is held: it {reason}", reason))
        self.line_up(aside, row, hold_id)

    def _hold(
        self, aside: SetAside, scope: str, topic: str, key: bytes | None, reason: str, *, heals: bool = False
    ) -> UUID:
        hold = Hold(uuid4(), scope, topic, key, reason, heals)
        aside.holds.append(hold)
        self._remember(hold.hold_id, topic, key)
        return hold.hold_id

    def _remember(self, hold_id: UUID, topic: str, key: bytes | None) -> None:
        if key is None:
            self._topics[topic] = hold_id
        else:
            self._keys[topic, key] = hold_id
            self._keys_of[topic] += 1


def write_holds(cursor: "psycopg.Cursor[Row]", aside: SetAside, relay: str) -> None:
    """Write the holds and incidents of what was set aside."""
    for hold in aside.holds:
        cursor.execute(sql("hold"), {**asdict(hold), "actor": relay})
    for incident in aside.incidents:
        cursor.execute(sql("incident"), incident)


def write(connection: "psycopg.Connection[Row]", aside: SetAside, relay: str) -> None:
    """Write what a page has set aside, in the transaction of its checkpoint."""
    with connection.cursor() as cursor:
        write_holds(cursor, aside, relay)
        ids, holds, states, errors = map(list, zip(*aside.messages, strict=True))
        cursor.execute(sql("held_message"), {"ids": ids, "holds": holds, "states": states, "errors": errors})
        if cursor.rowcount != len(ids):
            raise psycopg.DataError(f"{len(ids)} messages to set aside, {cursor.rowcount} of them in the outbox")


def incident_of(row: Row, title: str, error: str) -> dict[str, Any]:
    """Return the incident of a message that cannot be sent."""
    return {"message_id": row[MESSAGE_ID], "grp": f"{row[TOPIC]}/{error[:100]}", "title": title}
