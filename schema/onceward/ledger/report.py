"""What a provider reports by itself: `report` keeps it in the database, a worker acts on it."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from sqlalchemy import TextClause, text

from onceward.errors import ReportError
from onceward.json_text import NoJsonNumber, json_of
from onceward.providers import Provider
from onceward.sqlfiles import statement

LONGEST_BODY = 1_048_576
"""Bytes."""
LONGEST_NAME = 1000
"""Characters of a reference."""


def report(
    provider: Provider[Any],
    *,
    key: str | None = None,
    reference: str | None = None,
    applied: bool | None,
    body: bytes | BaseModel,
    evidence_id: UUID,
) -> TextClause:
    """Return the statement that keeps a provider's report, for any Session or Connection, synchronous or not.

    For the webhook's route, once that has verified who is speaking. A worker then finds the call and settles it; what
    contradicts how a call is settled, or is about no call, it tells people. The statement returns False if the report
    was kept before. PostgreSQL refuses, with SQLSTATE 23505, another report under the same `evidence_id`.

    Args:
        provider: who reports.
        key: idempotency key of the call. By it the call is found, else by the reference.
        reference: the provider's reference, as the operation's `ref` reads it from a result.
        applied: True: the call took effect, and `body` is its result. False: it did not, and never will unless it is
            sent again. None: neither is said; it is only kept.
        body: the report, or what of it the operation's result type can read; at most 1048576 bytes.
        evidence_id: identity of the report; the same for each delivery of it, as uuid5 of the provider's id of it is.

    Raises:
        ReportError: it cannot be kept; names the field.
    """
    if key is None and reference is None:
        raise ReportError("key", "is missing, and so is the reference: nothing says which call it is about")
    row = {
        "provider": provider.name,
        "key": _name("key", key, 255),
        "reference": _name("reference", reference, LONGEST_NAME),
        "applied": applied,
        "body": _bytes(body),
        "evidence_id": evidence_id,
    }
    return text(statement("onceward.ledger", "report")).bindparams(**row)


def _name(field: str, value: str | None, longest: int) -> str | None:
    if value is None:
        return None
    if not 1 <= len(value) <= longest or not value.isprintable():
        raise ReportError(field, f"must be 1 to {longest} printable characters, is {value[:80]!a}")
    return value


def _bytes(body: bytes | BaseModel) -> bytes:
    try:
        found = json_of(body).encode() if isinstance(body, BaseModel) else bytes(body)
    except (NoJsonNumber, PydanticSerializationError) as error:
        raise ReportError("body", f"cannot be written as JSON: {type(error).__name__}") from error
    if len(found) > LONGEST_BODY:
        raise ReportError("body", f"has {len(found)} bytes, more than {LONGEST_BODY}")
    return found
