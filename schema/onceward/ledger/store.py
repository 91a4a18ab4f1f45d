"""The ledger's statements, one for each transition: its WHERE says when it may happen, no row that it may not."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from onceward.ledger.attempting import Finding
from onceward.ledger.outcomes import FlowStep
from onceward.sqlfiles import statement

Record = Row[Any]
"""A row of the table `call`, with `now` (the database's clock) and `sends` (its attempts to send)."""


@cache
def sql(name: str) -> TextClause:
    """Return the ledger's statement `name`."""
    return text(statement("onceward.ledger", name))


def one(connection: Connection, name: str, **parameters: Any) -> Record | None:
    """Run the statement `name` and return its row, if it gives one."""
    return connection.execute(sql(name), parameters).one_or_none()


def read(connection: Connection, call_id: UUID) -> Record | None:
    """Return the call, if there is one."""
    return one(connection, "read", id=call_id)


def read_step(connection: Connection, flow: FlowStep) -> Record | None:
    """Return the call that stands for a step of a flow: the last that was made for it."""
    return one(connection, "read_step", flow_id=flow.flow_id, step=flow.step)


def said(finding: Finding) -> dict[str, Any]:
    """Return what is recorded of what an attempt was told."""
    return {
        "http_status": finding.http_status,
        "detail": finding.text,
        "answer": finding.answer,
        "answer_sha256": finding.answer_sha256,
    }


def end_attempt(connection: Connection, call_id: UUID, no: int, finding: Finding) -> None:
    """Record what the attempt proves."""
    what = {"id": call_id, "no": no, "verdict": finding.verdict, **said(finding)}
    connection.execute(sql("end_attempt"), what)


def durable(connection: Connection) -> datetime | None:
    """Make this transaction's commit wait for the disk.

    Returns since when calls may be lost that the database does not know; None if it is the one it was.
    """
    lost_since: datetime | None = connection.execute(sql("durable")).one().lost_since
    return lost_since
