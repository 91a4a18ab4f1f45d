"""What was set aside goes out, in order: once a person says so, or Kafka takes a topic again.

While a hold is being released, later messages of its keys still line up behind it. It ends in the transaction that
removes its last message; only then is anything of its keys sent from the outbox again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog

from onceward.failpoint import failpoint
from onceward_relay.holds import Holds, SetAside, incident_of, write_holds
from onceward_relay.kafka import Pulse
from onceward_relay.metrics import Meter
from onceward_relay.outbox import ID, KEY, MESSAGE_ID, PAGE_BYTES, PAGE_ROWS, TOPIC
from onceward_relay.pages import Page
from onceward_relay.sender import Link, Sender
from onceward_relay.session import Row, Session, sql
from onceward_relay.traces import Traces

TURN = 0.5
"""Seconds that releases may take before all other messages have their turn again."""
LOOK_EVERY = 1.0
"""Seconds between two looks for holds that are to be released, while there are any holds."""
HEAL_EVERY = 5.0
"""Seconds between two looks whether Kafka takes a held topic again."""


@dataclass(frozen=True, slots=True)
class Release:
    """A hold that is being released."""

    hold_id: UUID
    topic: str
    key: bytes | None


class Releases:
    """Releases the holds of one source."""

    def __init__(self, session: Session, holds: Holds, link: Link, meter: Meter, pulse: Pulse, relay: str) -> None:
        self._session = session
        self._holds = holds
        self._link = link
        self._meter = meter
        self._pulse = pulse
        self._relay = relay
        self._log = structlog.get_logger("onceward.relay").bind(source=link.name)
        self._traces = Traces(link.name)
        self._sender = Sender(link, holds, pulse)
        self._looked_at = 0.0
        self._healed_at = 0.0

    def run(self, settle_all: Callable[[], None]) -> bool:
        """Send pages of holds that are to be released, for one turn; return whether there was any.

        Args:
            settle_all: settles and checkpoints what is under way; called before anything is sent.
        """
        if not self._holds or time.monotonic() - self._looked_at < LOOK_EVERY:
            return False
        waiting = [
            (Release(UUID(hold), topic, key), state, heals)
            for hold, topic, key, state, heals in self._session.query(sql("releasing"), binary=True)
        ]
        due = [release for release, state, _ in waiting if state == "releasing"]
        due += self._healed([release for release, state, heals in waiting if heals and state == "held"])
        if not due:
            self._looked_at = time.monotonic()
            self.close()
            return False
        settle_all()
        self._link.topics.forget({release.topic for release in due})
        end = time.monotonic() + TURN
        for release in due:
            self._next_page(release)
            if time.monotonic() >= end:
                break
        return True

    def close(self) -> None:
        """Throw away the producer of the releases. One serves them all: a new one waits half a second for its id."""
        self._sender.discard()

    def _healed(self, holds: list[Release]) -> list[Release]:
        """Return those whose topics Kafka takes again, marked as such."""
        if not holds or time.monotonic() - self._healed_at < HEAL_EVERY:
            return []
        self._healed_at = time.monotonic()
        good = self._link.topics.good({hold.topic for hold in holds}, self._pulse)
        healed = [hold for hold in holds if hold.topic in good]
        if healed:
            with self._session.writing() as connection:
                connection.execute(sql("heal"), {"holds": [hold.hold_id for hold in healed]})
        return healed

    def _next_page(self, release: Release) -> None:
        """Send what waits first in a hold, and write down what came of it."""
        question = {"hold": release.hold_id, "limit": PAGE_ROWS, "bytes": PAGE_BYTES}
        page = Page(self._session.query(sql("held_rows"), question, binary=True), self._session.position)
        self._sender.holds = refusing = Refusing(self._holds, release)
        self._sender.settle(page)
        failpoint("relay.released")
        self._write(release, page, refusing)

    def _write(self, release: Release, page: Page, refusing: "Refusing") -> None:
        aside = page.aside
        sent = [row[ID] for row in page.sent]
        hold = {"hold": release.hold_id, "relay": self._relay}
        with self._session.writing() as connection, connection.cursor() as cursor:
            write_holds(cursor, aside, self._relay)
            cursor.execute(sql("let_go"), {**hold, "ids": sent})
            if aside:
                write_again(cursor, aside)
            if refusing.reason is not None:
                cursor.execute(sql("hold_again"), {**hold, "reason": refusing.reason})
            ended = cursor.execute(sql("end_hold"), hold).fetchone() == (1,)
            if ended:
                cursor.execute(sql("remove_hold"), hold)
        self._traces.sent(page.sent)
        self._tell(release, len(sent), refusing.reason, ended=ended)

    def _tell(self, release: Release, sent: int, reason: str | None, *, ended: bool) -> None:
        if ended:
            self._holds.forget(release.hold_id, release.topic, release.key)
        self._meter.holds(self._holds.keys, self._holds.topics)
        self._meter.released(sent)
        log = self._log.bind(hold=str(release.hold_id), topic=release.topic, sent=sent)
        if reason is not None:
            log.error("held again", reason=reason)
        elif ended:
            log.info("hold released")


def write_again(cursor: "psycopg.Cursor[Row]", aside: SetAside) -> None:
    """Write what is set aside once more, of messages that were set aside before."""
    ids, holds, states, errors = map(list, zip(*aside.messages, strict=True))
    cursor.execute(sql("held_again"), {"ids": ids, "holds": holds, "states": states, "errors": errors})


class Refusing(Holds):
    """The holds as a release sees them: its own stands in nobody's way until one of its messages is refused again."""

    def __init__(self, holds: Holds, release: Release) -> None:
        self._holds = holds
        self._release = release
        self.reason: str | None = None
        """Why the hold stays, once that is known."""

    def touch(self, topic: str) -> bool:  # noqa: ARG002 -- the signature of Holds
        """Let every row be looked at."""
        return True

    def over(self, topic: str, key: bytes | None) -> UUID | None:
        """Return the hold that messages of this key wait behind: their own once one of it was refused again."""
        if self.reason is not None:
            return self._release.hold_id
        found = self._holds.over(topic, key)
        return None if found == self._release.hold_id else found

    def poison(self, aside: SetAside, row: Row, error: str) -> None:
        """Set a message aside again: of a key's hold with all that waits, of a topic's with its key alone."""
        error = error.replace("\0", "")
        hold_id: UUID | None = self._release.hold_id
        if self._release.key is not None:
            self.reason = error
        elif row[KEY] is not None:
            hold_id = self._holds.hold_key(aside, row[TOPIC], row[KEY], error)
        else:
            hold_id = None  # one without a key holds nobody
        aside.messages.append((row[ID], hold_id, "poison", error))
        title = f"Message {row[MESSAGE_ID]} to {row[TOPIC]} cannot be sent: {error}"
        aside.incidents.append(incident_of(row, title, error))

    def hold_topic(self, aside: SetAside, row: Row, reason: str) -> None:
        """Let the hold stay, for its topic is refused again."""
        self.reason = reason
        aside.incidents.append(incident_of(row, f"Topic {row[TOPIC]} is held: it {reason}", reason))
        self.line_up(aside, row, self._release.hold_id)
