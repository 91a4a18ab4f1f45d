"""The window loop in exactly-once mode: page after page, each a Kafka transaction that is planned in PostgreSQL.

Page N + 1 begins only when N is known to be committed. An end that nobody knows is the end of this stream: the next one
asks Kafka, which has the number of the last page in the same transaction as its messages.

```
newest checkpoint    Kafka's number     then
N, confirmed         N, or forgotten    go on after N
N, planned           N, with its mark   it was committed: go on after N
N, planned           N - 1              it was not: send the very same again
no page              any                the first page in this mode is the one after it
anything else                           halt: one of the two has lost what it knew
```
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from uuid import UUID

import structlog

from onceward.failpoint import failpoint
from onceward_relay import holds as holding
from onceward_relay.carrier import TransactionalSender, carry
from onceward_relay.errors import SourceTrouble
from onceward_relay.exactly_once_releases import ExactlyOnceReleases, Write
from onceward_relay.holds import Holds, SetAside
from onceward_relay.kafka import LARGEST_BATCH
from onceward_relay.metrics import Meter
from onceward_relay.outbox import CREATED_AT, ID, Outbox, Probe, Wait
from onceward_relay.pages import Page, mean_size
from onceward_relay.position import Plan, Position, Window
from onceward_relay.records import unix_time
from onceward_relay.rotation import Rotation
from onceward_relay.sender import Link
from onceward_relay.session import Row, Session
from onceward_relay.shares import Tenure
from onceward_relay.stream import AWAKE, LAG_EVERY, LOOKS, MERGE_SECONDS, NO_WAIT, STAY, report_aside
from onceward_relay.traces import Traces
from onceward_relay.transactions import Transactions, identity
from onceward_relay.unsettled import Unsettled


class ExactlyOnceStream:
    """One ownership of one source in exactly-once mode. After any error it is thrown away."""

    def __init__(
        self, session: Session, link: Link, meter: Meter, tenure: Tenure, relay: str, *, idle_wait: float
    ) -> None:
        self._session = session
        self._meter = meter
        self._tenure = tenure
        self._relay = relay
        self._link = link
        self._log = structlog.get_logger("onceward.relay").bind(source=link.name)
        self._outbox = Outbox(session)
        self._holds = Holds(session)
        self._transactions = Transactions(link, self._pulse)
        self._sender = self.sender(self._holds)
        self._releases = ExactlyOnceReleases(session, self._holds, link, meter, self._pulse, relay, self)
        self._rotation = Rotation(session, meter, link.name, link.outbox_limit)
        self._unsettled = Unsettled(session, meter)
        self._traces = Traces(link.name)
        self._at = session.position
        """What is committed."""
        self._page: int | None = None
        """Number of the page committed last; None as long as Kafka was not asked."""
        self._unconfirmed_since: float | None = None
        """Since when the newest checkpoint is a plan that is known to be committed."""
        self._measured_at = 0.0
        self._asleep = Wait(idle_wait, idle_wait / LOOKS)
        meter.holds(self._holds.keys, self._holds.topics)

    def run(self) -> None:
        """Send what is there, stay while rows keep coming, return when none do. Then nothing is under way."""
        self.recover()
        awake_until, wait = -math.inf, self._asleep
        while not self._tenure.asked:
            moved = self._releases.run(self._confirm)
            page = self._next_page(self._patience(wait))
            if page is not None:
                self._send(page)
                moved = True
            self._confirm_if_due()
            self._tenure.look()
            if self._at.s2 is None:
                self._rotation.run()
                self._unsettled.run()
            if moved:
                awake_until = time.monotonic() + STAY
            elif time.monotonic() > awake_until:
                break
            wait = NO_WAIT if moved else AWAKE
            self._meter.idle()
            self._meter.beat()
        self._confirm()

    def close(self) -> None:
        """Throw away what is under way."""
        self._transactions.close()

    def leave(self) -> None:
        """Finish what is planned and go over to sending at least once."""
        self.recover()
        self._session.checkpoint(self._at, durable=True)
        self._session.position, self._session.page, self._session.plan = self._at, None, None

    def recover(self) -> None:
        """Find out what became of the last page, and finish it.

        Raises:
            SourceTrouble: kind halted, if Kafka's word and the checkpoint cannot both be true.

        """
        if self._page is not None:
            return
        committed = self._transactions.take_over(LARGEST_BATCH)
        self._outbox.newest_id()  # an answer shows that we are the owner still, and what was read then is the newest
        plan, page = self._session.plan, self._session.page
        if page is None:
            self._enter(committed or 0)
        elif plan is None and committed in (page, None):
            self._page = page
            self._transactions.remember(page)
        elif plan is not None and committed == page and self._transactions.mark == plan.mark:
            self._log.info("the last page was committed", page=page)
            self._pass(plan)
            self._transactions.remember(page)
        elif plan is not None and committed == page - 1:
            self._page = committed
            self._send_again(plan)
        else:
            self._halt(page, committed, plan)
        self._confirm()

    def _enter(self, page: int) -> None:
        """Begin to count pages, after the last one that Kafka knows of from an earlier time in this mode."""
        self._session.checkpoint(self._at, page, durable=True)
        self._page = page
        self._transactions.remember(page)
        self._log.info("messages go into Kafka exactly once from here on", page=page)

    def _halt(self, page: int, committed: int | None, plan: Plan | None) -> None:
        group = identity(self._link.name)
        said = f"no page of group {group}" if committed is None else f"page {committed} of group {group} as the last"
        if plan is not None and committed == page:
            said = f"another page {committed} of group {group}"
        raise SourceTrouble(
            "halted",
            f"Kafka knows {said}, the checkpoint page {page}{', planned' if plan else ''}: one of the two was"
            " restored, was replaced or has lost what it knew, so nobody can tell what was sent, and nothing is sent."
            " If this is the wrong Kafka cluster, or another source has this name, put the configuration right."
            " Else compare outbox and topics, and then: onceward relay reconcile --anyway, with --skip-topic for each"
            " topic that has all of its messages",
        )

    def _next_page(self, wait: Wait) -> Page | None:
        """Return the next page, None if there are no new rows. It is durable in PostgreSQL."""
        if self._at.s2 is not None:
            rows = self._outbox.page(self._at)
            if rows:
                return Page(rows, replace(self._at, last_id=rows[-1][ID]))
            self._at = Position(self._at.s2)
        probe = self._outbox.probe(self._at.s1, wait)
        if probe.snapshot.text == self._at.s1.text:
            return None
        window = Window(self._at.s1, probe.snapshot)
        few = [] if probe.barren else self._outbox.few(window, probe)
        if few is None:
            return self._large_window(window, probe)
        if not few:
            self._at = Position(probe.snapshot)  # in memory only: a quiet database is not written to
            return None
        self._meter.window("page")
        return Page(few, Position(probe.snapshot))

    def _large_window(self, window: Window, probe: Probe) -> Page | None:
        fits = self._outbox.fits_page(window)
        self._outbox.wait_durable(probe)
        if fits:
            self._meter.window("page")
            return Page(self._outbox.rows(window), Position(probe.snapshot))
        self._meter.window("opened")
        self._log.info("backlog found")
        self._at = Position(window.before, window.after, self._outbox.start_of(window))
        return self._next_page(NO_WAIT)

    def _patience(self, wait: Wait) -> Wait:
        """Return how long the server may wait for something new: no longer than a page waits to be confirmed."""
        if self._unconfirmed_since is None or not wait.seconds:
            return wait
        return replace(wait, seconds=max(0.0, MERGE_SECONDS - (time.monotonic() - self._unconfirmed_since)))

    def _send(self, page: Page) -> None:
        assert self._page is not None
        self._tell_lag(page.rows)
        self._outbox.read_ahead(page.next)
        self._carry_window(page.rows, Plan(self._page + 1, page.next))

    def _tell_lag(self, page: Sequence[Row]) -> None:
        """Note how much waits: above a page an upper estimate, from ids, looked at now and then."""
        if time.monotonic() - self._measured_at >= LAG_EVERY:
            self._session.newest_id = self._outbox.newest_id()
            self._measured_at = time.monotonic()
        rows = max(len(page), self._session.newest_id - page[0][ID] + 1)
        self._meter.waits(unix_time(page[0][CREATED_AT]), rows, rows * mean_size(page))

    def _send_again(self, plan: Plan) -> None:
        """Send a page that was planned and not committed: the very same rows, without those that were set aside."""
        self._log.info("a page was planned and not committed; it goes again", page=plan.page)
        if plan.release is not None:
            self._releases.send_again(plan)
            return
        rows = [row for row in self._outbox.again(self._at, plan.after) if row[ID] not in plan.aside]
        self._sender.clear(rows)
        self._carry_window(rows, plan)

    def _carry_window(self, rows: Sequence[Row], plan: Plan) -> None:
        aside = self.carry(
            rows, self._sender, plan, lambda connection, aside: holding.write(connection, aside, self._relay)
        )
        self._meter.sent(len(rows) - len(aside.messages))
        report_aside(self._log, self._meter, rows, aside)
        self._meter.holds(self._holds.keys, self._holds.topics)

    def plan(self, release: UUID, upto: int) -> Plan:
        """Return the plan of the next page, of messages of a hold."""
        assert self._page is not None
        return Plan(self._page + 1, self._at, release=release, upto=upto)

    def sender(self, holds: Holds) -> TransactionalSender:
        """Return a sender that sees these holds."""
        return TransactionalSender(self._link, holds, self._pulse, self._transactions)

    def carry(self, rows: Sequence[Row], sender: TransactionalSender, plan: Plan, write: Write) -> SetAside:
        """Carry a page and pass it; return what was set aside. `write` writes that, in the transaction of the plan."""
        assert self._page is not None

        def planned(aside: SetAside) -> None:
            nonlocal plan
            plan = replace(plan, aside=plan.aside | aside.ids)
            with self._session.writing() if aside else nullcontext() as connection:
                if connection is not None:
                    write(connection, aside)
                self._session.checkpoint(self._at, plan.page, plan, durable=True)
            self._meter.checkpoint()

        self._transactions.remember(self._page)
        aside = carry(rows, plan.after, sender, planned, lambda: self._transactions.commit(plan.page, plan.mark))
        self._traces.sent(row for row in rows if row[ID] not in plan.aside)
        self._pass(plan)
        return aside

    def _pass(self, plan: Plan) -> None:
        """Go on behind a page that is known to be committed."""
        self._at, self._page, self._unconfirmed_since = plan.after, plan.page, time.monotonic()
        if plan.release is None:
            return
        with self._session.writing() as connection:
            gone = self._releases.let_go(connection, plan)
            self._session.checkpoint(self._at, self._page)
        failpoint("relay.released")
        self._unconfirmed_since = None
        self._releases.passed(plan, gone)

    def _confirm_if_due(self) -> None:
        if self._unconfirmed_since is not None and time.monotonic() - self._unconfirmed_since >= MERGE_SECONDS:
            self._confirm()

    def _confirm(self) -> None:
        """Write down that the last page is committed: Kafka may forget it, and its rows may be emptied."""
        if self._unconfirmed_since is None:
            return
        self._session.checkpoint(self._at, self._page)
        failpoint("relay.confirmed")
        self._unconfirmed_since = None
        self._meter.checkpoint()

    def _pulse(self) -> None:
        """Stay alive while waiting for whatever it is; called several times a second."""
        self._session.keep_alive()
        self._meter.beat()
        self._tenure.check()
