"""publish in every kind of transaction, from Python and from psql."""

import asyncio
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from onceward.database import sqlalchemy_url
from onceward.ids import uuid7
from onceward.messages import Message
from onceward.outbox import publish, publish_all
from tests.conftest import Database
from tests.servers.postgres import psql


class OrderPlaced(BaseModel):
    event_type: ClassVar[str] = "orders.placed"
    order_id: int


EVENT = OrderPlaced(order_id=7)
STORED = (b"7", "orders.placed", b'{"order_id":7}')


def stored(database: Database) -> list[Any]:
    with database.engine.connect() as connection:
        return list(map(tuple, connection.execute(text("SELECT key, type, payload FROM onceward.outbox ORDER BY id"))))


def test_in_a_session_and_a_connection(database: Database) -> None:
    engine = create_engine(sqlalchemy_url(database.participant_url))
    with Session(engine) as session, session.begin():
        session.execute(publish(EVENT, topic="orders", key=7))
    with engine.begin() as connection:
        connection.execute(publish(EVENT, topic="orders", key="7"))
    engine.dispose()
    assert stored(database) == [STORED, STORED]


def test_in_an_async_session_and_an_async_connection(database: Database) -> None:
    async def run() -> None:
        engine = create_async_engine(sqlalchemy_url(database.participant_url))
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(publish(EVENT, topic="orders", key=7))
        async with engine.begin() as connection:
            await connection.execute(publish_all([Message(EVENT, "orders", "7")]))
        await engine.dispose()

    asyncio.run(run())
    assert stored(database) == [STORED, STORED]


def test_a_rollback_takes_the_message_back(database: Database) -> None:
    with Session(database.engine) as session:
        session.execute(publish(EVENT, topic="orders", key=7))
        session.rollback()
    assert stored(database) == []


def test_many_messages_are_one_statement_in_their_order(database: Database) -> None:
    messages = [Message(OrderPlaced(order_id=n), "orders", n, headers={"n": str(n)}) for n in range(20_000)]
    with database.engine.begin() as connection:
        connection.execute(publish_all(messages))
        found = connection.execute(
            text("SELECT key, headers->>'n', message_id, xid FROM onceward.outbox ORDER BY id")
        ).all()
    assert [(int(row[0]), int(row[1]), row[2]) for row in found] == [
        (n, n, m.message_id) for n, m in enumerate(messages)
    ]
    assert len({row[3] for row in found}) == 1


@pytest.mark.parametrize(
    ("key", "written"),
    [("ä", "ä".encode()), (7, b"7"), (b"\0", b"\0"), (UUID(int=1), b"00000000-0000-0000-0000-000000000001")],
)
def test_a_key_is_written_as_its_text(database: Database, key: Any, written: bytes) -> None:
    with database.engine.begin() as connection:
        connection.execute(publish(EVENT, topic="orders", key=key))
    assert stored(database)[0][0] == written


def test_bytes_say_that_they_are_no_json(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(publish(b"\xff", topic="t", key=1, type="x"))
        connection.execute(publish(b"a,b", topic="t", key=1, type="x", headers={"content-type": "text/csv"}))
        connection.execute(publish(EVENT, topic="t", key=1))
        headers = connection.execute(text("SELECT headers FROM onceward.outbox ORDER BY id")).scalars().all()
    assert headers == [{"content-type": "application/octet-stream"}, {"content-type": "text/csv"}, {}]


def test_from_plain_psql(database: Database) -> None:
    command = (
        "SELECT onceward.publish(topic => 'orders', key => '\\x6b31', type => 'x',"
        " payload => '\\x7b7d', headers => '{}')"
    )
    done = subprocess.run(
        [psql(), database.participant_url, "-Atc", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert UUID(done.stdout.strip()).version == 7
    assert stored(database) == [(b"k1", "x", b"{}")]
    bad = subprocess.run(
        [psql(), database.participant_url, "-Atc", command.replace("orders", "a b")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert bad.returncode == 1
    assert "ERROR:  topic: must be 1 to 249 characters" in bad.stderr


class TestOrderAndLocks:
    """A key's messages have the order of its transactions if each publishes after it has the key's row."""

    LOCK = text("SELECT 1 FROM account WHERE id = 1 FOR UPDATE")

    def interleaved(self, database: Database, *, lock_first: bool) -> list[int]:
        """The first transaction has the row; the second comes meanwhile. Return the order of the messages."""
        with database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE account (id int PRIMARY KEY); INSERT INTO account VALUES (1)"))
        waiting = threading.Event()

        def second() -> None:
            with database.engine.begin() as connection:
                connection.execute(text("SET application_name = 'second'"))
                if not lock_first:
                    connection.execute(publish(OrderPlaced(order_id=2), topic="t", key=1))
                waiting.set()
                connection.execute(self.LOCK)
                if lock_first:
                    connection.execute(publish(OrderPlaced(order_id=2), topic="t", key=1))

        with database.engine.begin() as connection:
            connection.execute(self.LOCK)
            thread = threading.Thread(target=second)
            thread.start()
            waiting.wait(10)
            connection.execute(publish(OrderPlaced(order_id=1), topic="t", key=1))
        thread.join(10)
        return [OrderPlaced.model_validate_json(payload).order_id for _, _, payload in stored(database)]

    def test_lock_then_publish_keeps_the_order(self, database: Database) -> None:
        assert self.interleaved(database, lock_first=True) == [1, 2]

    def test_publish_then_wait_for_the_lock_inverts_it(self, database: Database) -> None:
        assert self.interleaved(database, lock_first=False) == [2, 1]

    @pytest.mark.parametrize("flushed", [True, False])
    def test_a_session_without_autoflush_must_be_flushed_first(self, database: Database, *, flushed: bool) -> None:
        class Base(DeclarativeBase):
            pass

        class Account(Base):
            __tablename__ = "account"
            id: Mapped[int] = mapped_column(primary_key=True)
            balance: Mapped[int]

        Base.metadata.create_all(database.engine)
        with Session(database.engine) as session, session.begin():
            session.add(Account(id=1, balance=0))
        written: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda *event: written.append(event[2].split()[0]))
        with Session(database.engine, autoflush=False) as session, session.begin():
            session.get_one(Account, 1).balance = 5
            if flushed:
                session.flush()
            session.execute(publish(EVENT, topic="t", key=1))
        assert written == (["SELECT", "UPDATE", "INSERT"] if flushed else ["SELECT", "INSERT", "UPDATE"])


def test_an_open_outbox_row_keeps_its_transaction_s_id_through_savepoints(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT onceward.publish('t', 'k', 'x', NULL)")
        with connection.transaction():
            connection.execute("SELECT onceward.publish('t', 'k', 'x', NULL)")
        assert connection.execute("SELECT count(DISTINCT xid), count(*) FROM onceward.outbox").fetchone() == (1, 2)


class TestUuid7:
    """UUIDv7 as RFC 9562 lays it out, from Python and from SQL."""

    def made(self, connection: Connection) -> list[UUID]:
        return [uuid7(), connection.execute(text("SELECT onceward.uuid7()")).scalar_one()]

    def test_version_variant_and_time(self, database: Database) -> None:
        with database.engine.connect() as connection:
            for made in self.made(connection):
                assert (made.version, made.variant) == (7, uuid4().variant)
                time = datetime.fromtimestamp((made.int >> 80) / 1000, UTC)
                assert abs(datetime.now(UTC) - time) < timedelta(seconds=10)

    def test_it_begins_with_the_time_of_rfc_9562_s_example(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.time_ns", lambda: 0x017F22E279B0 * 1_000_000 + 999_999)
        assert str(uuid7()).startswith("017f22e2-79b0-7")

    def test_later_ones_are_greater(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = count(1_700_000_000_000_000_000, 1_000_000)
        with monkeypatch.context() as patch:
            patch.setattr("time.time_ns", lambda: next(clock))
            made = [uuid7() for _ in range(1000)]
        assert made == sorted(made)
        with database.engine.connect() as connection:
            later = text("SELECT onceward.uuid7() FROM generate_series(1, 5), pg_sleep(0.002)")
            from_sql = [connection.execute(later).scalars().first() for _ in range(5)]
            ordered = text("SELECT ARRAY(SELECT u FROM unnest(CAST(:made AS uuid[])) u ORDER BY u)")
            assert connection.execute(ordered, {"made": from_sql}).scalar_one() == from_sql

    def test_no_two_are_the_same(self, database: Database) -> None:
        with database.engine.connect() as connection:
            from_sql = (
                connection.execute(text("SELECT onceward.uuid7() FROM generate_series(1, 10000)")).scalars().all()
            )
        assert len({*from_sql, *(uuid7() for _ in range(10_000))}) == 20_000
