"""Takes a page to Kafka in one transaction. What Kafka refuses is found in transactions that are aborted.

The order that everything rests on: produce, every row acknowledged, PLAN (durable in PostgreSQL), commit. The plan is
written in the session that holds the lease and after this producer has fenced off those before, so an owner that was
overtaken in the meantime loses its session, its transaction, or both: it commits nothing.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from onceward.failpoint import failpoint
from onceward_relay.holds import Holds, SetAside
from onceward_relay.kafka import Producer, Pulse, Refusal
from onceward_relay.outbox import HEADERS, ID, PAYLOAD
from onceward_relay.pages import Lane, Page
from onceward_relay.position import Position
from onceward_relay.records import Headers
from onceward_relay.sender import Link, Reports, Sender
from onceward_relay.session import Row
from onceward_relay.transactions import Transactions

NAP = 0.005
"""Seconds for which reports are waited for at a time."""
ASK_AFTER = 0.5
"""Seconds without a report after which the transaction is asked how it is."""


class TransactionalSender(Sender):
    """A sender whose messages are seen once their transaction is committed."""

    def __init__(self, link: Link, holds: Holds, pulse: Pulse, transactions: Transactions) -> None:
        super().__init__(link, holds, pulse)
        self._transactions = transactions
        self._cleared: frozenset[int] = frozenset()
        self._asked_at = 0.0

    def clear(self, rows: Iterable[Row]) -> None:
        """Let these rows go out although their key is held: they were found good, and come before what holds it."""
        self._cleared = frozenset(row[ID] for row in rows)

    def recover(self, pages: Iterable[Page]) -> None:
        """Find out, for every row of `pages`, whether Kafka takes it; whatever is sent for that is aborted.

        It may take longer than a transaction may last: what is found counts, whichever transaction found it.
        """
        self._cleared = frozenset()
        super().recover(pages)

    def delivered(self, page: Page) -> bool:
        """Wait until all of a page that was sent is acknowledged; return False as soon as any of it is refused."""
        left = page.left
        while left and not page.refused and not self.broken:
            self.flush(NAP)
            self._moved_on(left - page.left)
            left = page.left
        return not left and not self.broken

    def discard(self) -> None:
        """Abort what was sent."""
        self._transactions.abort()
        self._begun.clear()

    def _ready(self, linger_ms: float | None = None) -> Producer:  # noqa: ARG002 -- one producer for all: it is flushed
        self._producer = self._transactions.begin_with(self._largest_batch)
        return self._producer

    def _to_begin(self, page: Page) -> list[Row]:  # noqa: ARG002 -- nothing of a transaction with a refusal lands
        return []

    def _ready_to_try(self) -> Producer:
        self._transactions.abort_if_old()
        return self._ready()

    def _admit(self, aside: SetAside, lane: Lane, row: Row, timestamp: int, headers: Headers) -> bool:
        if row[ID] not in self._cleared:
            return super()._admit(aside, lane, row, timestamp, headers)
        headers[5:] = self._recorder.own(row[PAYLOAD], row[HEADERS])
        return True

    def _wait_for(self, producer: Producer, reports: Reports, expected: int) -> None:
        """Wait for reports until one is an error: after it nothing of the transaction goes out any more."""
        seen = len(reports)
        while len(reports) < expected and not any(reports.values()) and not producer.broken:
            producer.flush(NAP)
            self._moved_on(len(reports) - seen)
            seen = len(reports)
        if any(reports.values()):
            producer.broken = producer.broken or "a message was refused"

    def _judge(self, aside: SetAside, row: Row, why: Refusal) -> bool:
        if why.about == "nothing" and self._transactions.refused is not None:
            why = self._transactions.refused  # it was not even tried: its partition could not join the transaction
        return super()._judge(aside, row, why)

    def _moved_on(self, reports: int) -> None:
        """Take note of so many reports. Without any, ask whether the transaction has failed: no report says so."""
        now = time.monotonic()
        if reports:
            self.moved()
        elif now - max(self._moved_at, self._asked_at) > ASK_AFTER and self._producer is not None:
            self._asked_at = now
            self._transactions.ask()
        self.pulse()


def carry(
    rows: Sequence[Row],
    after: Position,
    sender: TransactionalSender,
    plan: Callable[[SetAside], None],
    commit: Callable[[], None],
) -> SetAside:
    """Take rows to Kafka in one transaction, those that cannot be sent excepted.

    `plan` writes down durably that the rows go, and what is set aside; `commit` returns only when they are known to be
    committed. Returns what was set aside.
    """
    aside = SetAside()
    while True:
        page = Page(_without(rows, aside.ids), after)
        sender.send(page)
        if sender.delivered(page):
            failpoint("relay.produced")
            aside.add(page.aside)
            break
        sender.recover([page])
        failpoint("relay.judged")
        aside.add(page.aside)
        sender.clear(_without(page.rows, aside.ids))
    plan(aside)
    failpoint("relay.planned")
    commit()
    return aside


def _without(rows: Sequence[Row], ids: frozenset[int]) -> Sequence[Row]:
    return [row for row in rows if row[ID] not in ids] if ids else rows
