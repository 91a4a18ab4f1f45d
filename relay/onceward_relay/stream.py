"""The window loop: carries one source's rows to Kafka for as long as its session lasts.

A window is what is visible now and was not visible at the checkpoint; it is never "ids after N", because transactions
commit out of id order. Pages are produced one behind the other; the checkpoint only ever covers what is settled.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog

from onceward.failpoint import failpoint
from onceward_relay import holds as holding
from onceward_relay.holds import Holds, SetAside
from onceward_relay.metrics import Meter
from onceward_relay.outbox import CREATED_AT, ID, MESSAGE_ID, TOPIC, Outbox, Probe, Wait
from onceward_relay.pages import Page, mean_size
from onceward_relay.position import Position, Window
from onceward_relay.records import unix_time
from onceward_relay.releases import Releases
from onceward_relay.rotation import Rotation
from onceward_relay.sender import Link, Sender
from onceward_relay.session import Row, Session
from onceward_relay.shares import Tenure
from onceward_relay.traces import Traces
from onceward_relay.unsettled import Unsettled

MOST_PAGES = 4
"""Pages under way at once."""
MERGE_SECONDS = 0.05
MERGE_ROWS = 5000
"""Checkpoints of acknowledgements alone are written after so long or so many rows, whatever comes first."""
NAP = 0.005
"""Seconds for which reports are waited for at a time."""
NO_WAIT = Wait(0, 0)
AWAKE = Wait(0.1, 0.001)
"""How the server waits for new rows while rows have come lately."""
LOOKS = 50
"""Looks that the server of an idle source takes in poll_interval."""
DROWSY_AFTER = 30.0
"""Seconds without rows after which waits are twice as long."""
WAITS = 10
"""Waits in one run of an idle source: a tick of the schedule costs as much as a wait."""
SENT_OFF = 0.001
"""Seconds after which the client has sent what would linger: the least that it can be given."""
STAY = 1.0
"""Seconds for which the server looks often after rows have come."""
LAG_EVERY = 2.0
"""Seconds between two looks at how many rows wait, while any do."""


class Stream:
    """One ownership of one source, from the lease to its end. After any error it is thrown away."""

    def __init__(
        self, session: Session, link: Link, meter: Meter, tenure: Tenure, relay: str, *, idle_wait: float
    ) -> None:
        self._session = session
        self._outbox = Outbox(session)
        self._holds = Holds(session)
        self._sender = Sender(link, self._holds, self._pulse)
        self._releases = Releases(session, self._holds, link, meter, self._pulse, relay)
        self._rotation = Rotation(session, meter, link.name, link.outbox_limit)
        self._unsettled = Unsettled(session, meter)
        self._traces = Traces(link.name)
        self._meter = meter
        self._tenure = tenure
        self._relay = relay
        self._log = structlog.get_logger("onceward.relay").bind(source=link.name)
        self._pages: deque[Page] = deque()
        self._produced = session.position
        """Where the next page begins."""
        self._settled = session.position
        """What the next checkpoint covers."""
        self._unwritten = 0
        """Rows settled since the last checkpoint, and since when."""
        self._unwritten_since = 0.0
        self._measured_at = 0.0
        self._row_bytes = 0.0
        """Mean size of a row, when some were last looked at."""
        self._window_rows = 0
        """Rows read of the open window."""
        self._idle_wait = idle_wait
        self._quiet_since = time.monotonic()
        """When rows came last."""
        self._wait = NO_WAIT
        """How long the server may wait at the next look."""
        meter.holds(self._holds.keys, self._holds.topics)

    def run(self) -> None:
        """Send what is there, stay while rows keep coming, return when none do for long. Then nothing is under way."""
        ends = time.monotonic() + WAITS * self._idle_wait
        awake_until = -math.inf
        self._wait = self._asleep()
        self._sender.prepare()
        while not self._tenure.asked or self._pages:
            released = not self._tenure.asked and self._releases.run(self._settle_all)
            page = self._next_page() if self._may_read() else None
            self._write_if_due()
            self._tenure.look()
            if self._produced.s2 is None:
                self._rotation.run()
                self._unsettled.run()
            if page is not None:
                self._pages.append(page)
                self._measure()
                self._outbox.read_ahead(page.next)
                self._sender.send(page)
            self._settle(NAP if page is None else 0 if self._produced.s2 else SENT_OFF)
            self._beat()
            now = time.monotonic()
            if page is not None or self._pages or released:
                self._quiet_since, awake_until = now, now + STAY
            if page is not None:
                self._wait = NO_WAIT
            elif now <= awake_until:
                self._wait = AWAKE
            elif now < ends:
                self._wait = self._asleep()
            else:
                break
        self._settle_all()

    def _asleep(self) -> Wait:
        """Return how the server waits while no rows come: it looks as often as ever, and troubles the relay less."""
        drowsy = time.monotonic() - self._quiet_since > DROWSY_AFTER
        return Wait(self._idle_wait * (2 if drowsy else 1), self._idle_wait / LOOKS)

    def _may_read(self) -> bool:
        return len(self._pages) < MOST_PAGES and not self._tenure.asked

    def close(self) -> None:
        """Throw away what is under way."""
        self._sender.discard()
        self._releases.close()

    def _next_page(self) -> Page | None:
        """Return the next page, None if there are no new rows."""
        page = self._next_of_window() if self._produced.s2 is not None else self._new_window()
        if page is not None:
            self._produced = page.next
        return page

    def _next_of_window(self) -> Page:
        rows = self._outbox.page(self._produced)
        self._window_rows += len(rows)
        if rows:
            return Page(rows, replace(self._produced, last_id=rows[-1][ID]))
        assert self._produced.s2 is not None
        self._meter.window_read(self._window_rows)
        self._log.info("backlog read to its end", rows=self._window_rows)
        self._window_rows = 0
        return Page((), Position(self._produced.s2))

    def _new_window(self) -> Page | None:
        probe = self._outbox.probe(self._produced.s1, self._patience())
        if probe.snapshot.text == self._produced.s1.text:
            return None
        window, following = Window(self._produced.s1, probe.snapshot), Position(probe.snapshot)
        rows = [] if probe.barren else self._outbox.few(window, probe)
        if rows is None:
            return self._large_window(window, probe)
        if not rows:
            self._pass_over(following)
            return None
        self._meter.window("page")
        self._meter.window_read(len(rows))
        return Page(rows, following)

    def _large_window(self, window: Window, probe: Probe) -> Page:
        fits = self._outbox.fits_page(window)
        self._outbox.wait_durable(probe)
        if not fits:
            return self._open(window)
        rows = self._outbox.rows(window)
        self._meter.window("page")
        self._meter.window_read(len(rows))
        return Page(rows, Position(probe.snapshot))

    def _patience(self) -> Wait:
        """Return how long the server may wait for something new: not at all while there is other work."""
        if self._pages:
            return NO_WAIT
        if self._unwritten and self._wait.seconds:
            return replace(self._wait, seconds=MERGE_SECONDS - (time.monotonic() - self._unwritten_since))
        return self._wait

    def _pass_over(self, position: Position) -> None:
        """Move on over an empty window. In memory only: a quiet database is not written to."""
        self._produced = position
        if self._pages:
            self._pages[-1].next = position
        else:
            self._settled = position

    def _open(self, window: Window) -> Page:
        """Freeze a window that is larger than a page: across crashes too it stays as it is until it is settled."""
        self._settle_pages()
        self._settled = self._produced = Position(window.before, window.after, self._outbox.start_of(window))
        self._write()
        failpoint("relay.window_opened")
        self._meter.window("opened")
        self._log.info("backlog found", rows_at_most=self._outbox.newest_id() - (self._settled.last_id or 0))
        return self._next_of_window()

    def _settle_all(self) -> None:
        """Let nothing be under way, and write down how far it has got."""
        self._settle_pages()
        if self._unwritten:
            self._write()

    def _settle_pages(self) -> None:
        while self._pages:
            self._settle(NAP)

    def _settle(self, patience: float) -> None:
        """Take reports, waiting at most `patience` seconds for them, and pass the pages that are settled."""
        if self._pages and patience:
            self._wait_for_reports(patience)
            self._sender.pulse()
        if self._sender.broken or any(page.refused for page in self._pages):
            self._log.warning(
                "Kafka refused something; what is not acknowledged goes again", reason=self._sender.trouble
            )
            self._meter.error("kafka_refused")
            self._sender.recover(self._pages)
        while self._pages and not self._pages[0].left:
            self._pass(self._pages.popleft())

    def _wait_for_reports(self, patience: float) -> None:
        if not self._sender.moving:
            self._sender.poll(20 * NAP)  # Kafka is away; no use in hurrying
        elif len(self._pages) < MOST_PAGES:
            self._sender.flush(patience)  # all that there is was read: no use in lingering
        else:
            self._sender.poll(patience)

    def _pass(self, page: Page) -> None:
        """Note that a page is settled: acknowledged, or set aside in the transaction of this checkpoint."""
        failpoint("relay.acknowledged")
        self._sender.moved()
        self._settled = page.next
        self._meter.sent(len(page.sent))
        self._traces.sent(page.sent)
        if not self._unwritten:
            self._unwritten_since = time.monotonic()
        self._unwritten += max(1, len(page.rows))
        if page.aside:
            self._write_with(page)

    def _write_if_due(self) -> None:
        if self._unwritten >= MERGE_ROWS or (
            self._unwritten and time.monotonic() - self._unwritten_since >= MERGE_SECONDS
        ):
            self._write()

    def _write(self) -> None:
        self._session.checkpoint(self._settled)
        self._written()

    def _write_with(self, page: Page) -> None:
        """Write what a page has set aside, and the checkpoint that passes it, in one transaction."""
        with self._session.writing() as connection:
            holding.write(connection, page.aside, self._relay)
            self._session.checkpoint(self._settled)
        self._written()
        self._meter.holds(self._holds.keys, self._holds.topics)  # what is held now comes first
        report_aside(self._log, self._meter, page.rows, page.aside)

    def _written(self) -> None:
        failpoint("relay.checkpointed")
        self._unwritten = 0
        self._meter.checkpoint()

    def _measure(self) -> None:
        """Look at how many rows wait. While Kafka keeps us waiting, the session's pings bring the newest id."""
        if time.monotonic() - self._measured_at >= LAG_EVERY:
            self._session.newest_id = self._outbox.newest_id()
            self._row_bytes = mean_size(self._pages[-1].rows) or self._row_bytes
            self._measured_at = time.monotonic()

    def _beat(self) -> None:
        self._meter.beat()
        first = next((page.rows[0] for page in self._pages if page.rows), None)
        if first is None:
            self._meter.idle()
        else:
            rows = max(len(self._pages[0].rows), self._session.newest_id - first[ID] + 1)
            self._meter.waits(unix_time(first[CREATED_AT]), rows, rows * self._row_bytes)

    def _pulse(self) -> None:
        """Stay alive while waiting for whatever it is; called several times a second."""
        self._session.keep_alive()
        self._beat()
        self._tenure.check()


def report_aside(log: Any, meter: Meter, rows: Sequence[Row], aside: SetAside) -> None:
    """Tell what was set aside, by ids: keys and payloads are nobody's business."""
    ids = {row[ID]: row for row in rows}
    for row_id, _, state, error in aside.messages:
        meter.held(state)
        if state == "poison":
            row = ids[row_id]
            log.error("message set aside; its key waits", message_id=row[MESSAGE_ID], topic=row[TOPIC], reason=error)
    for hold in aside.holds:
        if hold.scope == "topic":
            log.error("topic held", topic=hold.topic, reason=hold.reason)
