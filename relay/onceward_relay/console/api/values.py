"""What stands in requests and answers of the API: texts that a database can hold, money as text, times in UTC."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")
Kind = Literal[
    "in_doubt", "overdue", "conflict", "mismatch", "stuck_after_pivot", "undo_failed", "flow_error", "flow_diverged",
    "late_signal", "unmatched", "provider_stopped", "parked_in", "parked_out", "history_lost",
]  # fmt: skip
"""Of incidents."""
Row = Mapping[str, Any]
DEEPEST = 50
"""Levels of a document."""


class Part(BaseModel):
    """A part of a request or an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _document(value: dict[str, Any]) -> dict[str, Any]:
    _look_at(value, 0)
    return value


def _look_at(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"is nested deeper than {DEEPEST} levels")
    if isinstance(value, str) and not _storable(value):
        raise ValueError("holds a character that PostgreSQL does not take: NUL, or half of a surrogate pair")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is no JSON: NaN or Infinity")
    if isinstance(value, dict):
        for name, each in value.items():
            _look_at(name, depth)
            _look_at(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _look_at(each, depth + 1)


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= mark <= "\udfff" for mark in text)


Moment = Annotated[datetime, AfterValidator(_utc)]
"""ISO 8601, in UTC."""
NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(max_length=1024, pattern=NO_NUL)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=NO_NUL)]
"""Why; it goes into the audit."""
Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(\.[0-9]{1,10})?$")]
"""An amount of money as text, never a number that a program would round."""
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Document = Annotated[dict[str, Any], AfterValidator(_document)]
"""A JSON object."""
Version = Annotated[int, Field(ge=0, lt=2**63)]


class Money(Part):
    """An amount with its currency. Those of two currencies are never added."""

    amount: Amount
    currency: Currency


class Page(Part, Generic[T]):
    """A page of a list over all participants that were asked."""

    items: list[T]
    next: str | None = None
    """Give it as `after` for the next page; none: this is the last."""
    missing: dict[str, str] = {}
    """Participants that did not answer in time, and why: the list lacks what is theirs."""


def money_of(row: Row) -> Money | None:
    """Return the money that a row names."""
    amount: Decimal | None = row["amount"]
    return None if amount is None else Money(amount=f"{amount.normalize():f}", currency=row["currency"])


def plain(row: Row, model: type[BaseModel], **more: Any) -> dict[str, Any]:
    """Return of a row the columns that a model has as fields, with others."""
    return {name: row[name] for name in model.model_fields if name in row and name not in more} | more
