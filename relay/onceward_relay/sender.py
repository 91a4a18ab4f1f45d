"""SEND: takes pages of outbox rows to Kafka, in order, until every row is acknowledged or set aside.

Why order holds: rows of a key go to one partition through one idempotent producer, in id order, so what has landed
of a key is always a prefix of it. After the first error the producer is thrown away, and the rows without an OK
report go again through a new one, in order. Only a row that is refused alone is guilty: in a batch the innocent are
refused with it. `suspects` says which go together until each is alone or acknowledged.

A batch that is refused leaves a gap, so the broker refuses what is under way behind it; but not if it was the first
that its partition had from this producer. So the first row of each key goes through a new producer before the others
(`beginnings`).
"""

import logging
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from onceward_relay.beginnings import Beginnings, Place
from onceward_relay.errors import KafkaTrouble
from onceward_relay.holds import Holds, SetAside
from onceward_relay.kafka import LARGEST_BATCH, ClientError, Options, Producer, Pulse, Refusal, refusal
from onceward_relay.outbox import CREATED_AT, HEADERS, ID, KEY, MESSAGE_ID, PAYLOAD, TOPIC, TYPE
from onceward_relay.pages import Lane, Page
from onceward_relay.records import CE_ID, JSON, SPEC, Headers, Recorder, batch_size, moment, now_ms
from onceward_relay.routes import RoutedTopics
from onceward_relay.session import Row
from onceward_relay.suspects import Suspects
from onceward_relay.topics import Topic

NO_HEADERS = "{}"
HELD = Topic(problem="is held")
TAKE_IN_EVERY = 500
"""Rows after which it takes in what has come of the page that is read ahead."""
BEGINNING_NAP = 0.005
"""Seconds for which reports on a producer's first rows are waited for at a time."""
TOLD_AFTER = 5.0
"""Seconds without a sign of Kafka after which the log says so."""
Reports = dict[int, Refusal | None]
"""By id of the row: None if it is acknowledged."""
LOST = Refusal("nothing", "the client gave up without a report")


@dataclass(frozen=True, slots=True)
class Link:
    """How one source's sender reaches Kafka."""

    name: str
    ce_source: str
    options: Options
    topics: RoutedTopics
    stall_timeout: float
    log: logging.Logger
    pages_topic: str = "onceward-pages"
    """Where a source in exactly-once mode commits its page numbers."""
    outbox_limit: int | None = None
    """Bytes that its outbox may take."""


class Sender:
    """Sends the pages of one source through one producer at a time."""

    def __init__(self, link: Link, holds: Holds, pulse: Pulse) -> None:
        self._link = link
        self.holds = holds
        self._outer_pulse = pulse
        self._recorder = Recorder(link.ce_source)
        self._producer: Producer | None = None
        self._limits: dict[str, int] = {}
        self._compressed = any(
            link.options.get(name, "none") != "none" for name in ("compression.type", "compression.codec")
        )
        self._story = structlog.get_logger("onceward.relay").bind(source=link.name)
        self._moved_at = time.monotonic()
        self._silent = False
        """Whether Kafka's silence was told."""
        self._gap: str | None = None
        """The fatal error of the last producer, if it came from a refused batch."""
        self._begun = Beginnings()
        """Of the present producer."""

    @property
    def broken(self) -> bool:
        """Whether the producer has met an error, so that `recover` is needed."""
        return self._producer is not None and self._producer.broken is not None

    @property
    def trouble(self) -> str:
        """What the producer says is wrong."""
        return (self._producer.broken if self._producer else None) or "an error report"

    @property
    def moving(self) -> bool:
        """Whether a page was sent or settled lately."""
        return time.monotonic() - self._moved_at < 0.5

    def prepare(self) -> None:
        """Have a producer ready: it takes half a second to get its id from Kafka, which the first row need not wait."""
        producer = self._ready()
        producer.poll(0)  # else nobody would hear what it has to say while there are no rows
        if producer.broken:
            self.discard()
            self._ready()

    def send(self, page: Page) -> None:
        """Produce the rows of `page`, or set them aside. Returns before they are acknowledged."""
        self._moved_at = time.monotonic()
        page.lanes = self._lanes(page.rows)
        producer, rows = self._ready(), page.rows
        if first := self._to_begin(page):
            if not self._begin(producer, page, first):
                return
            begun = {row[ID] for row in first}
            rows = [row for row in rows if row[ID] not in begun]
        for start in range(0, len(rows), TAKE_IN_EVERY):
            if not self._produce(producer, page, rows[start : start + TAKE_IN_EVERY]):
                return
            self._outer_pulse()
        producer.poll(0)

    def _to_begin(self, page: Page) -> list[Row]:
        """Return the rows of `page` that must be acknowledged before the others go."""
        young = {topic for topic, lane in page.lanes.items() if not self._begun.whole(topic, lane.facts.partitions)}
        return self._begun.first(row for row in page.rows if row[TOPIC] in young) if young else []

    def _begin(self, producer: Producer, page: Page, rows: Sequence[Row]) -> bool:
        """Send these rows and wait until they are acknowledged. Return False if that is not to be."""
        if not self._produce(producer, page, rows):
            return False
        sent = len(rows) - len(page.aside.messages)
        while sum(len(lane.acknowledged) for lane in page.lanes.values()) < sent:
            if producer.broken or page.refused:
                return False
            producer.flush(BEGINNING_NAP)
            self.pulse()
        self._begun.add((topic, key) for topic, lane in page.lanes.items() for key in lane.acknowledged)
        return True

    def _produce(self, producer: Producer, page: Page, rows: Sequence[Row]) -> bool:
        """Produce some rows of `page`, or set them aside. Return False if the producer refuses one."""
        produce, latest, lanes = producer.produce, now_ms(), page.lanes
        source, type_of = self._recorder.source, self._recorder.type
        created, timestamp, ce_time = b"", 0, SPEC
        for row in rows:
            _, message_id, topic, key, kind, payload, own, at, _ = row
            lane = lanes[topic]
            if at != created:
                timestamp, ce_time = moment(at, latest)
                created = at
            headers = [SPEC, (CE_ID, message_id), source, type_of(kind), ce_time, JSON]
            plain = (
                payload is not None and own == NO_HEADERS and len(payload) <= lane.small and timestamp >= lane.oldest
            )
            if not (plain or self._admit(page.aside, lane, row, timestamp, headers)):
                continue
            try:
                produce(lane.destination, payload, key, -1, lane.reported, None, timestamp, headers)
            except BufferError:
                record = (lane.destination, payload, key, -1, lane.reported, None, timestamp, headers)
                if not self._produce_in_time(producer, record):
                    return False
            except ClientError as error:
                producer.fail(error)
                return False
        return True

    def poll(self, timeout: float) -> None:
        """Serve delivery reports, waiting at most `timeout` seconds for the first."""
        if self._producer is not None:
            self._producer.poll(timeout)

    def flush(self, timeout: float) -> None:
        """Let nothing linger, and serve delivery reports for at most `timeout` seconds or until all are in."""
        if self._producer is not None:
            self._producer.flush(timeout)

    def moved(self) -> None:
        """Note that something goes on: the stall deadline counts from here."""
        self._moved_at = time.monotonic()
        if self._silent:
            self._silent = False
            self._story.info("Kafka takes messages again")

    def pulse(self) -> None:
        """Keep the session alive while waiting for Kafka.

        Raises:
            KafkaTrouble: nothing has moved for too long; whatever is stuck in the client is better thrown away.

        """
        self._outer_pulse()
        silence = time.monotonic() - self._moved_at
        if silence > TOLD_AFTER and not self._silent:
            self._silent = True
            self._story.warning("waiting for Kafka; nothing is lost")
        if silence > self._link.stall_timeout:
            raise KafkaTrouble(
                "stalled",
                f"no answer from Kafka for {self._link.stall_timeout:.0f} s; starting again from the checkpoint",
            )

    def discard(self) -> None:
        """Throw the producer away, with what is not acknowledged."""
        if self._producer is not None:
            self._producer.discard()
            self._producer = None
            self._begun.clear()

    def recover(self, pages: Iterable[Page]) -> None:
        """Settle every row of `pages` after an error, one way or the other."""
        self.discard()
        pages = list(pages)
        for page in pages:
            self._refuse_cluster(why for lane in page.lanes.values() for _, why in lane.refused)
        self._link.topics.forget({row[TOPIC] for page in pages for row in page.rows})
        for page in pages:
            self.settle(page)
        self.discard()

    def settle(self, page: Page) -> None:
        """Send what is left of a page and wait: rows under suspicion in parts, until the guilty are alone."""
        self._moved_at = time.monotonic()
        suspects = Suspects(*page.remains())
        while batch := self._begun.up_to_a_second(suspects.next()):
            known = len(page.aside.incidents)
            reports = self._send_watched(page.aside, batch)
            unsettled = _unsettled(batch, page.aside.ids, reports)
            named = {row_id for row_id, why in reports.items() if why is not None and why.about != "nothing"}
            if self._gap and len(batch) == 1:
                named = {batch[0][ID]}  # its report was lost in the fatal error that it caused
            if not unsettled:
                suspects.settled(batch, found=len(page.aside.incidents) > known)
            elif (
                suspects.refused(batch, unsettled, named)
                and len(batch) == 1
                and self._judge(page.aside, batch[0], reports.get(batch[0][ID]) or LOST)
            ):
                suspects.judged()
        page.recovered = True

    def _judge(self, aside: SetAside, row: Row, why: Refusal) -> bool:
        """Act on the refusal of a row that was sent alone; return whether that settles it."""
        if why.about == "missing":
            self._link.topics.forget([row[TOPIC]])  # asked again before the next try: if it is gone it will be held
            return False
        if why.about == "message":
            self.holds.poison(aside, row, why.text)
        elif why.about == "size":
            self.holds.poison(aside, row, self._too_large(row[TOPIC]))
        elif why.about == "topic":
            self.holds.hold_topic(aside, row, self._link.topics.told(row[TOPIC], why.text))
        elif self._gap:
            self.holds.poison(aside, row, self._gap)
        else:
            raise KafkaTrouble("failed", why.text)
        return True

    def _too_large(self, topic: str) -> str:
        """Return what Kafka found too large by what limit. Compressed, only Kafka can tell."""
        topics = self._link.topics
        limit = topics.describe([topic], self.pulse)[topic].max_bytes
        return f"Kafka finds it larger than max.message.bytes of {topics.destination(topic)}, {limit}"

    def _send_watched(self, aside: SetAside, rows: Sequence[Row]) -> Reports:
        """Send rows at once and wait for their reports. Return by id: None if acknowledged, else the refusal."""
        lanes = self._lanes(rows)
        producer = self._ready_to_try()
        reports: Reports = {}

        def note(row_id: int, error: Any, _: Any) -> None:
            reports[row_id] = None if error is None else refusal(error)

        latest, sent = now_ms(), 0
        for row in rows:
            timestamp, ce_time = moment(row[CREATED_AT], latest)
            headers = [
                SPEC,
                (CE_ID, row[MESSAGE_ID]),
                self._recorder.source,
                self._recorder.type(row[TYPE]),
                ce_time,
                JSON,
            ]
            lane = lanes[row[TOPIC]]
            if not self._admit(aside, lane, row, timestamp, headers):
                continue
            record = (lane.destination, row[PAYLOAD], row[KEY], -1, partial(note, row[ID]), None, timestamp, headers)
            if not self._produce_in_time(producer, record):
                reports[row[ID]] = producer.refused
                break
            sent += 1
        self._wait_for(producer, reports, sent)
        self._gap = producer.gap
        if producer.broken:
            self.discard()
        else:
            self._begun.add((row[TOPIC], row[KEY]) for row in rows if reports.get(row[ID], LOST) is None)
        self._refuse_cluster(reports.values())
        return reports

    def _wait_for(self, producer: Producer, reports: Reports, expected: int) -> None:
        seen = len(reports)
        while len(reports) < expected and not producer.broken:
            producer.poll(0.1)
            if len(reports) > seen:
                seen = len(reports)
                self.moved()
            self.pulse()

    def _produce_in_time(self, producer: Producer, record: tuple[Any, ...]) -> bool:
        """Produce one record, waiting for room in the client's queue. Return False if the producer refuses it."""
        while True:
            try:
                producer.produce(*record)
            except BufferError:
                producer.poll(0.1)
                self.pulse()
            except ClientError as error:
                producer.fail(error)
                return False
            else:
                return True

    def _admit(self, aside: SetAside, lane: Lane, row: Row, timestamp: int, headers: Headers) -> bool:
        """Complete the headers of a row that may be sent; set any other aside and return False."""
        topic, key, payload = row[TOPIC], row[KEY], row[PAYLOAD]
        if hold := self.holds.over(topic, key):
            self.holds.line_up(aside, row, hold)
            return False
        if lane.facts.problem:
            self.holds.hold_topic(aside, row, lane.facts.problem)
            return False
        headers[5:] = self._recorder.own(payload, row[HEADERS])
        size = 0 if self._compressed else batch_size(key, payload, headers)
        error = lane.unfit(key, size, timestamp)
        if error and not lane.confirmed:
            self._link.topics.forget([topic])
            lane.learn(self._link.topics.describe([topic], self.pulse)[topic])
            lane.confirmed = True
            return self._admit(aside, lane, row, timestamp, headers)
        if error:
            self.holds.poison(aside, row, error)
            lane.look_at_every_row()
        return not error

    def _lanes(self, rows: Iterable[Row]) -> dict[str, Lane]:
        """Return a lane for each topic of `rows`, asking Kafka for what is not known of them."""
        names = {row[TOPIC] for row in rows}
        held = {name for name in names if self.holds.over(name, None)}
        facts = self._link.topics.describe(names - held, self.pulse)
        self._limits.update((name, topic.max_bytes) for name, topic in facts.items() if topic.problem is None)
        to = self._link.topics.destination
        return {
            name: Lane(to(name), facts.get(name, HELD), self._begun.partitions(name), plain=not self.holds.touch(name))
            for name in names
        }

    def _ready(self, linger_ms: float | None = None) -> Producer:
        """Return a producer whose batches fit into every topic seen so far."""
        batch = self._largest_batch
        if self._producer is not None and self._producer.batch_size > batch:
            self._finish(self._producer)
            if not self._producer.broken:
                self.discard()
        if self._producer is None:
            self._producer = Producer(
                self._link.options,
                client_id=f"onceward-relay-{self._link.name}",
                batch_size=batch,
                linger_ms=linger_ms,
                log=self._link.log,
            )
        return self._producer

    def _ready_to_try(self) -> Producer:
        """Return a producer for rows that may be refused."""
        return self._ready(linger_ms=0)

    @property
    def _largest_batch(self) -> int:
        return min([LARGEST_BATCH, *(limit * 9 // 10 for limit in self._limits.values())])

    def _finish(self, producer: Producer) -> None:
        """Wait until nothing is under way: another producer must not overtake this one."""
        while producer.under_way and not producer.broken:
            producer.poll(0.1)
            self.pulse()

    @staticmethod
    def _refuse_cluster(reports: Iterable[Refusal | None]) -> None:
        for why in reports:
            if why is not None and why.about == "cluster":
                raise KafkaTrouble("refused", why.text)


def _unsettled(batch: Sequence[Row], aside: Container[int], reports: Reports) -> list[Row]:
    """Return the rows that are neither set aside nor acknowledged, and what follows them under their keys."""
    unsettled: list[Row] = []
    waiting: set[Place] = set()
    for row in batch:
        place = row[TOPIC], row[KEY]
        if row[ID] not in aside and (reports.get(row[ID], LOST) is not None or place in waiting):
            unsettled.append(row)
            if row[KEY] is not None:
                waiting.add(place)
    return unsettled
