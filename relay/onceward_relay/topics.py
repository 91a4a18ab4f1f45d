"""Facts about topics: whether they are there, whether the relay may write, and what they take."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._config import ConfigResource

from onceward.from_file import fingerprint
from onceward_relay.kafka import MISSING, TOPIC_ERRORS, Options, Pulse, answered

_DEFAULT_LIMIT = 1_048_588


@dataclass(frozen=True, slots=True)
class Topic:
    """What Kafka says about a topic."""

    problem: str | None = None
    """Why nothing can be sent to it."""
    max_bytes: int = _DEFAULT_LIMIT
    """Largest batch it takes."""
    past_ms: int = 2**63 - 1
    """How far behind the broker's clock a timestamp may lie, in milliseconds."""
    partitions: int = 0
    """How many it has; 0 where nobody says."""
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
        return {name for name, answer in found.items() if not isinstance(answer, KafkaError)}

    def _ask(self, names: list[str], pulse: Pulse) -> dict[str, Topic]:
        began, found = time.monotonic(), dict[str, Topic]()
        left = names
        while left:
            answers = {name: _outcome(future, pulse) for name, future in self._describe_topics(left).items()}
            now = time.monotonic()
            sure = [name for name in left if _is_sure(answers[name], now - began, self.MISSING_FOR)]
            limits = self._limits([name for name in sure if not isinstance(answers[name], KafkaError)], pulse)
            for name in sure:
                answer = answers[name]
                if isinstance(answer, KafkaError):
                    topic = Topic(problem=TOPIC_ERRORS[answer.code()])
                else:
                    topic = replace(limits[name], partitions=answer)
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


def _outcome(future: "Future[Any]", pulse: Pulse) -> KafkaError | int:
    """Wait for what the admin client says of a topic; return its error, or that we may see it and not write to it.

    Of a good one the number of its partitions.
    """
    try:
        described = answered(future, pulse)
    except KafkaException as error:
        return _of(error)
    may = described.authorized_operations
    if may and AclOperation.WRITE not in may:
        return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    return len(described.partitions)


def _of(error: KafkaException) -> KafkaError:
    cause = error.args[0]
    assert isinstance(cause, KafkaError)
    return cause


def _is_sure(answer: KafkaError | int, waited: float, missing_for: float) -> bool:
    if not isinstance(answer, KafkaError):
        return True
    if answer.code() in MISSING:
        return waited >= missing_for
    return answer.code() in TOPIC_ERRORS


def _rest(seconds: float, pulse: Pulse) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(0.1, seconds))
        pulse()
