"""The Kafka loop of a participant. The only module of this package that knows the Kafka client.

One thread polls, a few others take batches through the inbox. The poll never waits for a handler, so a slow handler
does not throw the consumer out of its group. The offset is committed after the database transaction, and only to save
work: what is delivered again finds its inbox row. So a partition that is taken away may be left at any point.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from threading import Event
from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as KafkaConsumer
from psycopg.errors import InvalidSchemaName, UndefinedColumn, UndefinedFunction, UndefinedTable
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from onceward.cloudevents import Headers
from onceward.errors import ConfigError, SchemaError
from onceward.from_file import FromFile, LiveOptions, Setting, fingerprint
from onceward.inbox import Backoff, Counts, Inbox, Record
from onceward.inbox.faults import fault, is_transient
from onceward.inbox.inbox import IDLE_LIMIT, RETRIES
from onceward.inbox.lane import Lane
from onceward.kafka_settings import settings_for
from onceward.participant import Participant

log = logging.getLogger("onceward.consumer")

FETCH_AT_ONCE = 500
POLL = 0.2
POLL_WHILE_PAUSED = 0.02
COMMIT_EVERY = 1.0
RETRY_EVERY = 1.0
RETRY_AFTER_FAULT = 10.0
LOOK_EVERY = 1.0
REVOKE_PATIENCE = 10.0
"""How long a rebalance waits for handlers under way; all in seconds."""
FATAL_AGAIN = 60.0
"""A client that fails for good within so many seconds of its taking over from one that did ends the consumer."""

MISSING = InvalidSchemaName, UndefinedTable, UndefinedColumn, UndefinedFunction
"""What PostgreSQL says where the schema is not installed, or older than this code."""

Partition = tuple[str, int]
_call_headers = methodcaller("headers")


class Consumer:
    """Consumes the topics of a participant through its inbox.

    `kafka` are settings of the Kafka client under the client's names; one that stands in a file is read again when the
    client has trouble, and a client with new secrets or certificates takes over. `group` is the consumer group, by
    default the participant's name; `threads` is how many partitions are worked on at a time; `retries` spaces the
    tries of parked messages; `idle_limit` is how long a handler may leave its transaction without a statement before
    PostgreSQL ends it, which is how long a frozen process can keep others from its messages.

    Raises:
        ConfigError: the participant handles nothing, or a setting is unknown, illegal or locked.
    """

    def __init__(
        self,
        participant: Participant,
        engine: Engine,
        kafka: Mapping[str, Setting | FromFile],
        *,
        group: str | None = None,
        threads: int = 4,
        retries: Backoff = RETRIES,
        idle_limit: timedelta = IDLE_LIMIT,
    ) -> None:
        if not participant.topics:
            raise ConfigError("participant", f"{participant.name} handles no message, so there is nothing to consume")
        self.group = group or participant.name
        self._inbox = Inbox(participant, engine, self.group, retries=retries, idle_limit=idle_limit)
        self._settings = settings_for(kafka, self.group)
        self._made_from = fingerprint(self._settings)
        self._look_at: float | None = None
        """When to look for new secrets; None while the client has met no error."""
        self._kafka = _client(self._settings, self._met_error)
        self._topics = participant.topics
        self._lanes: dict[Partition, Lane] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"onceward-{self.group}")
        self._retrying = Event()
        self._stop_wanted = False
        self._closing = Event()
        self._failure: BaseException | None = None
        self._subscribed = False
        self._commit_at = self._retry_at = time.monotonic()
        self._failed_at = -math.inf

    @property
    def counts(self) -> Counts:
        """What was done since the start."""
        return self._inbox.counts

    def run(self) -> None:
        """Consume until `stop` is called, then end cleanly.

        Raises:
            Exception: what no retry can cure: a missing schema or grant, a second fatal error of the Kafka client
                within a minute.
        """
        try:
            while not self._stop_wanted:
                self.run_once()
        finally:
            self.close()

    def stop(self) -> None:
        """Let `run` end after the handlers under way. Any thread or signal handler may call it."""
        self._stop_wanted = True

    def run_once(self) -> int:
        """Fetch what is there, hand it on, commit offsets and retry when it is time; return the number of records."""
        if not self._subscribed:
            self._kafka.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            self._subscribed = True
        try:
            fetched = self._fetch()
        except KafkaException as fatal:
            self._begin_again(fatal)
            return 0
        self._regulate()
        now = time.monotonic()
        if now >= self._commit_at:
            self._commit_at = now + COMMIT_EVERY
            self._commit(self._lanes, asynchronous=True)
        if now >= self._retry_at and not self._retrying.is_set():
            self._retry_at = now + RETRY_EVERY
            self._retrying.set()
            self._pool.submit(self._retry)
        if self._look_at is not None and now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look_for_new_secrets()
        if self._failure is not None:
            raise _explained(self._failure)
        return fetched

    def close(self) -> None:
        """Finish the handlers under way, commit their offsets and leave the group.

        While Kafka is away, that takes as long as the client's session.timeout.ms.
        """
        self._closing.set()
        self._finish_lanes()
        self._pool.shutdown()
        self._leave()

    def _finish_lanes(self) -> None:
        _give_up(self._lanes.values())
        for lane in self._lanes.values():
            lane.idle.wait()

    def _leave(self) -> None:
        self._commit(self._lanes, asynchronous=False)
        self._lanes.clear()
        self._kafka.close()

    def _met_error(self, error: KafkaError) -> None:
        log.debug("kafka: %s", error.str())  # the client has logged it itself
        self._look_at = self._look_at or time.monotonic()

    def _look_for_new_secrets(self) -> None:
        """Let another client take over if there are other secrets now: this one keeps those that it was made with."""
        try:
            made_from = fingerprint(self._settings)
            if made_from == self._made_from:
                return
            client = _client(self._settings, self._met_error)
        except ConfigError as error:
            log.warning("not yet usable: %s", error)
            return
        log.info("secrets or certificates of Kafka have changed; connecting with the new ones")
        self._take_over(client)
        self._made_from = made_from

    def _begin_again(self, fatal: KafkaException) -> None:
        """Let another client take over from one that failed for good, unless the one before it has just done so too.

        A static member fails so whose session ran out with a commit on its way: its own return to the group fences it.
        Two members under one name fence each other in turn, which ends one of them.
        """
        if time.monotonic() - self._failed_at < FATAL_AGAIN:
            raise fatal
        log.warning("connecting anew after %s", fatal)
        self._made_from = fingerprint(self._settings)
        self._take_over(_client(self._settings, self._met_error))
        self._failed_at = time.monotonic()  # now, for the handlers that it waited for may be slow

    def _take_over(self, client: KafkaConsumer) -> None:
        self._finish_lanes()
        self._leave()
        self._kafka, self._look_at, self._subscribed = client, None, False

    def _fetch(self) -> int:
        """Give their records to the lanes: those that are here, at most a few hundred, else the first that comes."""
        # Message by message: a list of them could be older than a rebalance that was met while it was being filled.
        paused = any(lane.paused for lane in self._lanes.values())
        wait = POLL_WHILE_PAUSED if paused else POLL
        for fetched in range(FETCH_AT_ONCE):
            message = self._kafka.poll(wait)
            if message is None:
                return fetched
            self._receive(message)
            wait = 0
        return FETCH_AT_ONCE

    def _receive(self, message: Message) -> None:
        if error := message.error():
            _complain(error)
            return
        record = _record(message)
        if lane := self._lanes.get((record.topic, record.partition)):
            lane.add(record)

    def _regulate(self) -> None:
        """Start work where there is some, and let the client fetch only for lanes that have room."""
        for (topic, partition), lane in self._lanes.items():
            self._start(lane)
            if lane.crowded and not lane.paused:
                self._kafka.pause([TopicPartition(topic, partition)])
                lane.paused = True
            elif lane.roomy and lane.paused:
                self._kafka.resume([TopicPartition(topic, partition)])
                lane.paused = False

    def _start(self, lane: Lane) -> None:
        if batch := lane.next_batch():
            self._pool.submit(self._work, lane, batch)

    def _work(self, lane: Lane, batch: list[Record]) -> None:
        """Take one batch of a lane through the inbox; the next one queues up behind those of other lanes."""
        settled = 0
        try:
            settled = self._inbox.take(batch, lane.gave_up)
        except BaseException as error:  # noqa: BLE001 -- raised again by run_once, in the thread that can end the process
            self._failure = error
            lane.gave_up.set()
        finally:
            lane.end_batch(batch, settled)
        self._start(lane)

    def _retry(self) -> None:
        try:
            self._inbox.retry(self._closing)
        except BaseException as error:  # noqa: BLE001 -- raised again by run_once, in the thread that can end the process
            if is_transient(error):
                self._retry_at = time.monotonic() + RETRY_AFTER_FAULT
                log.warning("database error while parked messages were tried again: %s", fault(error).summary)
            else:
                self._failure = error
        finally:
            self._retrying.clear()

    def _assigned(self, _: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        log.info("assigned %s", _names(partitions))
        self._lanes |= {(p.topic, p.partition): Lane() for p in partitions}

    def _revoked(self, _: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Let handlers under way end, not for ever, and commit what is settled. What goes on after that is absorbed."""
        log.info("revoked %s", _names(partitions))
        lanes = self._take_away(partitions)
        deadline = time.monotonic() + REVOKE_PATIENCE
        for lane in lanes.values():
            lane.idle.wait(max(0.0, deadline - time.monotonic()))
        self._commit(lanes, asynchronous=False)

    def _lost(self, _: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Others own the partitions already: their offsets are not ours to commit."""
        log.warning("lost %s", _names(partitions))
        self._take_away(partitions)

    def _take_away(self, partitions: Iterable[TopicPartition]) -> dict[Partition, Lane]:
        keys = [(p.topic, p.partition) for p in partitions]
        lanes = {key: self._lanes.pop(key) for key in keys if key in self._lanes}
        _give_up(lanes.values())
        # The client's pause outlives the assignment: given back, the partition would never be fetched again.
        self._kafka.resume([TopicPartition(*key) for key, lane in lanes.items() if lane.paused])
        return lanes

    def _commit(self, lanes: Mapping[Partition, Lane], *, asynchronous: bool) -> None:
        offsets = []
        for (topic, partition), lane in lanes.items():
            position = lane.position
            if position is not None and position != lane.committed:
                lane.committed = position
                offsets.append(TopicPartition(topic, partition, position))
        try:
            if offsets and asynchronous:
                self._kafka.commit(offsets=offsets, asynchronous=True)
            elif offsets:
                self._kafka.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("offsets are not committed, so messages will come again and be skipped: %s", error)


def _explained(error: BaseException) -> BaseException:
    if isinstance(error, ProgrammingError) and isinstance(error.orig, MISSING):
        return SchemaError(
            f"the database lacks part of the schema; run onceward schema install or upgrade: {error.orig}"
        )
    return error


def _give_up(lanes: Iterable[Lane]) -> None:
    for lane in lanes:
        lane.gave_up.set()


def _names(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{p.topic}[{p.partition}]" for p in partitions) or "nothing"


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    kind, milliseconds = message.timestamp()
    time_ = None if kind == TIMESTAMP_NOT_AVAILABLE else _time(milliseconds)
    return Record(topic, partition, offset, message.key(), message.value(), _headers(message), time_)


def _headers(message: Message) -> Headers | None:
    # At a name that is not UTF-8 the client returns a broken list and leaves an exception behind. A plain call, once
    # the interpreter has specialised it, lets that surface anywhere later; a call from C is checked at once.
    try:
        return cast("Headers", _call_headers(message) or ())
    except SystemError:
        return None


def _time(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _complain(error: KafkaError) -> None:
    if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 -- the client's name for it
        raise KafkaException(error)
    log.warning("kafka: %s", error.str())


def _committed(error: KafkaError | None, _: object) -> None:
    if error is not None:
        log.warning("offsets are not committed, so messages will come again and be skipped: %s", error)


def _client(settings: LiveOptions, met_error: Callable[[KafkaError], None]) -> KafkaConsumer:
    callbacks = {"on_commit": _committed, "error_cb": met_error}
    try:
        return KafkaConsumer({**settings, **callbacks}, logger=logging.getLogger("onceward.consumer.kafka"))
    except KafkaException as error:
        text = error.args[0].str()
        named = next((name for name in settings if f'"{name}"' in text), "kafka")
        raise ConfigError(named, text) from None
