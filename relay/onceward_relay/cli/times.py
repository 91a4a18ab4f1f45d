"""Times and lengths of time on the command line."""

import re
from datetime import UTC, datetime, timedelta

import click

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def span(text: str) -> int:
    """Return the seconds of a length of time."""
    if found := re.fullmatch(r"(\d{1,7})([smhd])", text):
        return int(found[1]) * UNITS[found[2]]
    raise click.BadParameter(f"{text!r} is no length of time like 90s, 30m, 24h or 7d")


def moment(text: str) -> datetime | int:
    """Return a time given with its offset from UTC, or the seconds for which it is past."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return span(text)
    if found.tzinfo is None:
        raise click.BadParameter(f"{text!r} does not say where: add Z for UTC, or an offset like +02:00")
    return found


def moment_to_come(text: str) -> datetime:
    """Return a time given with its offset from UTC, or as a length of time from now."""
    found = moment(text)
    return datetime.now(UTC) + timedelta(seconds=found) if isinstance(found, int) else found


def moment_past(text: str) -> datetime:
    """Return a time given with its offset from UTC, or as a length of time before now."""
    found = moment(text)
    return datetime.now(UTC) - timedelta(seconds=found) if isinstance(found, int) else found
