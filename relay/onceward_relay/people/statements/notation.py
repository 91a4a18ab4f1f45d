"""How a statement writes amounts and dates. What could be read in two ways is not guessed from one cell alone."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Literal

Point = Literal[".", ","]
"""Mark before the decimals."""
DayFirst = bool | None
MOST_DIGITS, MOST_DECIMALS = 20, 10
"""As the ledger keeps amounts."""
GROUPED = re.compile(r"[0-9]{1,3}(?:([ \u00a0\u202f'\u2019.,])[0-9]{3})(?:\1[0-9]{3})*|[0-9]+")
NUMERIC_DATE = re.compile(r"([0-9]{1,4})([-./])([0-9]{1,2})\2([0-9]{1,4})(?:[T ].*)?")
COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")


def amount(text: str, point: Point) -> Decimal:
    """Return the amount that `text` writes: with groups of thousands, with its sign before or behind, or in brackets.

    Raises:
        ValueError: it is none.

    """
    bare = text.strip().replace("\u2212", "-")
    negative = False
    if bare.startswith("(") and bare.endswith(")"):
        negative, bare = True, bare[1:-1].strip()
    elif bare[:1] in ("-", "+"):
        negative, bare = bare[0] == "-", bare[1:].strip()
    elif bare[-1:] in ("-", "+"):
        negative, bare = bare[-1] == "-", bare[:-1].strip()
    whole, mark, decimals = bare.partition(point)
    grouped = GROUPED.fullmatch(whole)
    if grouped is None or grouped[1] == point or (mark and not re.fullmatch(r"[0-9]+", decimals)):
        raise ValueError(f"{text[:60]!r} is no amount that is written with {point!r} before the decimals")
    digits = re.sub(r"[^0-9]", "", whole)
    if len(digits.lstrip("0")) > MOST_DIGITS or len(decimals.rstrip("0")) > MOST_DECIMALS:
        raise ValueError(f"{text[:60]!r} has more than {MOST_DIGITS} digits, or {MOST_DECIMALS} decimals")
    value = Decimal(f"{digits}.{decimals or '0'}")
    return -value if negative else value


def point_of(texts: Iterable[str]) -> Point:
    """Return which mark stands before decimals in a column, by the first cell that leaves no doubt; else the point."""
    for text in texts:
        bare = re.sub(r"[^0-9.,]", "", text)
        last = max(bare.rfind("."), bare.rfind(","))
        if last < 0:
            continue
        mark: Point = "." if bare[last] == "." else ","
        other: Point = "," if mark == "." else "."
        if other in bare or (bare.count(mark) == 1 and (len(bare) - last - 1 != 3 or bare.startswith("0"))):
            return mark
        if bare.count(mark) > 1:
            return other
    return "."


def day(text: str, *, day_first: DayFirst) -> date:
    """Return the date that `text` writes.

    Args:
        text: 2026-05-31, 20260531, 31.05.2026, or with slashes; what follows as a time is not looked at.
        day_first: of 03/05/2026, whether the 3 is the day; None: neither is taken for granted.

    Raises:
        ValueError: it is none, or could be two.

    """
    if compact := COMPACT_DATE.fullmatch(text.strip()):
        return date(*map(int, compact.groups()))
    found = NUMERIC_DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date like 2026-05-31 or 31.05.2026")
    first, second, third = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        parts = (first, second, third)
    elif len(found[4]) == 4:
        parts = (third, second, first) if _day_leads(found, day_first) else (third, first, second)
    else:
        raise ValueError(f"{text[:40]!r} is no date with four digits of the year")
    try:
        return date(*parts)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no date that there is") from None


def _day_leads(found: re.Match[str], day_first: DayFirst) -> bool:
    if found[2] == ".":
        return True
    if day_first is not None:
        return day_first
    first, second = int(found[1]), int(found[3])
    if first <= 12 and second <= 12 and first != second:
        raise ValueError(f"{found[0][:40]!r} could be two dates: choose whether the day or the month comes first")
    return first > 12


def day_first_of(texts: Iterable[str]) -> DayFirst:
    """Return whether days come before months in a column; None if no cell tells."""
    for text in texts:
        found = NUMERIC_DATE.fullmatch(text.strip())
        if found is None or len(found[1]) == 4 or found[2] == ".":
            continue
        if int(found[1]) > 12:
            return True
        if int(found[3]) > 12:
            return False
    return None
