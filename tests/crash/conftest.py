"""Scenes for the crash tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from onceward import migrations
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.checker.workload import Log
from tests.conftest import Database
from tests.crash.payers import Payers
from tests.crash.scene import Scene
from tests.crash.shop import Shop
from tests.demo.support import RunningBank
from tests.servers.kafka import KafkaServer, TestKafka


def scene_of(url: str, kafka: TestKafka, folder: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        log = Log(folder / "log.jsonl")
        stack.callback(log.close)
        yield Scene(url, kafka, kafka.create_topic(), log, folder, stack)


@pytest.fixture
def scene(database: Database, kafka: TestKafka, tmp_path: Path) -> Iterator[Scene]:
    yield from scene_of(database.url, kafka, tmp_path)


@pytest.fixture
def once(scene: Scene) -> Scene:
    """A scene in exactly-once mode."""
    return replace(scene, delivery="exactly_once")


@pytest.fixture
def fragile_database(own_postgres: EmbeddedPostgres, kafka: TestKafka, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose PostgreSQL may be killed."""
    migrations.install(own_postgres.url())
    yield from scene_of(own_postgres.url(), kafka, tmp_path)


@pytest.fixture
def fragile_broker(database: Database, own_kafka: KafkaServer, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose Kafka may be killed."""
    yield from scene_of(database.url, TestKafka(own_kafka), tmp_path)


@pytest.fixture
def shop(database: Database, kafka: TestKafka, tmp_path: Path) -> Iterator[Shop]:
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE public.paid (number text)"))
    with RunningBank(tmp_path / "books") as bank:
        yield Shop(database, kafka, kafka.create_topic(partitions=1), bank)


@pytest.fixture
def payers(database: Database, tmp_path: Path) -> Iterator[Payers]:
    with RunningBank(tmp_path / "books") as bank:
        yield Payers(database, bank, tmp_path)
