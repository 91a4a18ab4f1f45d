"""Incidents: what code cannot settle is opened here, and closed when it is settled."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, text

from onceward.sqlfiles import statement

Kind = Literal[
    "in_doubt",
    "overdue",
    "conflict",
    "mismatch",
    "stuck_after_pivot",
    "undo_failed",
    "flow_error",
    "flow_diverged",
    "late_signal",
    "unmatched",
    "provider_stopped",
    "parked_in",
    "parked_out",
    "history_lost",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_OPEN = text(statement("onceward", "open_incident"))
_CLOSE = text(statement("onceward", "close_incidents"))


def open_incident(
    connection: Connection,
    kind: Kind,
    *,
    grp: str,
    severity: Literal[1, 2, 3],
    title: str,
    call_id: UUID | None = None,
    flow_id: UUID | None = None,
    message_id: UUID | None = None,
    ref: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    act_before: datetime | None = None,
) -> None:
    """Open an incident in this transaction, or count up the open one of its kind and subject.

    `grp` is the unit of bulk work; severity 1 means money or order at risk, 2 work that stands
    still, 3 to be looked at. After `act_before` a way out is lost.
    """
    subject = {"call_id": call_id, "flow_id": flow_id, "message_id": message_id}
    value = {"ref": ref, "amount": amount, "currency": currency, "act_before": act_before}
    connection.execute(_OPEN, {"kind": kind, "grp": grp, "severity": severity, "title": title, **subject, **value})


def close_incidents(
    connection: Connection,
    *,
    by: str,
    call_id: UUID | None = None,
    flow_id: UUID | None = None,
    message_id: UUID | None = None,
    kinds: Collection[Kind] = KINDS,
) -> None:
    """Close the open incidents about a call, a flow or a message, in this transaction."""
    subject = call_id or flow_id or message_id
    connection.execute(_CLOSE, {"subject": subject, "kinds": list(kinds), "by": by})
