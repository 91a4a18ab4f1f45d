"""What the console's own database knows of people who are about to log in."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from onceward_relay.console.home.store import Home, hashed

NO_WAIT = timedelta(0)
PENDING = timedelta(minutes=10)
"""How long somebody may be at the OpenID provider."""
DEVICE = timedelta(days=90)
"""How long a browser is known after a log-in."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What attempts to log in are counted by: in a browser that is known that browser alone, else name and address."""

    by: dict[str, bytes]

    @property
    def given(self) -> dict[str, Any]:
        """As the database takes it."""
        return {"kinds": list(self.by), "hashes": list(self.by.values())}


async def tries_of(home: Home, name: str, address: str, device: str | None) -> Tries:
    """Return what an attempt is counted by."""
    if device is not None:
        query = """
            SELECT 1 FROM onceward_console.login_device d JOIN onceward_console.person h ON h.id = d.person_id
             WHERE d.token_sha256 = %(device)s AND h.issuer = 'local' AND h.subject = %(name)s
               AND d.used_at > clock_timestamp() - %(lasts)s"""
        if await home.rows(query, {"device": hashed(device), "name": name, "lasts": DEVICE}):
            return Tries({"device": hashed(device)})
    return Tries({"address": sha256(address.encode()).digest(), "name": sha256(name.encode()).digest()})


async def wait(home: Home, tries: Tries) -> timedelta:
    """Count an attempt and return how long to wait; if it is no time at all, it may be made."""
    query = "SELECT onceward_console.try_login(%(kinds)s, %(hashes)s) AS wait"
    found: timedelta = (await home.rows(query, tries.given))[0]["wait"]
    return found


async def succeeded(home: Home, tries: Tries, person: UUID) -> str:
    """Forget the failures, and return a token by which the browser is known from now on."""
    await home.rows("SELECT onceward_console.login_succeeded(%(kinds)s, %(hashes)s)", tries.given)
    token = secrets.token_urlsafe(32)
    query = """
        WITH old AS (DELETE FROM onceward_console.login_device WHERE used_at < clock_timestamp() - %(lasts)s)
        INSERT INTO onceward_console.login_device (token_sha256, person_id) VALUES (%(token)s, %(person)s)"""
    await home.rows(query, {"token": hashed(token), "person": person, "lasts": DEVICE})
    return token


async def forgive(home: Home, tries: Tries) -> None:
    """Take an attempt back that was right but led nowhere."""
    await home.rows("SELECT onceward_console.login_succeeded(%(kinds)s, %(hashes)s)", tries.given)


@dataclass(frozen=True, slots=True)
class Pending:
    """A log-in for which somebody is at the OpenID provider."""

    nonce: str
    verifier: str
    goes_to: str


async def send_off(home: Home, state: str, browser: str, pending: Pending) -> None:
    """Keep what is needed when somebody comes back from the OpenID provider."""
    query = """
        WITH old AS (DELETE FROM onceward_console.login_pending WHERE began_at < clock_timestamp() - %(lasts)s)
        INSERT INTO onceward_console.login_pending (state_sha256, browser_sha256, nonce, verifier, goes_to)
        VALUES (%(state)s, %(browser)s, %(nonce)s, %(verifier)s, %(goes_to)s)"""
    given = {"nonce": pending.nonce, "verifier": pending.verifier, "goes_to": pending.goes_to, "lasts": PENDING}
    await home.rows(query, {**given, "state": hashed(state), "browser": hashed(browser)})


async def come_back(home: Home, state: str, browser: str) -> Pending | None:
    """Return, once, what was kept; None: it was another browser, too long ago, or before."""
    query = """
        DELETE FROM onceward_console.login_pending
         WHERE state_sha256 = %(state)s AND browser_sha256 = %(browser)s AND began_at > clock_timestamp() - %(lasts)s
        RETURNING nonce, verifier, goes_to"""
    rows = await home.rows(query, {"state": hashed(state), "browser": hashed(browser), "lasts": PENDING})
    return Pending(**rows[0]) if rows else None
