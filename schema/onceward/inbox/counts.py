"""What a consumer has done since it started, for its metrics."""

import threading
from dataclasses import dataclass, field, fields


@dataclass
class Counts:
    """Numbers of messages since the start. Read the attributes; add() is safe in all threads."""

    handled: int = 0
    """Handlers that committed, at first sight or in a retry."""
    duplicate: int = 0
    """Taken before, so skipped."""
    unhandled: int = 0
    """Of a type that has no handler, so skipped."""
    parked: int = 0
    """Set aside because their handler failed."""
    held: int = 0
    """Set aside behind a parked message of their key."""
    unreadable: int = 0
    """Set aside because they cannot be read."""
    id_reused: int = 0
    """Set aside because another message with their id was taken before."""
    retried: int = 0
    """Tries of parked messages."""
    failed_again: int = 0
    """Tries of parked messages that failed."""
    database_errors: int = 0
    """Faults of the database that were waited out."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def items(self) -> list[tuple[str, int]]:
        """Return all numbers with their names."""
        return [(each.name, getattr(self, each.name)) for each in fields(self) if each.name != "_lock"]

    def add(self, name: str, number: int = 1) -> None:
        """Add to one of the numbers."""
        with self._lock:
            setattr(self, name, getattr(self, name) + number)
