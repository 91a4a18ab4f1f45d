"""Inbox: how fast messages take effect once, through the consumer's own code.

Records are handed to `onceward.inbox` in the batches in which the consumer would hand them, from as many partitions as
it has threads; or, from Kafka, by the consumer itself. The handler does nothing, so that only deduplication is left,
or one INSERT.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from threading import Event
from uuid import uuid4

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from onceward.cloudevents import CONTENT_TYPE, ID, SOURCE, SPECVERSION, TIME, TYPE, IncomingMessage
from onceward.consumer import Consumer
from onceward.database import psycopg_url, sqlalchemy_url
from onceward.inbox import Inbox, Record
from onceward.inbox.lane import BATCH_RECORDS
from onceward.participant import Participant
from onceward_relay.bench import BenchError
from onceward_relay.bench.children import run
from onceward_relay.bench.result import Figure, Result, Tell, significant
from onceward_relay.bench.stage import KEYS, PATIENCE, PREFIX, connect, fresh_topic, prepare, sql, tables
from onceward_relay.bench.topics import remove_group

FIGURES = {"rate": "messages/s", "cpu": "consumer, CPU s per million"}
TOPIC = f"{PREFIX}inbox"
KIND = "Benched"
HANDLERS = ("deduplication only", "one INSERT")
"""What is done with each message."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    database: str
    kafka: str | None
    """Bootstrap servers, to consume from Kafka as well."""
    messages: int
    duplicates: tuple[int, ...]
    """Percent of the messages that were taken before."""
    threads: int
    runs: int
    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    messages: int
    seconds: float
    cpu: float


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure each handler with each share of duplicates, run after run, and then from Kafka if it is named."""
    version = prepare(plan.database)
    engine = create_engine(sqlalchemy_url(plan.database), pool_size=plan.threads + 1)
    samples: dict[str, list[Sample]] = {}
    with connect(psycopg_url(plan.database)) as eye, tables(eye):
        for number in range(1, plan.runs + 1):
            for handler in HANDLERS:
                for share in plan.duplicates:
                    eye.execute("TRUNCATE onceward.inbox, onceward_bench.effect")
                    sample = feed(plan, engine, handler, share)
                    samples.setdefault(f"{handler}, {share} % duplicates", []).append(sample)
                if plan.kafka:
                    eye.execute("TRUNCATE onceward.inbox, onceward_bench.effect")
                    samples.setdefault(f"{handler}, from Kafka", []).append(consume(plan, engine, plan.kafka, handler))
            tell(f"run {number} of {plan.runs}")
        eye.execute("TRUNCATE onceward.inbox")
    engine.dispose()
    cases = {case: _figures(each) for case, each in samples.items()}
    settings = {
        "messages": plan.messages,
        "duplicates": plan.duplicates,
        "threads": plan.threads,
        "runs": plan.runs,
        "size": plan.size,
    }
    return Result("inbox", settings, FIGURES, cases, version, {"batch": BATCH_RECORDS})


def _figures(samples: Sequence[Sample]) -> dict[str, Figure]:
    return {
        "rate": significant(median(sample.messages / sample.seconds for sample in samples)),
        "cpu": significant(median(sample.cpu / sample.messages * 1e6 for sample in samples)),
    }


def participant(name: str, topic: str, handler: str) -> Participant:
    """Return a participant with one of the handlers."""
    made = Participant(name)
    insert = text(sql("effect"))

    def nothing(_: Session, __: bytes) -> None:
        """Only deduplicate."""

    def one_statement(session: Session, _: bytes, message: IncomingMessage) -> None:
        session.execute(insert, {"message_id": message.message_id})

    on = made.on(topic, bytes, type=KIND)
    if handler == HANDLERS[0]:
        on(nothing)
    else:
        on(one_statement)
    return made


def feed(plan: Plan, engine: Engine, handler: str, share: int) -> Sample:
    """Hand the records to the inbox, batch by batch, from one partition a thread."""
    consumer = f"{PREFIX}{uuid4().hex[:12]}"
    inbox = Inbox(participant(consumer, TOPIC, handler), engine, consumer)
    records = made_records(plan.messages, plan.size)
    never = Event()
    for batch in batches(taken_before(records, share)):
        inbox.take(batch, never)
    before = inbox.counts.handled
    lanes = [batches(records[number :: plan.threads]) for number in range(plan.threads)]

    def take(lane: list[list[Record]]) -> None:
        for batch in lane:
            inbox.take(batch, never)

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(plan.threads) as pool:
        list(pool.map(take, lanes))
    sample = Sample(plan.messages, time.perf_counter() - began, time.process_time() - cpu)
    if inbox.counts.handled != plan.messages or inbox.counts.duplicate != before:
        raise BenchError(f"of {plan.messages} messages {inbox.counts.handled} took effect")
    return sample


def consume(plan: Plan, engine: Engine, kafka: str, handler: str) -> Sample:
    """Let the consumer take the messages from Kafka; the time counts from the first that comes."""
    group = f"{PREFIX}{uuid4().hex[:12]}"
    with fresh_topic(kafka) as topic:
        options = {"bootstrap.servers": kafka}
        run("raw", options=options, topic=topic, messages=plan.messages, size=plan.size, keys=KEYS, headers=True)
        consumer = Consumer(participant(group, topic, handler), engine, options, threads=plan.threads)
        try:
            deadline = time.monotonic() + PATIENCE
            while not consumer.run_once():
                _refuse_late(deadline)
            began, cpu = time.perf_counter(), time.process_time()
            while consumer.counts.handled < plan.messages:
                consumer.run_once()
                _refuse_late(deadline)
            return Sample(plan.messages, time.perf_counter() - began, time.process_time() - cpu)
        finally:
            consumer.close()
            remove_group(kafka, group)


def _refuse_late(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise BenchError("the consumer did not take all messages in time")


def made_records(messages: int, size: int) -> list[Record]:
    """Return records as the relay sends them, with new ids."""
    payload, now = b"x" * size, datetime.now(UTC)
    shared = [(SOURCE, b"bench"), (TYPE, KIND.encode()), (TIME, b"2000-01-01T00:00:00Z"), (CONTENT_TYPE, b"text/plain")]
    return [
        Record(
            TOPIC,
            0,
            number,
            b"key-%d" % (number % KEYS),
            payload,
            [(SPECVERSION, b"1.0"), (ID, str(uuid4()).encode()), *shared],
            now,
        )
        for number in range(messages)
    ]


def taken_before(records: Sequence[Record], share: int) -> list[Record]:
    """Return `share` percent of the records, spread evenly."""
    return [record for number, record in enumerate(records) if number * share % 100 < share]


def batches(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records in the batches of a lane."""
    return [list(records[first : first + BATCH_RECORDS]) for first in range(0, len(records), BATCH_RECORDS)]
