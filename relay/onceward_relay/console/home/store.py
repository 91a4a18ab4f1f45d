"""Reads and writes the console's own database."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

LONGEST = timedelta(hours=12)
"""How long a session lasts at most."""
IDLE = timedelta(hours=1)
"""How long a session lasts without use."""
MIGRATIONS = files("onceward_relay.console.home") / "migrations"
UPGRADING = 0x0_1CE_00AD
"""Key of the lock under which one console upgrades the database and others wait."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who is logged in, and what they may do. The database has decided that."""

    person_id: UUID
    person: str
    form_token: str
    expires_at: datetime
    rights: Mapping[str, Sequence[str]]
    """Permissions at each participant, and at `*`."""

    def may(self, permission: str, participant: str = "*") -> bool:
        """Return whether the person may do something at a participant; at `*` what belongs to none."""
        return permission in self.rights.get(participant, ())

    def where(self, permission: str) -> list[str]:
        """Return the participants at which the person may do something."""
        return [name for name, rights in self.rights.items() if name != "*" and permission in rights]


def upgrade(conninfo: str) -> None:
    """Bring the database to the newest form, under a lock.

    Raises:
        psycopg.Error: it cannot be reached, or the role may not create the schema.

    """
    steps = sorted((step for step in MIGRATIONS.iterdir() if step.name.endswith(".sql")), key=lambda step: step.name)
    with psycopg.connect(conninfo, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (UPGRADING,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS onceward_console")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS onceward_console.migration"
            " (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())"
        )
        done = {name for (name,) in connection.execute("SELECT name FROM onceward_console.migration")}
        for step in steps:
            if step.name not in done:
                connection.execute(step.read_bytes())
                connection.execute("INSERT INTO onceward_console.migration (name) VALUES (%s)", (step.name,))


class Home:
    """The console's own database, as pages use it."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[psycopg.AsyncConnection[DictRow]]":
        """Lend a connection for one transaction."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    async def rows(self, query: str, parameters: Mapping[str, Any]) -> list[DictRow]:
        """Run a statement in a transaction of its own and return its rows."""
        async with self._pool.connection() as connection:
            found = await connection.execute(query, parameters)
            return await found.fetchall() if found.description else []

    async def visit(self, token: str, participants: list[str], *, used: bool = True) -> Visit | None:
        """Return who a session belongs to; None if there is none any more. Pages by themselves do not use it."""
        query = "SELECT * FROM onceward_console.visit(%(token)s, %(participants)s, %(idle)s, %(used)s)"
        given = {"token": hashed(token), "participants": participants, "idle": IDLE, "used": used}
        rows = await self.rows(query, given)
        return Visit(**rows[0]) if rows else None

    async def visit_by_token(self, token: str, participants: list[str]) -> Visit | None:
        """Return on whose behalf a program acts that shows this token, and what it may; None: it does not count."""
        query = "SELECT * FROM onceward_console.visit_by_token(%(token)s, %(participants)s)"
        rows = await self.rows(query, {"token": hashed(token), "participants": participants})
        return Visit(**rows[0]) if rows else None

    async def alive(self, tokens: list[bytes]) -> set[bytes]:
        """Return which of these sessions, by their hashes, still let somebody in. To ask is no use of them."""
        query = """
            SELECT s.token_sha256 FROM onceward_console.session s JOIN onceward_console.person h ON h.id = s.person_id
             WHERE s.token_sha256 = ANY(%(tokens)s) AND s.expires_at > clock_timestamp()
               AND s.seen_at > clock_timestamp() - %(idle)s::interval AND h.disabled_at IS NULL"""
        rows = await self.rows(query, {"tokens": tokens, "idle": IDLE})
        return {bytes(row["token_sha256"]) for row in rows}

    async def begin(self, person: UUID) -> str:
        """Begin a session and return its token, which nobody else ever sees."""
        token = secrets.token_urlsafe(32)
        query = (
            "WITH ended AS (DELETE FROM onceward_console.session WHERE expires_at < clock_timestamp())"
            " INSERT INTO onceward_console.session (token_sha256, person_id, form_token, expires_at)"
            " VALUES (%(token)s, %(person)s, %(form)s, clock_timestamp() + %(longest)s)"
        )
        form = secrets.token_urlsafe(24)
        await self.rows(query, {"token": hashed(token), "person": person, "form": form, "longest": LONGEST})
        return token

    async def end(self, token: str) -> None:
        """End a session."""
        await self.rows("DELETE FROM onceward_console.session WHERE token_sha256 = %(token)s", {"token": hashed(token)})

    async def denied(self, person: str, action: str, reason: str, **more: str | None) -> None:
        """Record what somebody tried and may not do."""
        query = (
            "INSERT INTO onceward_console.denied (person, address, action, participant, subject, reason)"
            " VALUES (%(person)s, %(address)s, %(action)s, %(participant)s, %(subject)s, %(reason)s)"
        )
        nothing = dict.fromkeys(("address", "participant", "subject"))
        await self.rows(query, {**nothing, **more, "person": person[:200], "action": action, "reason": reason[:1000]})

    async def someone_here(self) -> UUID:
        """Return the one person of a console without log-in, an admin everywhere."""
        query = """
            WITH here AS (
              INSERT INTO onceward_console.person (name, issuer, subject) VALUES (%(name)s, 'machine', %(name)s)
              ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name RETURNING id
            ), role AS (
              INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)
              SELECT id, '*', 'admin', 'login = none' FROM here ON CONFLICT DO NOTHING
            )
            SELECT id FROM here"""
        return (await self.rows(query, {"name": _login_name()}))[0]["id"]  # type: ignore[no-any-return]


def hashed(token: str) -> bytes:
    """Return what the database knows of a session's token."""
    return sha256(token.encode()).digest()


def _login_name() -> str:
    import getpass

    return getpass.getuser()
