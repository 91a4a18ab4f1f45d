"""Where a page of a list ends, so that the next one begins behind it, whatever came or went meanwhile."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException

NOTHING = {"after_severity": None, "after_opened": None, "after_id": None}


def cursor(row: Mapping[str, Any]) -> str:
    """Return the place of an incident."""
    text = f"{row['severity']} {row['opened_at'].isoformat()} {row['id']}"
    return urlsafe_b64encode(text.encode()).decode()


def after(text: str | None) -> dict[str, Any]:
    """Return a place as the query takes it.

    Raises:
        HTTPException: 400, it is none.

    """
    if text is None:
        return dict(NOTHING)
    try:
        severity, opened, id_ = urlsafe_b64decode(text.encode()).decode().split(" ")
        return {
            "after_severity": int(severity),
            "after_opened": datetime.fromisoformat(opened),
            "after_id": UUID(id_),
        }
    except ValueError:
        raise HTTPException(400, "after: is no place in this list; begin at its first page") from None
