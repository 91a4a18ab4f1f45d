"""Identifiers: new ones in the order of time, and deterministic ones that a restored database makes again."""

import os
import time
from uuid import UUID, uuid5

NAMESPACE = UUID("6f6e6365-7761-5264-8000-6f6e63657761")
"""The namespace of every UUIDv5 of this package. Changing it would give recorded work new identities."""


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def derived(*parts: str) -> UUID:
    """Return the UUIDv5 of `parts`, the same for the same parts at all times and on all machines."""
    return uuid5(NAMESPACE, "\0".join(parts))
