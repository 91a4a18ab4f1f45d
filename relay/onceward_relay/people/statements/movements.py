"""The rows of a statement as what they say: which effect, how much of which money, when, and whether it took place."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TypeVar

from onceward_relay.people.statements.columns import Columns, Says
from onceward_relay.people.statements.notation import amount, day

T = TypeVar("T")
UNEQUAL = "direction: some amounts are negative and some are not; choose which of them your calls made"
Line = tuple[int, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Movement:
    """One row."""

    line: int
    cells: Sequence[str]
    reference: str | None = None
    key: str | None = None
    ref: str | None = None
    amount: Decimal | None = None
    """Without its sign."""
    currency: str | None = None
    at: date | None = None
    says: Says = "applied"
    problem: str | None = None
    """Why it cannot be looked at; it begins with the field."""
    aside: bool = False
    """It is of the other direction, and none of our calls."""


class Unequal(ValueError):
    """Amounts of both signs, and nobody said which of them count."""


def movements(lines: Sequence[Line], columns: Columns, width: int) -> list[Movement]:
    """Return what each row says; a row that cannot be read says why and keeps no other back.

    Raises:
        Unequal: amounts of both signs, and `columns.direction` does not say which are the calls'.

    """
    read = [_movement(line, cells, columns, width) for line, cells in lines]
    signs = {each.amount < 0 for each in read if each.amount}
    if columns.direction is None and len(signs) > 1:
        raise Unequal(UNEQUAL)
    unwanted = {"negative": False, "positive": True}.get(columns.direction or "any")
    return [
        replace(each, amount=abs(each.amount), aside=each.amount != 0 and (each.amount < 0) == unwanted)
        if each.amount is not None
        else each
        for each in read
    ]


def _movement(line: int, cells: Sequence[str], columns: Columns, width: int) -> Movement:
    if len(cells) != width:
        return Movement(line, cells, problem=f"line: has {len(cells)} cells and its heading {width}")

    def cell(at: int | None) -> str | None:
        return None if at is None else cells[at] or None

    try:
        reference = cell(columns.reference)
        status = cell(columns.status)
        return Movement(
            line,
            cells,
            reference=reference,
            key=cell(columns.key),
            ref=cell(columns.ref) if columns.ref is not None else reference,
            amount=_read("amount", cell(columns.amount), lambda text: amount(text, columns.point)),
            currency=_read("currency", cell(columns.currency), _currency) or columns.every_currency,
            at=_read("date", cell(columns.date), lambda text: day(text, day_first=columns.day_first)),
            says="applied" if columns.status is None else columns.says.get((status or "").casefold(), "unclear"),
        )
    except ValueError as error:
        return Movement(line, cells, problem=str(error))


def _read(field: str, text: str | None, read: Callable[[str], T]) -> T | None:
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise ValueError(f"{text[:20]!r} is no currency like EUR")
    return text.upper()
