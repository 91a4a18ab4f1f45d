"""Where a page of a list ends, as text that only this console reads."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException


def place(**values: Any) -> str:
    """Return a place."""
    return urlsafe_b64encode(json.dumps(values, default=str).encode()).decode()


def moment_and_id(text: str | None) -> Mapping[str, Any]:
    """Return the place in a list by moment and id.

    Raises:
        HTTPException: 400, it is none.

    """
    if text is None:
        return {"after_at": None, "after_id": None}
    try:
        read = _read(text)
        return {"after_at": datetime.fromisoformat(read["at"]).astimezone(UTC), "after_id": UUID(read["id"])}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise _none() from None


def number(text: str | None) -> int | None:
    """Return the place in a list by number.

    Raises:
        HTTPException: 400, it is none.

    """
    if text is None:
        return None
    try:
        found = int(_read(text)["no"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise _none() from None
    if not 0 < found < 2**63:
        raise _none()
    return found


def _read(text: str) -> Any:
    try:
        return json.loads(urlsafe_b64decode(text.encode()))
    except RecursionError:
        raise _none() from None


def _none() -> HTTPException:
    return HTTPException(400, "after: is no place in this list; begin at its first page")
