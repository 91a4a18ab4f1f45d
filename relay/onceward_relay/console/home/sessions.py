"""A person's own sessions."""

from typing import Any
from uuid import UUID

from onceward_relay.console.home.store import IDLE, Home, hashed


async def of_person(home: Home, person: UUID, token: str) -> list[dict[str, Any]]:
    """Return a person's sessions, the newest first; `here` is the one of this token."""
    query = """
        SELECT left(encode(token_sha256, 'hex'), 16) AS mark, created_at, seen_at, expires_at,
               token_sha256 = %(token)s AS here
          FROM onceward_console.session WHERE person_id = %(person)s AND expires_at > clock_timestamp()
           AND seen_at > clock_timestamp() - %(idle)s::interval ORDER BY created_at DESC LIMIT 100"""
    return list(await home.rows(query, {"person": person, "token": hashed(token), "idle": IDLE}))


async def end_others(home: Home, person: UUID, token: str, mark: str | None = None) -> int:
    """End a person's sessions but the one of this token, or the one with a mark, and return how many."""
    query = """
        DELETE FROM onceward_console.session WHERE person_id = %(person)s AND token_sha256 <> %(token)s
           AND (%(mark)s::text IS NULL OR left(encode(token_sha256, 'hex'), 16) = %(mark)s) RETURNING 1"""
    return len(await home.rows(query, {"person": person, "token": hashed(token), "mark": mark}))


async def denied(home: Home) -> list[dict[str, Any]]:
    """Return what people tried of late and may not do."""
    query = """
        SELECT at, person, address, action, participant, subject, reason FROM onceward_console.denied
         ORDER BY no DESC LIMIT 50"""
    return list(await home.rows(query, {}))
