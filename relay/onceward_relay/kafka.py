"""The producer of the relay, and what the client's errors mean.

Everything here is about what librdkafka does; what the relay makes of it stands in `sender`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as _Client

from onceward.from_file import fingerprint

Options = Mapping[str, str | int | float | bool]
Pulse = Callable[[], None]
"""Called several times a second while waiting; raises to end the wait."""
Client = _Client
ClientError = KafkaException
T = TypeVar("T")

PROMISED: Options = {
    "enable.idempotence": True,
    "acks": "all",
    "message.timeout.ms": 0,
    "enable.gapless.guarantee": True,
    "partitioner": "murmur2_random",
    "allow.auto.create.topics": False,
    "message.max.bytes": 20_000_000,
}
"""What order and completeness rest on. message.max.bytes is above the largest message an outbox can hold."""
LARGEST_BATCH = 900_000
"""Bytes of a batch where the topics allow as much."""
CHOSEN: Options = {
    "linger.ms": 50,  # large batches while draining; where there is nothing more to read, the sender flushes
    "topic.metadata.propagation.max.ms": 2000,  # a topic is known before it is sent to; if it vanishes, find out soon
    "log_level": 3,
}
"""What serves the relay best unless the configuration says otherwise."""
LOOK_EVERY = 1.0
"""Seconds between two looks for new secrets, once the client has met an error."""
BATCH_OVERHEAD = 61
"""Bytes of a record batch (magic 2) before its first record."""

MISSING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: "does not exist",
    KafkaError._UNKNOWN_TOPIC: "does not exist",  # noqa: SLF001 -- the client's public names of local errors begin so
    KafkaError._UNKNOWN_PARTITION: "has lost a partition",  # noqa: SLF001 -- the same
}
TOPIC_ERRORS = {
    **MISSING,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "is denied to the relay",
    KafkaError.TOPIC_EXCEPTION: "has a name that Kafka refuses",
}
_CLUSTER_ERRORS = {
    KafkaError.INVALID_TIMESTAMP,  # the relay sends none that its own clock finds wrong: the clocks disagree
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.SECURITY_DISABLED,
}
_AGAIN = {
    KafkaError.UNKNOWN,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.DUPLICATE_SEQUENCE_NUMBER,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error report says about a message."""

    about: str
    """message, or its size: a verdict, if it was alone in its batch; topic; missing: a topic that may be; cluster;
    nothing."""
    text: str


def refusal(error: KafkaError) -> Refusal:
    """Classify the error of a delivery report."""
    code = error.code()
    if code in MISSING:
        return Refusal("missing", MISSING[code])
    if code in TOPIC_ERRORS:
        return Refusal("topic", TOPIC_ERRORS[code])
    if code in _CLUSTER_ERRORS:
        return Refusal("cluster", error.str())
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return Refusal("size", error.str())
    if code == KafkaError._INVALID_ARG:  # noqa: SLF001 -- the client's public name begins so
        return Refusal("message", error.str())
    if code < 0 or code in _AGAIN:
        return Refusal("nothing", error.str())
    return Refusal("message", error.str())


class Producer:
    """An idempotent producer that is thrown away after its first error: it cannot go on without a gap."""

    def __init__(
        self,
        options: Options,
        *,
        client_id: str,
        batch_size: int,
        linger_ms: float | None,
        log: logging.Logger,
        more: Options | None = None,
    ) -> None:
        own: dict[str, Any] = {"client.id": client_id, **CHOSEN, **options, **PROMISED, **(more or {})}
        own["batch.size"] = min(int(own.get("batch.size", LARGEST_BATCH)), batch_size)
        if linger_ms is not None:
            own["linger.ms"] = linger_ms
        self.batch_size = batch_size
        self.broken: str | None = None
        """Why it can no longer be used."""
        self.gap: str | None = None
        """The same, if a batch was refused for good: a gap that it must not go on after."""
        self.refused: Refusal | None = None
        """Why it refused a record before sending it."""
        self._log = _Log(log)
        self._options, self._made_from = options, fingerprint(options)
        self._look_at: float | None = None
        """When to look whether the options have changed; None while the client has met no error."""
        self.outdated = False
        """Whether they have."""
        self._client = Client({**own, "logger": self._log, "error_cb": self._met_error})
        self.produce = self._client.produce
        """The client's own produce(topic, value, key, partition, callback, on_delivery, timestamp, headers)."""

    def poll(self, timeout: float) -> None:
        """Serve delivery reports, waiting at most `timeout` seconds for the first."""
        with self._noting_failure():
            self._client.poll(timeout)
        self._look_for_new_secrets()

    def flush(self, timeout: float) -> None:
        """Send what lingers, and serve delivery reports for at most `timeout` seconds or until all are in."""
        with self._noting_failure():
            self._client.flush(timeout)
        self._look_for_new_secrets()

    def _met_error(self, _: KafkaError) -> None:
        self._look_at = self._look_at or time.monotonic()

    def _look_for_new_secrets(self) -> None:
        """End a client that has trouble if there are other secrets now: it keeps those that it was made with."""
        if self._look_at is None or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY
        if fingerprint(self._options) != self._made_from:
            self.outdated = True
            self.broken = self.broken or "its options, a secret or a certificate, have changed"

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:  # a fatal error comes out of poll()
            self.fail(error)
        except SystemError as error:  # the same, if a report's callback ran at that moment
            self.fail(error.__cause__ if isinstance(error.__cause__, KafkaException) else error)

    def fail(self, error: BaseException) -> None:
        """Note that this producer is at its end."""
        cause = error.args[0]
        if isinstance(cause, KafkaError):
            self.refused = refusal(cause)
            if cause.code() == KafkaError._GAPLESS_GUARANTEE:  # noqa: SLF001 -- the client's public name begins so
                self.gap = cause.str()
        self.broken = self.broken or (cause.str() if isinstance(cause, KafkaError) else str(error))

    @property
    def under_way(self) -> int:
        """How many messages and reports are under way."""
        return len(self._client)

    def discard(self) -> None:
        """Throw away what is not yet acknowledged, and take the last reports."""
        self._log.muted = True  # to the client purging is a fatal error
        with self._noting_failure():
            self._client.purge()
        for _ in range(2):
            with self._noting_failure():
                self._client.poll(0)
        with self._noting_failure():
            self._client.close()


class _Log:
    """What the client logs to: the relay's logger, until the producer is thrown away."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self.muted = False

    def log(self, level: int, message: str, *arguments: object) -> None:
        """Log as the client asks."""
        if not self.muted:
            self._log.log(level, message, *arguments)


def answered(future: "Future[T]", pulse: Pulse) -> T:
    """Wait for an answer of the admin client, as long as `pulse` lets us; raises ClientError for its error."""
    while True:
        try:
            return future.result(timeout=0.1)
        except NotYet:
            pulse()


def option_problems(options: Options) -> Iterator[tuple[str, str]]:
    """Yield (option, what is wrong) for each option that the client refuses, or ("", text) if they do not go together.

    Connects to nothing. One option can be refused alone and be right beside another, so all of them are tried first.
    """
    whole = _creation_error({**options, "bootstrap.servers": ""})
    if whole is None:
        return
    single = [(name, _creation_error({name: value})) for name, value in options.items()]
    named = [(name, text) for name, text in single if text and "configuration property" in text]
    yield from named or [("", whole)]


def _creation_error(options: Options) -> str | None:
    try:
        Client({**options, "log_level": 0}).close()
    except KafkaException as error:
        return str(error.args[0].str())
    return None
