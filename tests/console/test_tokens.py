"""Tokens of programs: on a person's behalf, never more than the person may, and never more than the token's role."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from onceward_relay.config_types import Database as DatabaseSettings
from onceward_relay.console.home import tokens
from onceward_relay.console.home.store import Home, Visit, upgrade
from onceward_relay.console.participants import pool_of
from tests.conftest import Database

T = TypeVar("T")
DAY = timedelta(days=1)
ALL = {"look", "reveal", "act", "approve", "manage"}


@pytest.fixture(scope="module")
def owner(home: Database) -> Iterator["psycopg.Connection[dict[str, object]]"]:
    upgrade(home.url)
    with psycopg.connect(home.url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def at_home(home: Database, work: Callable[[Home], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = DatabaseSettings.model_validate({"database": home.url})
        async with pool_of(settings, 1) as pool:
            return await work(Home(pool))

    return asyncio.run(run())


@pytest.fixture
def ada(owner: "psycopg.Connection[dict[str, object]]") -> UUID:
    owner.execute(
        "DELETE FROM onceward_console.api_token; DELETE FROM onceward_console.person_role; DELETE FROM onceward_console.person"
    )
    row = owner.execute(
        "INSERT INTO onceward_console.person (name, issuer, subject) VALUES ('ada', 'local', 'ada') RETURNING id"
    ).fetchone()
    assert row is not None
    give(owner, row["id"], "payer", "admin")
    return UUID(str(row["id"]))


def give(owner: "psycopg.Connection[dict[str, object]]", person: object, participant: str, role: str) -> None:
    owner.execute("SELECT onceward_console.give_role(%s, %s, %s, 'test')", (person, participant, role))


def made(home: Database, person: UUID, participant: str = "*", role: str = "admin") -> str:
    token = at_home(home, lambda h: tokens.create(h, person, "nightly report", participant, role, DAY))
    assert token is not None
    return token


def visit(home: Database, token: str) -> Visit | None:
    return at_home(home, lambda h: h.visit_by_token(token, ["payer", "shop"]))


def rights(home: Database, token: str) -> dict[str, set[str]]:
    found = visit(home, token)
    assert found is not None
    return {place: set(rights) for place, rights in found.rights.items()}


def test_a_token_may_what_the_person_may_up_to_its_role(home: Database, ada: UUID) -> None:
    assert rights(home, made(home, ada)) == {"payer": ALL, "shop": set(), "*": set()}
    assert rights(home, made(home, ada, role="viewer")) == {"payer": {"look"}, "shop": set(), "*": set()}
    assert rights(home, made(home, ada, participant="shop")) == {"payer": set(), "shop": set(), "*": set()}


def test_what_the_person_loses_the_token_loses_at_once(
    home: Database, ada: UUID, owner: "psycopg.Connection[dict[str, object]]"
) -> None:
    token = made(home, ada)
    owner.execute("UPDATE onceward_console.person_role SET role = 'viewer'")
    assert rights(home, token)["payer"] == {"look"}
    owner.execute("UPDATE onceward_console.person SET disabled_at = now()")
    assert visit(home, token) is None


def test_a_token_is_kept_as_its_hash_alone(
    home: Database, ada: UUID, owner: "psycopg.Connection[dict[str, object]]"
) -> None:
    token = made(home, ada)
    assert token.startswith("owc_")
    row = owner.execute("SELECT row_to_json(t)::text AS text FROM onceward_console.api_token t").fetchone()
    assert row is not None
    assert token not in str(row["text"])


def test_a_token_ends(home: Database, ada: UUID, owner: "psycopg.Connection[dict[str, object]]") -> None:
    token, expired = made(home, ada), made(home, ada)
    owner.execute(
        "UPDATE onceward_console.api_token SET created_at = now() - interval '2 days', expires_at = now() - interval '1 s'"
        " WHERE token_sha256 = sha256(%s)",
        (expired.encode(),),
    )
    assert visit(home, expired) is None
    (row,) = at_home(home, lambda h: tokens.of_person(h, ada))
    assert at_home(home, lambda h: tokens.revoke(h, ada, row["id"]))
    assert not at_home(home, lambda h: tokens.revoke(h, ada, row["id"])), "it does not count any more"
    assert visit(home, token) is None
    assert visit(home, "owc_nonsense") is None


def test_nobody_revokes_anothers_token(
    home: Database, ada: UUID, owner: "psycopg.Connection[dict[str, object]]"
) -> None:
    token = made(home, ada)
    (row,) = at_home(home, lambda h: tokens.of_person(h, ada))
    assert not at_home(home, lambda h: tokens.revoke(h, UUID(int=1), row["id"]))
    assert visit(home, token) is not None


def test_the_last_use_is_known(home: Database, ada: UUID) -> None:
    token = made(home, ada)
    assert [row["used_at"] for row in at_home(home, lambda h: tokens.of_person(h, ada))] == [None]
    visit(home, token)
    assert None not in [row["used_at"] for row in at_home(home, lambda h: tokens.of_person(h, ada))]


def test_a_person_has_not_more_tokens_than_can_be_watched(
    home: Database, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST", 1)
    made(home, ada)
    assert at_home(home, lambda h: tokens.create(h, ada, "another", "*", "viewer", DAY)) is None
