"""Kafka transactions of one source: a page and its number are committed together, or neither is.

The number is committed as the offset of a consumer group that nobody is a member of. A new owner's producer, with the
same transactional.id, ends what the owner before it left open and fences it off; only then does Kafka say for sure
which page was committed last.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from onceward.failpoint import failpoint
from onceward_relay.errors import KafkaTrouble
from onceward_relay.kafka import Options, Producer, Pulse, Refusal, answered, refusal
from onceward_relay.sender import Link

T = TypeVar("T")

CALL = 0.5
"""Seconds that the client may keep us waiting at a time: the session with PostgreSQL must be kept alive meanwhile."""
ANSWER = 5
"""Seconds that a broker has for an answer about a topic."""
CLOSING = 2.0
"""Seconds for which the end of what is left open is waited for, on the way out."""
REMEMBERED = 3600.0
"""Seconds after which the page number is committed once more before a page: Kafka forgets offsets, by default after
seven days without a commit, and a plan without one to compare it with is a halt."""
RENEWED = 20.0
"""Seconds after which a transaction that is to be aborted anyway is aborted, before Kafka does it and with it ends the
producer: a third of transaction.timeout.ms."""
TRANSACTIONAL: Options = {
    # Longer than a rolling restart of brokers keeps a page waiting. No longer: if every relay dies in the middle of a
    # page, readers of committed messages stand still for that time.
    "transaction.timeout.ms": 60_000,
    "enable.gapless.guarantee": False,  # a gap ends the transaction, which has no need to end the producer as well
}
_PASSING = {
    KafkaError._TIMED_OUT,  # noqa: SLF001 -- the client's public names of local errors begin so
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}


def identity(source: str) -> str:
    """Return the transactional.id and consumer group of a source: only one source in a Kafka cluster may have it."""
    return f"onceward-{source}"


class TransactionalProducer(Producer):
    """A producer whose messages are seen once their transaction is committed, and never if it is not."""

    def __init__(self, link: Link, batch_size: int) -> None:
        super().__init__(
            link.options,
            client_id=f"onceward-relay-{link.name}",
            batch_size=batch_size,
            linger_ms=None,
            log=link.log,
            more={**TRANSACTIONAL, "transactional.id": identity(link.name)},
        )
        self.open = False
        """Whether a transaction is open, of which it is certain that it is not committed."""
        self.begun_at = 0.0

    def begin(self) -> None:
        """Begin a transaction."""
        self._client.begin_transaction()
        self.open, self.begun_at = True, time.monotonic()

    def initialise(self) -> None:
        """End what another producer with this transactional.id has left open, and fence it off."""
        self._client.init_transactions(CALL)

    def add(self, offset: TopicPartition, group: Any) -> None:
        """Let the transaction commit an offset."""
        self._client.send_offsets_to_transaction([offset], group, CALL)

    def commit(self) -> None:
        """Commit the transaction. After any error but a passing one nobody knows whether it was."""
        self.open = False
        self._client.commit_transaction(CALL)

    def abort(self) -> None:
        """Abort the transaction: nothing of it is ever seen."""
        self._client.abort_transaction(CALL)
        self.open = False
        self.broken = self.gap = self.refused = None


class Transactions:
    """The transactions of one source, through one producer at a time."""

    def __init__(self, link: Link, pulse: Pulse) -> None:
        self._link = link
        self._pulse = pulse
        self._place = (link.pages_topic, 0)
        self._producer: TransactionalProducer | None = None
        self._group: Any = None
        self._page = 0
        """The page committed last."""
        self.mark = ""
        """What was committed with its number, as its plan has it."""
        self._committed_at = 0.0
        self.refused: Refusal | None = None
        """Why the transaction before could not go on, if it said so."""

    def begin_with(self, batch_size: int) -> TransactionalProducer:
        """Return a producer of batches no larger than that, in a transaction."""
        if self._producer is not None and self._producer.batch_size > batch_size:
            self.abort()
            self.close()
        if self._producer is None:
            self._producer = self._fresh(batch_size)
        if not self._producer.open:
            self.refused = None
            self._once(self._producer.begin)
        return self._producer

    def ask(self) -> None:
        """Find out whether the transaction can still go on; if not, its producer is broken until it is aborted."""
        assert self._producer is not None
        try:
            as_it_is = TopicPartition(*self._place, self._page, self.mark)  # changes nothing
            self._producer.add(as_it_is, self._group)
        except KafkaException as error:
            if not passing(error):
                self._producer.fail(error)
                self.refused = refusal(error.args[0])

    def take_over(self, batch_size: int) -> int | None:
        """Fence off every producer before, and return the number of the page that Kafka has committed last, if any."""
        self._make_topic()
        self._producer = self._fresh(batch_size)
        failpoint("relay.initialised")
        consumer = Consumer(
            {
                "client.id": f"onceward-relay-{self._link.name}",
                "log_level": 3,
                **self._link.options,
                "group.id": identity(self._link.name),
                "enable.auto.commit": False,
            },
            logger=self._link.log,
        )
        try:
            asked = [TopicPartition(*self._place)]
            found = self._again(lambda: consumer.committed(asked, timeout=CALL))[0]
            self._group = consumer.consumer_group_metadata()
        finally:
            consumer.close()
        if found.error is not None:
            raise KafkaTrouble("refused", f"the page committed last cannot be read: {found.error.str()}")
        self._page, self.mark = max(found.offset, 0), found.metadata or ""
        return found.offset if found.offset >= 0 else None

    def commit(self, page: int, mark: str) -> None:
        """Commit what was produced, together with the number of the page and the mark of its plan.

        Raises:
            KafkaTrouble: nobody knows whether it is committed; another producer's take_over() finds out.

        """
        producer = self._producer
        assert producer is not None
        self._again(lambda: producer.add(TopicPartition(*self._place, page, mark), self._group))
        failpoint("relay.numbered")
        self._again(producer.commit)
        self._page, self.mark, self._committed_at = page, mark, time.monotonic()
        failpoint("relay.committed")

    def remember(self, page: int) -> None:
        """Commit the number of a page once more, without any message, if that is long ago."""
        if not self._committed_at or time.monotonic() - self._committed_at > REMEMBERED:
            assert self._producer is not None
            self._once(self._producer.begin)
            self.commit(page, self.mark)

    def abort(self) -> None:
        """Abort the transaction, if one is open; with old secrets that may be refused, so the next producer does it."""
        if self._producer is not None and self._producer.outdated:
            self.close()
        elif self._producer is not None and self._producer.open:
            self._again(self._producer.abort)

    def abort_if_old(self) -> None:
        """Abort a transaction that Kafka would soon end for its age."""
        if self._producer is not None and time.monotonic() - self._producer.begun_at > RENEWED:
            self.abort()

    def close(self) -> None:
        """Throw the producer away. What is open is aborted, if Kafka answers soon: readers wait for its end."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        deadline = time.monotonic() + CLOSING
        while producer.open and time.monotonic() < deadline:
            try:
                producer.abort()
            except KafkaException as error:
                if not passing(error):
                    break
        producer.discard()

    def _fresh(self, batch_size: int) -> TransactionalProducer:
        producer = TransactionalProducer(self._link, batch_size)
        try:
            self._again(producer.initialise)
        except BaseException:
            producer.discard()
            raise
        return producer

    def _make_topic(self) -> None:
        """Make the topic of page numbers if it is missing: the relay's own, and always empty."""
        name = self._link.pages_topic
        admin = AdminClient({"log_level": 0, **self._link.options}, logger=self._link.log)
        if self._again(lambda: self._is_there(admin, name)):
            return
        try:
            answered(admin.create_topics([NewTopic(name, 1)], request_timeout=ANSWER)[name], self._pulse)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                what = f"the topic {name} is missing and cannot be made: {error.args[0].str()}"
                raise KafkaTrouble(
                    "refused", f"{what}; make it, with one partition, or name another as pages_topic"
                ) from None

    def _is_there(self, admin: AdminClient, name: str) -> bool:
        asked = admin.describe_topics(TopicCollection([name]), request_timeout=ANSWER)[name]
        try:
            answered(asked, self._pulse)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            return False
        return True

    def _again(self, call: Callable[[], T]) -> T:
        """Call until the answer is there. Every call of the client's that is used here may be repeated for that."""
        deadline = time.monotonic() + self._link.stall_timeout
        while True:
            try:
                return call()
            except KafkaException as error:
                if not passing(error) or time.monotonic() > deadline:
                    raise _trouble(error) from error
            self._pulse()

    def _once(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except KafkaException as error:
            raise _trouble(error) from error


def passing(error: KafkaException) -> bool:
    """Return whether the same call may succeed a moment later."""
    return error.args[0].retriable() or error.args[0].code() in _PASSING


def _trouble(error: KafkaException) -> KafkaTrouble:
    cause = error.args[0]
    if cause.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH):  # noqa: SLF001 -- the client's public name begins so
        return KafkaTrouble(
            "fenced",
            "another producer with this source's transactional.id has taken over; starting again from Kafka's word",
        )
    return KafkaTrouble("transaction", f"{cause.str()}; starting again from Kafka's word")
