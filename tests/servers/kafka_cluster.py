"""Three Apache Kafka brokers on 127.0.0.1, each a controller as well: what is kept on several is kept for real."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

from onceward_relay.embedded.postgres import free_port

from .kafka import KafkaServer

BROKERS = 3
_SHARED = {
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "4000",
}
"""A dead broker is missed within seconds."""


class KafkaCluster:
    """A cluster; each of its brokers can be stopped, killed, frozen and started again."""

    def __init__(self) -> None:
        controllers = {number: free_port() for number in range(1, BROKERS + 1)}
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        cluster = uuid4().hex[:22]
        self.brokers = {
            number: KafkaServer(
                {
                    **_SHARED,
                    "node.id": str(number),
                    "controller.quorum.voters": voters,
                    "listeners": f"PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{port}",
                },
                cluster=cluster,
            )
            for number, port in controllers.items()
        }

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers."""
        return ",".join(broker.bootstrap for broker in self.brokers.values())


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Run a cluster."""
    with ExitStack() as stack:
        cluster = KafkaCluster()
        for broker in cluster.brokers.values():
            stack.callback(broker.close)
            broker.launch()
        for broker in cluster.brokers.values():
            broker.wait_until_it_answers(120)
        yield cluster
