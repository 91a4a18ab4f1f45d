"""Releases in exactly-once mode: messages of a hold are a page like any other, planned by the hold and the last id.

What waits in a hold that is being released does not change but by its release: nobody may decide about it meanwhile,
and nothing lines up behind it while a page is under way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import psycopg

from onceward_relay.carrier import TransactionalSender
from onceward_relay.holds import Holds, SetAside, write_holds
from onceward_relay.kafka import Pulse
from onceward_relay.metrics import Meter
from onceward_relay.outbox import ID, PAGE_BYTES, PAGE_ROWS
from onceward_relay.pages import Page
from onceward_relay.position import Plan
from onceward_relay.releases import Refusing, Release, Releases, write_again
from onceward_relay.sender import Link
from onceward_relay.session import Row, Session, sql

Write = Callable[["psycopg.Connection[Row]", SetAside], None]
"""Writes what a page sets aside, in the transaction of its plan."""


class Carrying(Protocol):
    """What carries pages, one after the other."""

    def plan(self, release: UUID, upto: int) -> Plan:
        """Return the plan of the next page, of messages of a hold."""

    def sender(self, holds: Holds) -> TransactionalSender:
        """Return a sender that sees these holds."""

    def carry(self, rows: Sequence[Row], sender: TransactionalSender, plan: Plan, write: Write) -> SetAside:
        """Carry a page and pass it; return what was set aside."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """What became of a hold with a page of it."""

    sent: int
    topic: str
    key: bytes | None
    reason: str | None
    """Why it is held again, if it is."""
    ended: bool


class ExactlyOnceReleases(Releases):
    """Releases the holds of one source, each page in one Kafka transaction."""

    def __init__(
        self, session: Session, holds: Holds, link: Link, meter: Meter, pulse: Pulse, relay: str, carrying: Carrying
    ) -> None:
        super().__init__(session, holds, link, meter, pulse, relay)
        self._carrying = carrying

    def send_again(self, plan: Plan) -> None:
        """Send a page of a hold that was planned and not committed."""
        assert plan.release is not None
        question = {"hold": plan.release, "upto": plan.upto, "aside": sorted(plan.aside)}
        rows = self._session.query(sql("held_rows_again"), question, binary=True)
        [(topic, key)] = self._session.query(sql("hold_place"), (plan.release,), binary=True)
        refusing = Refusing(self._holds, Release(plan.release, topic, key))
        sender = self._carrying.sender(refusing)
        sender.clear(rows)
        self._carry(rows, sender, plan, refusing)

    def let_go(self, connection: "psycopg.Connection[Row]", plan: Plan) -> LetGo:
        """Write down that a page of a hold is sent, in the transaction that passes it: the hold may end with it."""
        page = {"hold": plan.release, "relay": self._relay, "upto": plan.upto, "aside": sorted(plan.aside)}
        with connection.cursor(binary=True) as cursor:
            topic, key = fetched(cursor.execute(sql("hold_place"), (plan.release,)))
            (sent,) = fetched(cursor.execute(sql("let_go_page"), page))
            again = cursor.execute(sql("hold_again_page"), page).fetchone()
            ended = fetched(cursor.execute(sql("end_hold"), page)) == (1,)
            if ended:
                cursor.execute(sql("remove_hold"), page)
        return LetGo(sent, topic, key, None if again is None else again[0], ended)

    def passed(self, plan: Plan, gone: LetGo) -> None:
        """Tell what became of a hold."""
        assert plan.release is not None
        self._tell(Release(plan.release, gone.topic, gone.key), gone.sent, gone.reason, ended=gone.ended)

    def _next_page(self, release: Release) -> None:
        question = {"hold": release.hold_id, "limit": PAGE_ROWS, "bytes": PAGE_BYTES}
        rows = self._session.query(sql("held_rows"), question, binary=True)
        refusing = Refusing(self._holds, release)
        if not rows:  # all that waited was skipped
            self._write(release, Page((), self._session.position), refusing)
            return
        plan = self._carrying.plan(release.hold_id, rows[-1][ID])
        self._carry(rows, self._carrying.sender(refusing), plan, refusing)

    def _carry(self, rows: Sequence[Row], sender: TransactionalSender, plan: Plan, refusing: Refusing) -> None:

        def write(connection: "psycopg.Connection[Row]", aside: SetAside) -> None:
            with connection.cursor() as cursor:
                write_holds(cursor, aside, self._relay)
                write_again(cursor, aside)
                if refusing.reason is not None:
                    cursor.execute(sql("hold_reason"), {"hold": plan.release, "reason": refusing.reason})

        self._carrying.carry(rows, sender, plan, write)


def fetched(cursor: "psycopg.Cursor[Row]") -> Row:
    """Return the one row of an answer."""
    row = cursor.fetchone()
    assert row is not None
    return row
