"""Whether Kafka would let a source work in exactly-once mode, asked without disturbing the relay that may be at work.

Group and topic can be asked about. A transactional id cannot: to use it is to fence off whoever else does. But Kafka
looks at the right to it first and at the timeout second, and at the id itself only after both. So a timeout that is
longer than the brokers allow is refused for one reason or the other, and nothing is touched.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.cimpl import NewTopic

from onceward_relay.config import SourceSettings
from onceward_relay.errors import KafkaTrouble
from onceward_relay.kafka import Client, Options, Pulse, answered
from onceward_relay.transactions import ANSWER, CALL, TRANSACTIONAL, identity, passing

T = TypeVar("T")
LONGEST = 2**31 - 1
"""Milliseconds: the longest timeout that can be asked for."""
TIMEOUT = int(TRANSACTIONAL["transaction.timeout.ms"])
"""Milliseconds that the relay asks for."""
LIMIT = "transaction.max.timeout.ms"


class Rights:
    """What one source needs of Kafka in exactly-once mode, and may not."""

    def __init__(self, source: SourceSettings, options: Options, log: logging.Logger, pulse: Pulse) -> None:
        self._id = identity(source.name)
        self._topic = source.pages_topic
        self._options = options
        self._log = log
        self._pulse = pulse
        self._admin = AdminClient({"client.id": "onceward-check", "log_level": 0, **options}, logger=log)

    def missing(self) -> Iterator[str]:
        """Yield what is denied of the group and of the topic of page numbers, and what to do."""
        if not self._may_read(self._group):
            yield f"grant Read on the group {self._id}"
        try:
            if not self._may_read(self._pages_topic):
                yield f"grant Read on the topic {self._topic}"
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            if not self._may_make_topic():
                yield f"make the topic {self._topic}, with one partition, or grant Create on it"

    def denied_id(self) -> bool:
        """Return whether the transactional id is denied. To be asked only of brokers that `are_safe_to_ask`.

        Raises:
            KafkaTrouble: nobody answers for transactions.

        """
        own = {"transactional.id": self._id, "transaction.timeout.ms": LONGEST, "log_level": 0, "logger": self._log}
        client = Client({"client.id": "onceward-check", **self._options, **own})
        try:
            self._asked(lambda: client.init_transactions(CALL))
        except KafkaException as error:
            code = error.args[0].code()
            if code not in (KafkaError.INVALID_TRANSACTION_TIMEOUT, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED):
                raise KafkaTrouble("refused", error.args[0].str()) from error
            return bool(code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        return False  # and without a word to end the client: it has begun nothing, and close() would try to abort

    def _may_read(self, describe: Callable[[], Any]) -> bool:
        try:
            may = self._asked(describe).authorized_operations
        except KafkaException as error:
            if error.args[0].code() in (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED):
                return False
            raise
        return not may or AclOperation.READ in may

    def _group(self) -> Any:
        asked = self._admin.describe_consumer_groups(
            [self._id], include_authorized_operations=True, request_timeout=ANSWER
        )
        return answered(asked[self._id], self._pulse)

    def _pages_topic(self) -> Any:
        asked = self._admin.describe_topics(
            TopicCollection([self._topic]), include_authorized_operations=True, request_timeout=ANSWER
        )
        return answered(asked[self._topic], self._pulse)

    def _may_make_topic(self) -> bool:
        """Have Kafka judge the request without following it."""
        asked = self._admin.create_topics([NewTopic(self._topic, 1)], validate_only=True, request_timeout=ANSWER)
        try:
            answered(asked[self._topic], self._pulse)
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS)
        return True

    def _asked(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except KafkaException as error:
                if not passing(error):
                    raise
            self._pulse()


def are_safe_to_ask(brokers: Mapping[int, Mapping[str, str] | None]) -> bool:
    """Return whether the settings of all brokers are known, and none would grant LONGEST."""
    return all(settings is not None and int(settings.get(LIMIT, LONGEST)) < LONGEST for settings in brokers.values())


def too_short(brokers: Mapping[int, Mapping[str, str] | None]) -> str | None:
    """Return what to do if a broker does not allow transactions as long as the relay's."""
    for number, settings in brokers.items():
        if settings is not None and int(settings.get(LIMIT, TIMEOUT)) < TIMEOUT:
            return f"set {LIMIT} of broker {number} to {TIMEOUT} or more; it is {settings[LIMIT]}, and it refuses all"
    return None
