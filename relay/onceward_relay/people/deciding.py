"""Deciding by the functions of the schema: what is called, what a refusal means, what is recorded of it."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

DENIED = frozenset({"42501", "55000", "OW001", "OW002", "OW004", "OW005"})
"""SQLSTATEs of refusals that are about the person or the state of things, and not about a slip of the keyboard."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries to do."""

    actor: str
    action: str
    kind: str
    """What it is about: call, flow, incident and so on."""
    subject: str
    reason: str = ""


def calling(function: str, **arguments: Any) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the query that calls a function of the schema with its arguments by name, and its parameters."""
    given = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    named = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given]
    query = sql.SQL("SELECT * FROM onceward.{}({})").format(sql.Identifier(function), sql.SQL(", ").join(named))
    return query, given


def in_words(error: psycopg.Error) -> str:
    """Return in one line why the database refused, and what to do."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{error.diag.message_primary}; grant onceward_console to this role"
    if isinstance(error, psycopg.errors.UndefinedFunction | psycopg.errors.InvalidSchemaName):
        return "has no schema onceward, or one that is too old: onceward schema install, or upgrade"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "another transaction decides about this just now, or was left open; nothing was changed, try again"
    parts = [error.diag.message_primary or " ".join(str(error).split()), error.diag.message_hint]
    return ". ".join(part for part in parts if part)
