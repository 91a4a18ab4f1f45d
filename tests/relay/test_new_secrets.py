"""A client that has met trouble looks whether its secrets have changed, and is thrown away whatever it finds."""

import logging
from pathlib import Path

from onceward.from_file import FromFile, LiveOptions
from onceward_relay.kafka import LARGEST_BATCH, Producer
from onceward_relay.routes import RoutedTopics, Routes
from onceward_relay.sender import Link
from onceward_relay.topics import Topics
from onceward_relay.transactions import Transactions
from tests.conftest import Database
from tests.servers.kafka import TestKafka

SILENT = logging.getLogger("onceward.test.secrets")
SILENT.setLevel(logging.CRITICAL + 1)


def options(secret: Path, servers: str) -> LiveOptions:
    secret.write_text("old")
    return LiveOptions({"bootstrap.servers": servers, "client.rack": FromFile(secret)})


def meets_trouble(producer: Producer) -> None:
    producer._look_at = 0.0  # as after an error of the client


def test_a_client_is_thrown_away_although_its_secret_is_gone(tmp_path: Path) -> None:
    """As at a reload that names another file: what is thrown away needs no secret, and must not stop the reload."""
    secret = tmp_path / "secret"
    own = options(secret, "127.0.0.1:1")
    producer = Producer(own, client_id="test", batch_size=LARGEST_BATCH, linger_ms=0, log=SILENT)
    secret.unlink()
    meets_trouble(producer)
    producer.discard()


def test_the_transaction_after_has_the_new_secrets(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    own = options(secret, kafka.bootstrap)
    link = Link(database.name, "test", own, RoutedTopics(Topics(own, SILENT), Routes()), 20, SILENT)
    transactions = Transactions(link, lambda: None)
    transactions.take_over(LARGEST_BATCH)
    old = transactions.begin_with(LARGEST_BATCH)
    secret.write_text("new")
    meets_trouble(old)
    old.poll(0)
    assert old.broken
    transactions.abort()
    new = transactions.begin_with(LARGEST_BATCH)
    meets_trouble(new)
    new.poll(0)
    assert not new.broken, "it was made with the old ones"
    transactions.close()
