"""Apache Kafka for the tests: from the environment, from Docker, or in KRaft mode from its Maven artifacts."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self
from uuid import uuid4

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # not in its __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from onceward_relay.embedded.guard import Guard
from onceward_relay.embedded.postgres import free_port

from . import maven
from .docker import can_run
from .maven import Unavailable

__all__ = ["TIMESTAMP_NOT_AVAILABLE", "KafkaServer", "TestKafka", "shared_broker"]

IMAGE = "apache/kafka:4.3.1"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.retention.hours=-1
"""


class HasBootstrap(Protocol):
    """A running broker."""

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers."""


class GivenBroker:
    """A broker at an address."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


class KafkaServer:
    """One Apache Kafka node in KRaft mode on 127.0.0.1, with its log in a temporary folder.

    `more` are properties that go over those of a single open broker, with {port} and {controller} for its ports; `system`
    are options of the JVM; nodes with the same `cluster` belong together.
    """

    def __init__(
        self, more: Mapping[str, str] | None = None, *, system: Sequence[str] = (), cluster: str | None = None
    ) -> None:
        if shutil.which("java") is None:
            raise Unavailable("no java on this machine")
        self._jars = maven.artifacts("kafka")
        self._folder = Path(tempfile.mkdtemp(prefix="onceward-kafka-"))
        self.port = free_port()
        self._properties = self._folder / "server.properties"
        ports = {"port": str(self.port), "controller": str(free_port())}
        own = _PROPERTIES.format(folder=self._folder, **ports)
        lines = [f"{name}={_with_ports(value, ports)}" for name, value in (more or {}).items()]
        self._properties.write_text("\n".join([own, *lines, ""]))
        self._system = system
        self._cluster = cluster or uuid4().hex[:22]
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker has printed."""
        return self._folder / "log"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self, timeout: float = 60) -> None:
        """Start the broker, formatting its log first if it is new, and wait until it answers."""
        self.launch()
        self.wait_until_it_answers(timeout)

    def launch(self) -> None:
        """Start the broker and wait for nothing: one alone of several has no quorum."""
        if not (self._folder / "data").exists():
            self._format()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("384m"), "kafka.Kafka", self._properties],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid, signal.SIGKILL)

    def wait_until_it_answers(self, timeout: float = 60) -> None:
        """Wait until the broker that was launched answers."""
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while not answers(self.bootstrap):
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-2000:]
                self.kill()
                raise RuntimeError(f"Kafka did not start:\n{text}")

    def stop(self) -> None:
        """Stop the broker in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the broker."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Stop the broker's process where it stands."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended broker go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop the broker and start it again on the same port and log."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill the broker and remove its log."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _format(self) -> None:
        done = subprocess.run(
            [*self._java("256m"), "kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", self._properties],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:  # as with a Java that is too old
            raise Unavailable(f"Kafka cannot run here: {(done.stdout + done.stderr)[-500:]}")

    def _java(self, heap: str) -> list[str]:
        return [
            "java",
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *self._system,
            "-cp",
            f"{self._jars}/*",
        ]

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None


def _with_ports(value: str, ports: Mapping[str, str]) -> str:
    for name, port in ports.items():
        value = value.replace(f"{{{name}}}", port)
    return value


class TestKafka:
    """Makes topics on a broker and reads them back."""

    __test__ = False

    def __init__(self, broker: HasBootstrap) -> None:
        self.broker = broker
        self._made: list[str] = []

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers."""
        return self.broker.bootstrap

    def create_topic(self, name: str | None = None, partitions: int = 3, **config: str) -> str:
        """Create a topic, with dots of its settings written as underscores, and return its name."""
        name = name or f"topic-{uuid4().hex[:12]}"
        return self._create(NewTopic(name, partitions, 1, config=_settings(config)), partitions)

    def create_replicated_topic(self, assignment: list[list[int]], **config: str) -> str:
        """Create a topic whose partitions are kept by these brokers each, and return its name."""
        name = f"topic-{uuid4().hex[:12]}"
        new = NewTopic(name, len(assignment), replica_assignment=assignment, config=_settings(config))
        return self._create(new, len(assignment))

    def _create(self, new: NewTopic, partitions: int) -> str:
        name: str = new.topic
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        for created in admin.create_topics([new]).values():
            created.result(30)
        self._made.append(name)
        deadline = time.monotonic() + 30
        while not self._leads(name, partitions):  # created is not yet led
            assert time.monotonic() < deadline, f"topic {name} has no leaders"
        return name

    def configure(self, topic: str, **config: str) -> None:
        """Change settings of a topic, behind the back of whoever believes it knows them."""
        changes = [
            ConfigEntry(option.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for option, value in config.items()
        ]
        resource = ConfigResource("topic", topic, incremental_configs=changes)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(10)

    def delete_topics(self) -> None:
        """Delete every topic that this object made."""
        if self._made:
            admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
            for deleted in admin.delete_topics(self._made).values():
                deleted.exception(30)  # a test may have deleted it before
            self._made.clear()

    def _leads(self, name: str, partitions: int) -> bool:
        consumer = self._reader()
        try:
            for partition in range(partitions):
                consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=5)
            return True
        except KafkaException:
            return False
        finally:
            consumer.close()

    def records(self, topic: str, timeout: float = 30, since: Mapping[int, int] | None = None) -> list[Message]:
        """Return all committed records of `topic`, partition by partition, in order; `since` has where to begin."""
        consumer = self._reader()
        try:
            return _read_to_the_end(consumer, topic, since or {}, time.monotonic() + timeout)
        finally:
            consumer.close()

    def _reader(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"reader-{uuid4()}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )


def _settings(config: Mapping[str, str]) -> dict[str, str]:
    return {option.replace("_", "."): value for option, value in config.items()}


def _read_to_the_end(consumer: Consumer, topic: str, since: Mapping[int, int], deadline: float) -> list[Message]:
    partitions = sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
    consumer.assign([TopicPartition(topic, p, since.get(p, 0)) for p in partitions])
    found: dict[int, list[Message]] = {p: [] for p in partitions}
    while any(_position(consumer, topic, p) < end for p, end in ends.items() if end > since.get(p, 0)):
        assert time.monotonic() < deadline, f"{topic}: did not reach {ends}"
        for message in consumer.consume(1000, timeout=0.05):
            assert message.error() is None, message.error()
            partition = message.partition()
            assert partition is not None
            found[partition].append(message)
    return [message for p in partitions for message in found[p]]


def _position(consumer: Consumer, topic: str, partition: int) -> int:
    offset: int = consumer.position([TopicPartition(topic, partition)])[0].offset
    return max(offset, 0)


def answers(bootstrap: str) -> bool:
    """Return whether a broker answers at `bootstrap` within half a second."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=0.5).brokers)
    except KafkaException:
        return False


@contextmanager
def shared_broker() -> Iterator[HasBootstrap]:
    """Run, or find, a broker that no test breaks."""
    given = os.environ.get("ONCEWARD_TEST_KAFKA")
    if given:
        yield GivenBroker(given)
        return
    if can_run(IMAGE):
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer(IMAGE).with_kraft() as container:
            yield GivenBroker(container.get_bootstrap_server())
        return
    with KafkaServer() as server:
        yield server
