"""What the columns of a statement mean: guessed from their names, and said by a person where the guess is wrong."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from onceward_relay.people.statements.notation import Point, day_first_of, point_of
from onceward_relay.people.statements.sheet import Sheet

Says = Literal["applied", "not_applied", "unclear"]
Role = Literal["reference", "key", "ref", "amount", "currency", "date", "status"]
NAMES: Mapping[Role, tuple[str, ...]] = {
    "reference": (
        "reference", "transactionid", "transferid", "transaction", "providerreference", "bankreference", "paymentid",
        "id",
    ),
    "key": ("key", "idempotencykey", "endtoendid", "endtoendreference", "requestid", "clientrequestid"),
    "ref": (
        "ref", "ourreference", "yourreference", "customerreference", "merchantreference", "orderid", "order", "purpose",
    ),
    "amount": ("amount", "value", "betrag", "gross", "grossamount", "transactionamount", "montant", "importe"),
    "currency": ("currency", "ccy", "curr", "waehrung", "währung", "devise", "moneda"),
    "date": ("date", "bookingdate", "valuedate", "created", "createdat", "bookedat", "buchungstag", "executiondate"),
    "status": ("status", "state", "outcome"),
}  # fmt: skip
"""Names of columns, in small letters and without blanks, that are taken for what they say."""
WORDS: Mapping[Says, tuple[str, ...]] = {
    "applied": (
        "applied", "booked", "settled", "completed", "complete", "paid", "succeeded", "success", "successful",
        "executed",
        "posted", "done",
    ),
    "not_applied": ("not applied", "not_applied", "rejected", "failed", "declined", "refused"),
    "unclear": (),
}  # fmt: skip
MOST_WORDS = 50
"""Different words of the status column for which a person can say what they mean."""
Column = Annotated[int, Field(ge=0)]


class Columns(BaseModel):
    """Which column, counted from 0, holds what, and how it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: Column | None = None
    """The provider's reference of what it did."""
    key: Column | None = None
    """The idempotency key that was sent."""
    ref: Column | None = None
    """The business reference that was sent; None: the provider's column is looked at for that too."""
    amount: Column | None = None
    currency: Column | None = None
    date: Column | None = None
    status: Column | None = None
    """None: what stands in the statement took effect."""
    every_currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """Where no column names the currency."""
    point: Point = "."
    day_first: bool | None = None
    direction: Literal["any", "negative", "positive"] | None = None
    """Rows of which sign are looked at. None: it has to be said as soon as there are both."""
    says: dict[str, Says] = Field(default_factory=dict, max_length=MOST_WORDS)
    """What each word of the status column means, in small letters; another word is unclear."""
    result: dict[str, Column] = Field(default_factory=dict, max_length=200)
    """Columns of the fields of an operation's result; a part of a part by `money.amount`."""


def guess(sheet: Sheet, fields: Iterable[str] = (), named: Mapping[Role, int] | None = None) -> Columns:
    """Return what the columns of a statement seem to be.

    Args:
        sheet: the statement.
        fields: those of the operations' results.
        named: columns that a person has named, by role.

    """
    names = [_bare(name) for name in sheet.header]
    seems = {role: next((names.index(name) for name in known if name in names), None) for role, known in NAMES.items()}
    roles: dict[Role, int | None] = {**seems, **(named or {})}
    amounts = column_of(sheet.rows, roles["amount"])
    signs = {text.strip().startswith(("-", "\u2212", "(")) for text in amounts}
    meant = {field: at for field in fields if (at := _column_for(field, names, roles)) is not None}
    return Columns(
        **roles,
        point=point_of(amounts),
        day_first=day_first_of(column_of(sheet.rows, roles["date"])),
        direction="any" if len(signs) == 1 else None,
        says=words_of(column_of(sheet.rows, roles["status"])),
        result=meant,
    )


def words_of(cells: Iterable[str]) -> dict[str, Says]:
    """Return the words of a status column with what each seems to mean."""
    words = sorted({word.casefold() for word in cells})
    return {word: says_of(word) for word in words[:MOST_WORDS]}


def says_of(word: str) -> Says:
    """Return what a word of a status column seems to mean."""
    return next((says for says, words in WORDS.items() if word.casefold() in words), "unclear")


def column_of(rows: Iterable[tuple[int, Sequence[str]]], at: int | None) -> list[str]:
    """Return the cells of a column that are not empty."""
    return [] if at is None else [row[at] for _, row in rows if at < len(row) and row[at]]


def wrong_with(columns: Columns, header: Sequence[str]) -> list[str]:
    """Return why nothing can be matched by these columns; each begins with the field."""
    given: dict[str, int | None] = {role: getattr(columns, role) for role in NAMES}
    given |= {f"result {field}": at for field, at in columns.result.items()}
    wrong = [f"{name}: there is no column {at}" for name, at in given.items() if at is not None and at >= len(header)]
    money = columns.amount is not None and (columns.currency is not None or columns.every_currency is not None)
    if columns.reference is None and columns.key is None and not (columns.ref is not None and money):
        wrong.append(
            "reference: name a column with the provider's reference, one with the key, or one with your reference"
            " together with amount and currency"
        )
    return wrong


def _column_for(field: str, names: Sequence[str], roles: Mapping[Role, int | None]) -> int | None:
    """Return the column that seems to hold a field of a result: of the same name, or of the same meaning."""
    last = _bare(field.rpartition(".")[2])
    if last in names:
        return names.index(last)
    return next((roles[role] for role, known in NAMES.items() if role != "status" and last in known), None)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
