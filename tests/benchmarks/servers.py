"""PostgreSQL and Apache Kafka of a benchmark's own, set up as for work: durable, and with all of Java's compiler."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from onceward_relay.bench.stage import Servers
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import NEWEST, SETTINGS, local_binaries

POSTGRES = SETTINGS | {"max_connections": "300", "shared_buffers": "1GB", "max_wal_size": "8GB"}
JAVA = ("-Xmx1g", "-XX:-UseSerialGC", "-XX:TieredStopAtLevel=4")
"""Over the options of a broker for tests, which is to be up soon and to stay small."""


@contextmanager
def own_servers() -> Iterator[Servers]:
    """Run both, with a database for the benchmarks."""
    with (
        EmbeddedPostgres(local_binaries(NEWEST), settings=POSTGRES) as postgres,
        KafkaServer(system=JAVA) as kafka,
    ):
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        yield Servers(postgres.url("bench"), kafka.bootstrap)
