"""What is still under way is told, and not what has come to its end."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from onceward.outbox import publish
from onceward_relay.demo.models import PayeeTable, PayerTable
from onceward_relay.demo.progress import Databases
from onceward_relay.demo.settings import Settings
from tests.conftest import Database

OWNED = "INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'test')"
COVERED = "INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, :seq, pg_current_snapshot())"


@pytest.fixture
def databases(database: Database) -> Iterator[Databases]:
    """Both participants in one database."""
    for tables in (PayerTable, PayeeTable):
        tables.metadata.create_all(database.engine)
    with Databases(Settings("demo", database.url, database.url, "", "{}", "a", "b")) as databases:
        yield databases


def test_messages_that_the_relay_has_not_settled_are_under_way(database: Database, databases: Databases) -> None:
    waiting = ["payer: 1 message(s) wait for the relay", "payee: 1 message(s) wait for the relay"]
    assert databases.under_way() == []
    for seq in range(2):
        with database.engine.begin() as connection:
            connection.execute(publish(b"x", topic="t", key="k", type="x"))
        assert databases.under_way() == waiting
        with database.engine.begin() as connection:
            connection.execute(text(OWNED + " ON CONFLICT DO NOTHING"))
            connection.execute(text(COVERED), {"seq": seq})
        assert databases.under_way() == []
