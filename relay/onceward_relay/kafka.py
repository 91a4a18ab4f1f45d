"""The Kafka client of the relay: the only module that imports it on the publishing side.

Everything here is about what librdkafka does; what the relay makes of it stands in `sender`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka import Producer as _Client
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._config import ConfigResource

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

_MISSING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: "does not exist",
    KafkaError._UNKNOWN_TOPIC: "does not exist",  # noqa: SLF001 -- the client's public names of local errors begin so
    KafkaError._UNKNOWN_PARTITION: "has lost a partition",  # noqa: SLF001 -- the same
}
_TOPIC_ERRORS = {
    **_MISSING,
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
_DEFAULT_LIMIT = 1_048_588


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
    if code in _MISSING:
        return Refusal("missing", _MISSING[code])
    if code in _TOPIC_ERRORS:
        return Refusal("topic", _TOPIC_ERRORS[code])
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


@dataclass(frozen=True, slots=True)
class Topic:
    """What Kafka says about a topic."""

    problem: str | None = None
    """Why nothing can be sent to it."""
    max_bytes: int = _DEFAULT_LIMIT
    """Largest batch it takes."""
    past_ms: int = 2**63 - 1
    """How far behind the broker's clock a timestamp may lie, in milliseconds."""
    needs_key: bool = False
    """Whether it is compacted, so that a message without a key is refused."""


class Topics:
    """Facts about topics, asked of Kafka and remembered for a while. Shared by all sources."""

    FRESH = 60.0
    """Seconds for which facts are believed."""
    MISSING_FOR = 1.0
    """Seconds for which a topic must be missing to count as such: a new one takes time to be known everywhere."""

    def __init__(self, options: Options, log: logging.Logger) -> None:
        self._options = options
        self._log = log
        self._admin: AdminClient | None = None
        self._before: AdminClient | None = None
        """The client before, which other sources may still be waiting for."""
        self._made_from = b""
        self._known: dict[str, tuple[Topic, float]] = {}

    def describe(self, names: Iterable[str], pulse: Pulse) -> dict[str, Topic]:
        """Return the facts about `names`, waiting for Kafka as long as `pulse` lets it."""
        now = time.monotonic()
        known = {name: self._known.get(name) for name in names}  # once: another source may forget them meanwhile
        fresh = {name: it[0] for name, it in known.items() if it is not None and now - it[1] <= self.FRESH}
        return fresh | self._ask([name for name in known if name not in fresh], pulse)

    def forget(self, names: Iterable[str]) -> None:
        """Ask Kafka again at the next need."""
        for name in names:
            self._known.pop(name, None)

    def good(self, names: Iterable[str], pulse: Pulse) -> set[str]:
        """Return those of `names` that Kafka knows now, without waiting for those that it may come to know."""
        found = {name: _outcome(future, pulse) for name, future in self._describe_topics(list(names)).items()}
        self.forget(found)
        return {name for name, error in found.items() if error is None}

    def _ask(self, names: list[str], pulse: Pulse) -> dict[str, Topic]:
        began, found = time.monotonic(), dict[str, Topic]()
        left = names
        while left:
            problems = {name: _outcome(future, pulse) for name, future in self._describe_topics(left).items()}
            now = time.monotonic()
            sure = [name for name in left if _is_sure(problems[name], now - began, self.MISSING_FOR)]
            limits = self._limits([name for name in sure if problems[name] is None], pulse)
            for name in sure:
                error = problems[name]
                topic = limits[name] if error is None else Topic(problem=_TOPIC_ERRORS[error.code()])
                found[name] = topic
                self._known[name] = (topic, now)
            left = [name for name in left if name not in sure]
            _rest(0.2 if left else 0, pulse)
        return found

    def _describe_topics(self, names: list[str]) -> "dict[str, Future[Any]]":
        futures: dict[str, Future[Any]] = self._client().describe_topics(
            TopicCollection(names), include_authorized_operations=True, request_timeout=5
        )
        return futures

    def _client(self) -> AdminClient:
        """Return a client that was made with the secrets of now."""
        if self._admin is None or fingerprint(self._options) != self._made_from:
            made_from = fingerprint(self._options)
            client = AdminClient({"client.id": "onceward-relay", "log_level": 3, **self._options}, logger=self._log)
            self._admin, self._before, self._made_from = client, self._admin, made_from
        return self._admin

    def _limits(self, names: list[str], pulse: Pulse) -> dict[str, Topic]:
        if not names:
            return {}
        asked = self._client().describe_configs(
            [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names], request_timeout=5
        )
        return {resource.name: _limits_of(future, pulse) for resource, future in asked.items()}


def _limits_of(future: "Future[Any]", pulse: Pulse) -> Topic:
    try:
        settings = {name: entry.value for name, entry in answered(future, pulse).items()}
    except KafkaException:
        return Topic()  # not allowed to ask, or a broker that cannot answer: Kafka's defaults
    create_time = settings.get("message.timestamp.type") != "LogAppendTime"
    return Topic(
        max_bytes=int(settings.get("max.message.bytes", _DEFAULT_LIMIT)),
        past_ms=int(settings.get("message.timestamp.before.max.ms", 2**63 - 1)) if create_time else 2**63 - 1,
        needs_key="compact" in str(settings.get("cleanup.policy", "")),
    )


def _outcome(future: "Future[Any]", pulse: Pulse) -> KafkaError | None:
    """Wait for what the admin client says of a topic; return its error, or that we may see it and not write to it."""
    try:
        may = answered(future, pulse).authorized_operations
    except KafkaException as error:
        return _of(error)
    return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED) if may and AclOperation.WRITE not in may else None


def _of(error: KafkaException) -> KafkaError:
    cause = error.args[0]
    assert isinstance(cause, KafkaError)
    return cause


def answered(future: "Future[T]", pulse: Pulse) -> T:
    """Wait for an answer of the admin client, as long as `pulse` lets us; raises ClientError for its error."""
    while True:
        try:
            return future.result(timeout=0.1)
        except NotYet:
            pulse()


def _is_sure(error: KafkaError | None, waited: float, missing_for: float) -> bool:
    if error is None:
        return True
    if error.code() in _MISSING:
        return waited >= missing_for
    return error.code() in _TOPIC_ERRORS


def _rest(seconds: float, pulse: Pulse) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(0.1, seconds))
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
