"""Tokens by which programs act on a person's behalf."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from onceward_relay.console.home.store import Home, hashed

PREFIX = "owc_"
"""By which a token that leaked is recognized."""
MOST = 50
"""Tokens of one person that count."""


async def create(home: Home, person: UUID, name: str, participant: str, role: str, lasts: timedelta) -> str | None:
    """Make a token and return it, which nobody sees again; None: the person has too many."""
    token = PREFIX + secrets.token_urlsafe(32)
    query = """
        INSERT INTO onceward_console.api_token (token_sha256, person_id, name, participant, role, expires_at)
        SELECT %(token)s, %(person)s, %(name)s, %(participant)s, %(role)s, clock_timestamp() + %(lasts)s
         WHERE (SELECT count(*) FROM onceward_console.api_token t WHERE t.person_id = %(person)s
                   AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()) < %(most)s
        RETURNING id"""
    given = {"person": person, "name": name, "participant": participant, "role": role, "lasts": lasts, "most": MOST}
    made = await home.rows(query, {**given, "token": hashed(token)})
    return token if made else None


async def of_person(home: Home, person: UUID) -> list[dict[str, Any]]:
    """Return a person's tokens that count, the newest first."""
    query = """
        SELECT id, name, participant, role, created_at, expires_at, used_at FROM onceward_console.api_token
         WHERE person_id = %(person)s AND revoked_at IS NULL AND expires_at > clock_timestamp()
         ORDER BY created_at DESC"""
    return list(await home.rows(query, {"person": person}))


async def revoke(home: Home, person: UUID, token: UUID) -> bool:
    """Let a token count no more, at once; return whether it was one of the person's that counted."""
    query = """
        UPDATE onceward_console.api_token SET revoked_at = clock_timestamp()
         WHERE id = %(token)s AND person_id = %(person)s AND revoked_at IS NULL RETURNING id"""
    return bool(await home.rows(query, {"person": person, "token": token}))
