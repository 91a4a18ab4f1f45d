"""What people type and bring: JSON documents, amounts of money, files of evidence."""

import json
from base64 import b64encode
from decimal import Decimal, InvalidOperation
from typing import Any

MOST = 1_048_576
"""Bytes that a document or a file may have."""
TOO_MUCH = 10**20
"""Amounts are stored with 20 digits before the point."""


def json_of(text: str) -> Any:
    """Read a JSON document.

    Raises:
        ValueError: it is none, or a name stands in it twice.

    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON that could be read: {error}") from error


def amount_of(text: str) -> Decimal:
    """Read an amount of money.

    Raises:
        ValueError: it is none.

    """
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount < TOO_MUCH):
        raise ValueError(f"{text[:100]!r} is no amount of money like 12.50")
    return amount


def readable(content: bytes) -> dict[str, str]:
    """Return contents as text, or in base64 where they are none."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands in it twice")
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
