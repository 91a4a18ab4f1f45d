"""Passwords of the console's own users: argon2, in threads of their own, so that pages do not wait for it."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 12, 1000
"""Characters."""
HANDS = 2
"""Passwords that are verified at a time: each takes 64 MiB and tens of milliseconds."""
HASHER = PasswordHasher()
NOBODYS = HASHER.hash("nobody has this password")
"""Verified where there is no such user, so that the time tells nothing."""


def problem(password: str, name: str) -> str | None:
    """Return why a password cannot be one, and what to do; None if it can."""
    if not LEAST <= len(password) <= MOST:
        return f"give {LEAST} to {MOST:,} characters; these are {len(password):,}"
    if "\0" in password or not password.strip():
        return "give one of letters, digits, blanks and signs"
    if len(set(password)) < 4 or _folded(password) in (_folded(name), _folded(name * 2)):
        return (
            "give one that is not your name or the same few characters; some words that belong together only for you do"
        )
    return None


def hashed(password: str) -> str:
    """Return what the database keeps of a password."""
    return HASHER.hash(_normal(password))


class Passwords:
    """Verifies passwords beside the pages."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(HANDS, thread_name_prefix="password")

    async def verified(self, known: str | None, password: str) -> bool:
        """Return whether it is the password that `known` was made of. It takes as long if there is none."""
        right = await asyncio.get_running_loop().run_in_executor(self._threads, _verify, known or NOBODYS, password)
        return right and known is not None

    async def hashed(self, password: str) -> str:
        """Return what the database keeps of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, hashed, password)

    def close(self) -> None:
        """End."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def outdated(known: str) -> bool:
    """Return whether a hash was made with other parameters than new ones are."""
    return HASHER.check_needs_rehash(known)


def _verify(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, _normal(password[: MOST + 1]))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """Return the same text for the same password, whatever keyboard it was typed on."""
    return unicodedata.normalize("NFKC", password)


def _folded(text: str) -> str:
    return "".join(_normal(text).casefold().split())
