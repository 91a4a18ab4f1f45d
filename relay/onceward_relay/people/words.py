"""How text, money and times are written for people."""

from datetime import datetime
from decimal import Decimal


def inert(text: object) -> str:
    """Return `text` for a terminal, with everything in it that could steer one written out."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in str(text))


def money(amount: Decimal | None, currency: str | None) -> str:
    """Return an amount with its currency; nothing if there is none."""
    return "" if amount is None else f"{amount.normalize():f} {currency}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long `moment` is ago, in the two largest units."""
    return span((now - moment).total_seconds())


def span(seconds: float) -> str:
    """Return a length of time, in the two largest units; `now` for none."""
    whole = int(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = [
        f"{whole % previous // size} {unit}"
        for (unit, size), previous in zip(units, (10**12, 86400, 3600, 60), strict=True)
    ]
    shown = [part for part in parts if not part.startswith("0 ")][:2]
    return " ".join(shown) or "now"
