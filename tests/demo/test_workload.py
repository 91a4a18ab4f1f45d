"""The workload: the same for the same seed, and its own log agrees with the database."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, create_engine, text

from onceward.database import sqlalchemy_url
from onceward_relay.demo.models import PayerTable
from onceward_relay.demo.workload import (
    CHANGED_THEIR_MIND,
    CLOSED,
    SPENDTHRIFT,
    STAGED,
    SURPRISED,
    UNLUCKY,
    Workload,
    orders,
    read_log,
)
from tests.conftest import Database
from tests.support import eventually


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(database.url))
    PayerTable.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_orders_follow_from_the_seed() -> None:
    assert list(orders(Random(1), 200)) == list(orders(Random(1), 200))
    assert list(orders(Random(1), 200)) != list(orders(Random(2), 200))


def test_as_many_are_kept_as_are_wanted() -> None:
    made = list(orders(Random(1), 3000))
    assert sum(order.kept for order in made) == 3000
    assert len(made) == pytest.approx(3000 / (1 - CHANGED_THEIR_MIND), rel=0.02)
    assert {SPENDTHRIFT} < {order.account for order in made}
    assert CLOSED in {order.payee for order in made}
    assert Counter(order.way for order in made)["gateway"] > 50


def test_every_amount_has_the_digits_that_the_bank_asks_for() -> None:
    amounts = [order.amount for seed in range(50) for order in orders(Random(seed), len(STAGED))]
    assert {amount.as_tuple().exponent for amount in amounts} == {-2}


def test_the_first_that_are_kept_play_their_parts_however_many_are_wanted() -> None:
    for count in (1, 2, 60):
        kept = [order for order in orders(Random(1), count) if order.kept]
        for order, part in zip(kept, STAGED, strict=False):
            assert {name: getattr(order, name) for name in part} == part
    assert not {UNLUCKY, SURPRISED} & {order.payee for order in kept[len(STAGED) :]}


def test_the_log_is_what_the_database_committed(engine: Engine, tmp_path: Path) -> None:
    people = Workload(engine, tmp_path / "log", orders(Random(7), 150))
    people.start()
    eventually(lambda: not people.running)
    people.stop()
    log = read_log(tmp_path / "log")
    committed = {entry.id: entry for entry in log if entry.committed}
    with engine.connect() as connection:
        transfers = {row.id: row for row in connection.execute(text("SELECT * FROM transfer"))}
        messages = set(connection.execute(text("SELECT message_id FROM onceward.outbox")).scalars())
    assert people.made == len(committed) == 150
    assert len(log) > 150
    assert committed.keys() == transfers.keys()
    assert {entry.message_id for entry in committed.values()} == messages
    assert all(transfers[entry.id].number == entry.number for entry in committed.values())
    for account in {entry.account for entry in log}:
        numbers = sorted(entry.number for entry in committed.values() if entry.account == account)
        assert numbers == list(range(1, len(numbers) + 1))


def test_people_wait_while_there_is_no_room(engine: Engine, tmp_path: Path) -> None:
    people = Workload(engine, tmp_path / "log", orders(Random(7), 10_000))
    people.room = False
    people.start()
    people.room = True
    eventually(lambda: people.made > 0)
    people.stop()
    assert people.made < 10_000
    assert sum(entry.committed for entry in read_log(tmp_path / "log")) == people.made


def test_what_goes_wrong_is_raised(engine: Engine, tmp_path: Path) -> None:
    people = Workload(engine, tmp_path / "log", orders(Random(7), 10))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE transfer DROP COLUMN way"))
    people.start()
    with pytest.raises(Exception, match="way"):
        eventually(lambda: not people.running)
    people.stop()
