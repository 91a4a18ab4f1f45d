"""People in the console's own database: who they are, what they may do, and the passwords of local users."""

import unicodedata
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from onceward_relay.console.home.store import Home

LOCAL = "local"
"""Issuer of the console's own users."""
LONGEST_NAME = 100


class NotPossible(Exception):
    """It was not done; the message says why, and what to do."""


def name_of(text: str) -> str:
    """Return a name as it is kept.

    Raises:
        NotPossible: it is none.

    """
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise NotPossible(f"name: give 1 to {LONGEST_NAME} characters that can be printed")
    return name


def same(name: str) -> str:
    """Return what is the same for all ways to write a name."""
    return name_of(name).lower()


async def everybody(home: Home) -> list[dict[str, Any]]:
    """Return all people with their roles, by name."""
    query = """
        SELECT h.id, h.name, h.issuer, h.created_at, h.disabled_at,
               (SELECT max(s.created_at) FROM onceward_console.session s WHERE s.person_id = h.id) AS came_at,
               (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.participant, r.role), '[]')
                  FROM onceward_console.person_role r WHERE r.person_id = h.id) AS roles
          FROM onceward_console.person h ORDER BY lower(h.name), h.id LIMIT 2000"""
    return list(await home.rows(query, {}))


async def named(home: Home, name: str) -> dict[str, Any]:
    """Return who has this name.

    Raises:
        NotPossible: nobody has.

    """
    query = """
        SELECT id, name, issuer FROM onceward_console.person
         WHERE lower(regexp_replace(name, '[[:space:]]+', ' ', 'g')) = %(name)s"""
    rows = await home.rows(query, {"name": same(name)})
    if not rows:
        raise NotPossible(f"there is nobody called {name_of(name)}; `onceward console user list` shows all")
    return rows[0]


async def local(home: Home, name: str) -> dict[str, Any] | None:
    """Return a user of the console's own."""
    query = """
        SELECT id, name, password, disabled_at,
               EXISTS (SELECT FROM onceward_console.person_role r WHERE r.person_id = h.id) AS has_role
          FROM onceward_console.person h WHERE issuer = 'local' AND subject = %(subject)s"""
    try:
        rows = await home.rows(query, {"subject": same(name)})
    except NotPossible:
        return None
    return rows[0] if rows else None


async def add(home: Home, name: str, password: str, roles: list[tuple[str, str]], actor: str) -> UUID:
    """Add a user of the console's own, with roles as (participant, role) and the hash of a password.

    Raises:
        NotPossible: somebody has this name.

    """
    query = """
        WITH added AS (
          INSERT INTO onceward_console.person (name, issuer, subject, password)
          VALUES (%(name)s, 'local', %(subject)s, %(password)s) RETURNING id
        ), roles AS (
          INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)
          SELECT added.id, given.participant, given.role, %(actor)s
            FROM added, jsonb_to_recordset(%(roles)s) given (participant text, role text) ON CONFLICT DO NOTHING
        )
        SELECT id FROM added"""
    given = [{"participant": participant, "role": role} for participant, role in roles]
    try:
        rows = await home.rows(
            query,
            {"name": name_of(name), "subject": same(name), "password": password, "roles": Jsonb(given), "actor": actor},
        )
    except psycopg.errors.UniqueViolation as error:
        raise NotPossible(f"name: somebody is called {name_of(name)} already") from error
    return UUID(str(rows[0]["id"]))


async def set_password(home: Home, person: UUID, password: str, but: bytes | None = None) -> None:
    """Set the hash of a local user's password, and end the person's sessions but one, which is told by its hash."""
    query = """
        WITH ended AS (DELETE FROM onceward_console.session WHERE person_id = %(person)s
                          AND token_sha256 IS DISTINCT FROM %(but)s::bytea),
             forgotten AS (DELETE FROM onceward_console.login_device WHERE person_id = %(person)s)
        UPDATE onceward_console.person SET password = %(password)s WHERE id = %(person)s AND issuer = 'local'"""
    await home.rows(query, {"person": person, "password": password, "but": but})


async def rehash(home: Home, person: UUID, password: str) -> None:
    """Keep a newer hash of the same password."""
    query = "UPDATE onceward_console.person SET password = %(password)s WHERE id = %(person)s"
    await home.rows(query, {"person": person, "password": password})


async def give_role(home: Home, person: UUID, participant: str, role: str, actor: str) -> None:
    """Give a role, which then stays whatever groups say."""
    query = "SELECT onceward_console.give_role(%(person)s, %(participant)s, %(role)s, %(actor)s)"
    await home.rows(query, {"person": person, "participant": participant, "role": role, "actor": actor})


async def take_role(home: Home, person: UUID, participant: str, role: str) -> None:
    """Take a role away.

    Raises:
        NotPossible: nobody would be left who may manage people.

    """
    query = "SELECT onceward_console.take_role(%(person)s, %(participant)s, %(role)s)"
    await _kept(home, query, {"person": person, "participant": participant, "role": role})


async def disable(home: Home, person: UUID) -> None:
    """Let a person enter no more, at once.

    Raises:
        NotPossible: nobody would be left who may manage people.

    """
    await _kept(home, "SELECT onceward_console.disable(%(person)s)", {"person": person})


async def enable(home: Home, person: UUID) -> None:
    """Let a person enter again."""
    await home.rows("UPDATE onceward_console.person SET disabled_at = NULL WHERE id = %(person)s", {"person": person})


async def came_by_oidc(
    home: Home, issuer: str, subject: str, name: str, roles: Sequence[tuple[str, str]]
) -> dict[str, Any] | None:
    """Return who has come, with roles set anew; None: somebody unknown without any."""
    query = "SELECT * FROM onceward_console.came_by_oidc(%(issuer)s, %(subject)s, %(name)s, %(roles)s)"
    given = [{"participant": participant, "role": role} for participant, role in roles]
    rows = await home.rows(query, {"issuer": issuer, "subject": subject, "name": name, "roles": Jsonb(given)})
    return rows[0] if rows else None


async def _kept(home: Home, query: str, given: dict[str, Any]) -> None:
    try:
        await home.rows(query, given)
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise NotPossible(f"{error.diag.message_primary}. {error.diag.message_hint}") from error
