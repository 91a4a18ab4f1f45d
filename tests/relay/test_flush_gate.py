"""The flush gate in the database: others' commits open it for nothing; where nobody commits, it opens itself."""

import psycopg
import pytest

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.servers.postgres import TestServer

from .support import Connection, connect, publish

WRITTEN = "SELECT pg_current_wal_insert_lsn()::text"
WAIT = "SELECT onceward.wait_durable(%s, %s * interval '1 second')"
IS_DURABLE = "SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"


@pytest.fixture
def lazy(own_postgres: EmbeddedPostgres) -> str:
    """A database whose server writes WAL only when it must."""
    url = TestServer(own_postgres).create_database(installed=True)
    with connect(url) as owner:
        owner.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        owner.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
        owner.execute("SELECT pg_reload_conf()")
    return url


def written_in_memory(connection: Connection) -> str:
    """Commit a message that is visible and not durable; return how far WAL was written."""
    connection.execute("SET synchronous_commit = off")
    publish(connection, "topic", "k", "1")
    connection.execute("SET synchronous_commit = on")
    return str(one(connection, WRITTEN))


def one(connection: Connection, question: str, *parameters: object) -> object:
    row = connection.execute(question, parameters).fetchone()
    assert row is not None
    return row[0]


def test_where_nobody_commits_it_flushes_by_itself(lazy: str) -> None:
    with connect(lazy) as app, connect(lazy) as relay:
        relay.execute("SET synchronous_commit = off")  # what the session has is not what the gate goes by
        written = written_in_memory(app)
        assert one(relay, IS_DURABLE, written) is False
        relay.execute(WAIT, (written, 0.005))
        assert one(relay, IS_DURABLE, written) is True


def test_a_commit_of_somebody_else_opens_it_and_it_writes_nothing(lazy: str) -> None:
    with connect(lazy) as app, psycopg.connect(lazy) as relay:
        written = written_in_memory(app)
        with relay.pipeline() as pipeline:
            relay.execute(WAIT, (written, 60))
            pipeline.sync()  # it waits in the server from here on
            publish(app, "topic", "k", "2")
        assert one(relay, IS_DURABLE, written) is True
        assert one(relay, "SELECT pg_current_xact_id_if_assigned() IS NULL") is True


def test_what_is_durable_already_is_not_waited_for(lazy: str) -> None:
    with connect(lazy) as app, psycopg.connect(lazy) as relay:
        publish(app, "topic", "k", "1")
        relay.execute(WAIT, (one(relay, "SELECT pg_current_wal_flush_lsn()::text"), 60))
        assert one(relay, "SELECT pg_current_xact_id_if_assigned() IS NULL") is True
