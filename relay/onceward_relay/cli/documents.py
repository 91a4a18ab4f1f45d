"""What people bring to a decision: JSON documents and files of evidence."""

import json
from base64 import b64encode
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

MOST = 1_048_576
"""Bytes that a document or a file may have."""
TOO_MUCH = 10**20
"""Amounts are stored with 20 digits before the point."""


def json_object(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read an option that is a JSON object, or @ and the name of a file that holds one."""
    if value is None:
        return None
    try:
        text = read(Path(value[1:])).decode() if value.startswith("@") else value
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is no JSON that could be read: {error}") from error
    if not isinstance(document, dict):
        raise click.BadParameter("must be a JSON object: {...}")
    return document


def file_bytes(_: click.Context, __: click.Parameter, value: Path | None) -> bytes | None:
    """Read an option that names a file, whatever is in it."""
    return None if value is None else read(value)


def amount_of_money(_: click.Context, __: click.Parameter, value: str | None) -> Decimal | None:
    """Read an option that is an amount of money."""
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount < TOO_MUCH):
        raise click.BadParameter(f"{value!r} is no amount of money like 12.50")
    return amount


def read(path: Path) -> bytes:
    """Return the bytes of a file of at most `MOST`.

    Raises:
        click.BadParameter: it cannot be read, or is larger.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
    if len(content) > MOST:
        raise click.BadParameter(f"{path} has more than {MOST:,} bytes; give the part that proves it")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands in it twice")
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def readable(content: bytes) -> dict[str, str]:
    """Return contents as text, or in base64 where they are none."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}
