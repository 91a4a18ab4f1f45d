"""Fixtures of all tests: real servers, found as CONTRIBUTING.md says."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import pytest
from sqlalchemy import Engine, create_engine

from onceward.database import sqlalchemy_url
from onceward_relay.embedded.postgres import EmbeddedPostgres, ServerDidNotStart

from .servers.kafka import KafkaServer, TestKafka, shared_broker
from .servers.maven import Unavailable
from .servers.postgres import LOGINS, NEWEST, VERSIONS, HasUrl, TestServer, private_server, shared_server

Server = TypeVar("Server")


@dataclass(frozen=True)
class Database:
    """A database for one test."""

    url: str
    """Of a superuser."""
    participant_url: str
    """Of `app`, a member of onceward_participant."""
    relay_url: str
    """Of `relay`, a member of onceward_relay."""
    console_url: str
    """Of `console`, a member of onceward_console."""
    auditor_url: str
    """Of `auditor`, a member of onceward_auditor."""
    engine: Engine
    """As superuser."""
    name: str


def without(reason: str) -> NoReturn:
    """End a test for want of a server or a program: skip it, or fail it if servers are required."""
    if os.environ.get("ONCEWARD_TEST_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(f"{reason} (see CONTRIBUTING.md, Where the tests find servers)")


@contextmanager
def available(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Enter `server`; where it cannot be had, skip, or fail if servers are required."""
    try:
        running = server.__enter__()
    except (Unavailable, ServerDidNotStart) as error:
        without(str(error))
    try:
        yield running
    finally:
        server.__exit__(None, None, None)


@contextmanager
def databases_on(server: HasUrl) -> Iterator[TestServer]:
    """Make databases on `server`, and leave none behind: it may be somebody's own."""
    databases = TestServer(server)
    yield databases
    databases.drop_all()


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestServer]:
    """The newest PostgreSQL, shared by all tests."""
    with available(shared_server()) as server, databases_on(server) as databases:
        yield databases


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda major: f"pg{major}")
def postgres_of_each_version(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """PostgreSQL in each supported version, one after the other."""
    if request.param == NEWEST:
        yield request.getfixturevalue("postgres")
        return
    with available(shared_server(request.param)) as server, databases_on(server) as databases:
        yield databases


@contextmanager
def fresh_database(server: TestServer, *, installed: bool) -> Iterator[Database]:
    """Make a database on `server`, with the schema if `installed`, and drop it at the end."""
    url = server.create_database(installed=installed)
    engine = create_engine(sqlalchemy_url(url))
    app, relay, console, auditor = (server.login(url, user) for user in LOGINS)
    yield Database(url, app, relay, console, auditor, engine, url.rpartition("/")[2])
    engine.dispose()
    server.drop_database(url)


@pytest.fixture
def database(postgres: TestServer) -> Iterator[Database]:
    """A fresh database with the schema onceward."""
    with fresh_database(postgres, installed=True) as fresh:
        yield fresh


@pytest.fixture
def empty_database(postgres: TestServer) -> Iterator[Database]:
    """A fresh database without the schema."""
    with fresh_database(postgres, installed=False) as fresh:
        yield fresh


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A durable PostgreSQL of this test's own, to be stopped, killed and started again."""
    with available(private_server()) as server:
        yield server


@contextmanager
def _own_broker() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[TestKafka]:
    """Apache Kafka, shared by all tests."""
    with available(shared_broker()) as broker:
        topics = TestKafka(broker)
        yield topics
        topics.delete_topics()


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """An Apache Kafka of this test's own, to be stopped, killed and started again."""
    with available(_own_broker()) as server:
        yield server
