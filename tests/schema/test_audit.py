"""The audit: a chain that nobody can change, not even its owner, without it showing."""

from typing import Any

import psycopg
import pytest

from tests.conftest import Database

RECORD = "SELECT onceward.record(%s, 'hold.release', 'hold', 'h-1', %s, '{\"topic\": \"orders\"}')"
BROKEN = """
SELECT a.no FROM onceward.audit a
 WHERE a.hash <> onceward.audit_hash(a)
    OR a.previous <> coalesce((SELECT hash FROM onceward.audit b WHERE b.no = a.no - 1), decode(repeat('00', 32), 'hex'))
"""


@pytest.fixture
def owner(database: Database) -> Any:
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


def test_entries_are_numbered_and_chained(owner: psycopg.Connection[Any]) -> None:
    numbers = [owner.execute(RECORD, ("ada", "the topic was widened")).fetchone() for _ in range(3)]
    assert numbers == [(1,), (2,), (3,)]
    assert owner.execute(BROKEN).fetchall() == []


def test_whatever_is_changed_shows(owner: psycopg.Connection[Any]) -> None:
    for _ in range(3):
        owner.execute(RECORD, ("ada", "because"))
    owner.execute("ALTER TABLE onceward.audit DISABLE TRIGGER audit_final")
    owner.execute("UPDATE onceward.audit SET actor = 'bob' WHERE no = 2")
    assert owner.execute(BROKEN).fetchall() == [(2,)]
    owner.execute("DELETE FROM onceward.audit WHERE no = 2")
    assert owner.execute(BROKEN).fetchall() == [(3,)]


@pytest.mark.parametrize("change", ["UPDATE {} SET actor = 'bob'", "DELETE FROM {}", "TRUNCATE {}"])
def test_nothing_can_be_changed(owner: psycopg.Connection[Any], change: str) -> None:
    owner.execute(RECORD, ("ada", "because"))
    with pytest.raises(psycopg.Error, match="append-only"):
        owner.execute(change.format("onceward.audit"))


@pytest.mark.parametrize(
    ("actor", "reason", "field"), [("", "because", "actor"), (" ", "because", "actor"), ("ada", "", "reason")]
)
def test_a_decision_without_actor_or_reason_is_refused(
    owner: psycopg.Connection[Any], actor: str, reason: str, field: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f"^{field}: "):
        owner.execute(RECORD, (actor, reason))


def test_two_at_once_make_one_chain(database: Database, owner: psycopg.Connection[Any]) -> None:
    with psycopg.connect(database.url) as first:
        first.execute(RECORD, ("ada", "because"))
        with psycopg.connect(database.url) as second:
            second.execute("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                second.execute(RECORD, ("bob", "because"))  # it waits for the end of the chain
        first.commit()
    owner.execute(RECORD, ("bob", "because"))
    assert owner.execute(BROKEN).fetchall() == []
    assert owner.execute("SELECT no, actor FROM onceward.audit ORDER BY no").fetchall() == [(1, "ada"), (2, "bob")]


def test_participants_and_relays_cannot_write_it(database: Database) -> None:
    for url in (database.participant_url, database.relay_url):
        with psycopg.connect(url, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(RECORD, ("ada", "because"))
