"""What a check has found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands."""

    check: str
    """What was looked at, in one or two words."""
    level: Level
    """problem: messages wait, are lost or will be; warning: it may come to that, or could not be seen."""
    found: str
    """What was found."""
    remedy: str = ""
    """What to do, as a command or a setting; empty if all is well."""
    subject: str = ""
    """The database, the Kafka cluster or the topic that it is about."""


def ok(check: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that something may become a problem."""
    return Finding(check, "warning", found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that something is wrong."""
    return Finding(check, "problem", found, remedy)


def size(number: float) -> str:
    """Return a number of bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def span(seconds: float) -> str:
    """Return a time in words, in its largest unit."""
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
