"""What the relay's tests use: publishing by plain SQL, a relay in this process, and the records that came of it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import Message

from onceward_relay.config import Settings
from onceward_relay.daemon import Daemon
from onceward_relay.metrics import SourceState
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(url: str, **options: Any) -> Connection:
    return psycopg.connect(url, autocommit=True, **options)


def publish(
    connection: Connection,
    topic: str,
    key: bytes | str | None,
    payload: bytes | str | None,
    headers: str = "{}",
    kind: str = "Tested",
) -> str:
    """Publish one message as a participant in any language would; return its id."""
    row = connection.execute(
        "SELECT onceward.publish(topic => %s, key => %s, type => %s, payload => %s, headers => %s, unordered => %s)::text",
        (topic, _bytes(key), kind, _bytes(payload), headers, key is None),
    ).fetchone()
    assert row is not None
    return str(row[0])


def publish_many(
    connection: Connection, topic: str, count: int, *, keys: int = 10, first: int = 0, size: int = 0
) -> None:
    """Publish messages numbered from `first` in one statement: payload is the number, padded to `size`."""
    connection.execute(
        """INSERT INTO onceward.outbox (message_id, topic, key, type, payload)
           SELECT gen_random_uuid(), %s, convert_to('k' || n %% %s, 'UTF8'), 'Tested', convert_to(rpad(n::text, greatest(length(n::text), %s)), 'UTF8')
             FROM generate_series(%s::int, %s::int) n ORDER BY n""",
        (topic, keys, size, first, first + count - 1),
    )


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def settings(
    kafka: TestKafka,
    sources: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    *,
    source: Mapping[str, Any] | None = None,
    **relay: Any,
) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": kafka.bootstrap, **(options or {})},
            "relay": {"http_port": 0, "name": "test", **relay},
            "source": [{"name": name, "database": url, **(source or {})} for name, url in sources.items()],
        }
    )


@contextmanager
def running(configuration: Settings) -> Iterator[Daemon]:
    """Run a relay in this process."""
    daemon = Daemon(configuration)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.close()


@dataclass
class Relay:
    """A relay of one database, with what a test asks of it."""

    daemon: Daemon
    database: Database
    kafka: TestKafka
    name: str = "payer"

    @property
    def state(self) -> SourceState:
        return self.daemon.metrics.states[self.name]

    def count(self, metric: str, **labels: str) -> float:
        """Return the value of a metric of the source, 0 if it was never touched."""
        return (
            self.daemon.metrics.registry.get_sample_value(f"onceward_relay_{metric}", {"source": self.name, **labels})
            or 0
        )

    def wait_settled(self, messages: int, timeout: float = 30) -> None:
        """Wait until so many messages are sent or set aside since the relay began."""

        def settled() -> bool:
            held = self.count("held_total", state="poison") + self.count("held_total", state="behind")
            return self.count("sent_total") + held >= messages

        eventually(settled, timeout, lambda: (self.state, self.count("sent_total")))

    def wait_owner(self) -> None:
        eventually(lambda: self.state.state == "owner", describe=lambda: self.state)


@contextmanager
def relaying(
    database: Database,
    kafka: TestKafka,
    options: Mapping[str, Any] | None = None,
    *,
    name: str = "payer",
    **more: Any,
) -> Iterator[Relay]:
    """Run a relay of `database` in this process, with the rights of the relay's role."""
    with running(settings(kafka, {name: database.relay_url}, options, **more)) as daemon:
        yield Relay(daemon, database, kafka, name)


def values(records: Sequence[Message]) -> list[str]:
    return [(record.value() or b"").decode().strip() for record in records]


def by_key(records: Sequence[Message]) -> dict[bytes | None, list[str]]:
    """Return the payloads of each key, in the order of its partition."""
    found: dict[bytes | None, list[str]] = defaultdict(list)
    for record in records:
        found[_bytes(record.key())].append((record.value() or b"").decode().strip())
    return dict(found)


def rows(database: Database, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect(database.url) as connection:
        return connection.execute(query, parameters).fetchall()
