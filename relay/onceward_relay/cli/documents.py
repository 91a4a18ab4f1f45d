"""Options that hold what people bring to a decision: JSON documents, amounts and files of evidence."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from onceward_relay.people.documents import MOST, amount_of, json_of


def json_object(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read an option that is a JSON object, or @ and the name of a file that holds one."""
    if value is None:
        return None
    try:
        document = json_of(read(Path(value[1:])).decode() if value.startswith("@") else value)
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"is no JSON that could be read: {error}") from error
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
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
        return amount_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
