"""Clusters that ask who is there, and clusters of several brokers."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.checker.workload import Log
from tests.conftest import Database, available
from tests.consumer.support import Books
from tests.crash.scene import Scene
from tests.servers.kafka import TestKafka
from tests.servers.secure_kafka import secure_kafka

from .support import PASSWORD, Secure


@pytest.fixture(scope="session")
def secure_server() -> Iterator[Secure]:
    """An Apache Kafka with TLS, mutual TLS, SASL and access control lists."""
    with available(secure_kafka(PASSWORD)) as (server, provider):
        yield Secure(server, provider, TestKafka(server))


@pytest.fixture
def secure(secure_server: Secure, tmp_path: Path) -> Secure:
    """The same, with the secret in a file of this test's own."""
    return secure_server.in_folder(tmp_path)


@pytest.fixture
def books(database: Database) -> Iterator[Books]:
    books = Books(database.engine, database.participant_url)
    yield books
    books.engine.dispose()


@pytest.fixture
def guarded(database: Database, secure: Secure, tmp_path: Path) -> Iterator[Scene]:
    """A scene at the cluster that asks who is there."""
    with ExitStack() as stack:
        log = Log(tmp_path / "log.jsonl")
        stack.callback(log.close)
        topic = secure.kafka.create_topic()
        yield Scene(database.url, secure.kafka, topic, log, tmp_path, stack)
