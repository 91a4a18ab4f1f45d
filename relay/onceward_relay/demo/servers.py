"""PostgreSQL and Kafka for one run of the demo: embedded ones, or real ones that the user names."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from psycopg import sql
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

from onceward import migrations
from onceward.database import address, psycopg_url, sqlalchemy_url
from onceward.errors import OncewardError
from onceward_relay.demo.models import PayeeTable, PayerTable
from onceward_relay.embedded.kafka import EmbeddedKafka
from onceward_relay.embedded.postgres import EmbeddedPostgres

PARTITIONS = 4
PATIENCE = 5.0
"""Seconds for what is asked of a Kafka that the user names."""
MISSED_AFTER = 6000
"""Milliseconds after which a real Kafka misses a killed worker."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the two databases and Kafka are."""

    payer: str
    payee: str
    home: str
    """The console's own database."""
    kafka: dict[str, str | int]
    """Options of the Kafka client."""


@contextmanager
def servers(run: str, topics: Sequence[str], database: str | None, kafka: str | None) -> Iterator[Servers]:
    """Make the databases and the topics; remove them at the end, and nothing else.

    Args:
        run: with which the names of the databases and of the consumer groups begin.
        topics: to be created.
        database: URL of a PostgreSQL where databases may be created; None for an embedded one.
        kafka: bootstrap servers; None for an embedded stand-in.

    Raises:
        OncewardError: a server does not start, cannot be reached, or refuses; says which and why.
    """
    with ExitStack() as stack:
        options = stack.enter_context(_named(kafka, run, topics) if kafka else _embedded(topics))
        server = psycopg_url(database) if database else stack.enter_context(EmbeddedPostgres()).url()
        payer = stack.enter_context(_database(server, f"{run}-payer", PayerTable))
        payee = stack.enter_context(_database(server, f"{run}-payee", PayeeTable))
        home = stack.enter_context(_database(server, f"{run}-console"))
        yield Servers(payer, payee, home, options)


@contextmanager
def _database(server: str, name: str, tables: type[DeclarativeBase] | None = None) -> Iterator[str]:
    """Create a database, a participant's with the schema onceward and its own `tables`; give its URL."""
    url = psycopg_url(make_url(server).set(database=name).render_as_string(hide_password=False))
    with _postgres(server):
        _execute(server, "CREATE DATABASE {}", name)
    try:
        if tables is not None:
            with _postgres(server):
                migrations.install(url)
            engine = create_engine(sqlalchemy_url(url))
            tables.metadata.create_all(engine)
            engine.dispose()
        yield url
    finally:
        _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


def _execute(server: str, statement: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def _postgres(server: str) -> Iterator[None]:
    """Say in one line what is wrong with the server that the user names."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise OncewardError(f"PostgreSQL at {address(server)}: {' '.join(str(reason).split())}") from error


@contextmanager
def _embedded(topics: Sequence[str]) -> Iterator[dict[str, str | int]]:
    with EmbeddedKafka() as kafka:
        for topic in topics:
            kafka.create_topic(topic, PARTITIONS)
        # A killed worker is missed soon: less patience than a real Kafka allows.
        yield {"bootstrap.servers": kafka.bootstrap, "session.timeout.ms": 2000, "heartbeat.interval.ms": 300}


@contextmanager
def _named(kafka: str, run: str, topics: Sequence[str]) -> Iterator[dict[str, str | int]]:
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    try:
        admin.list_topics(timeout=PATIENCE)
    except KafkaException as error:
        raise OncewardError(f"Kafka at {kafka}: {error.args[0].str()}") from error
    try:
        _create(admin, kafka, topics)
        yield {"bootstrap.servers": kafka, "session.timeout.ms": MISSED_AFTER}
    finally:
        for future in admin.delete_topics(list(topics)).values():
            future.exception(PATIENCE)
        _remove_groups(admin, [f"{run}.payer", f"{run}.payee"])


def _remove_groups(admin: AdminClient, groups: Sequence[str]) -> None:
    """Remove consumer groups. A group in which a killed worker is not yet missed cannot be removed before."""
    deadline = time.monotonic() + PATIENCE + MISSED_AFTER / 1000
    left = list(groups)
    while left and time.monotonic() < deadline:
        outcomes = {name: future.exception(PATIENCE) for name, future in admin.delete_consumer_groups(left).items()}
        left = [
            name
            for name, error in outcomes.items()
            if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.NON_EMPTY_GROUP
        ]
        time.sleep(0.2 if left else 0)


def _create(admin: AdminClient, kafka: str, topics: Sequence[str]) -> None:
    for topic, created in admin.create_topics([NewTopic(topic, PARTITIONS) for topic in topics]).items():
        try:
            created.result(PATIENCE)
        except (KafkaException, TimeoutError) as error:
            raise OncewardError(f"Kafka at {kafka}: topic {topic} cannot be created: {error}") from error
