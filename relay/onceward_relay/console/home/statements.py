"""Statements in the console's own database: of one person each, and forgotten after a week."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from onceward.sqlfiles import statement as sql
from onceward_relay.console.home.store import Home
from onceward_relay.people.statements.batch import Found, Item
from onceward_relay.people.statements.columns import Columns

KEPT = timedelta(days=7)
COPY = """
COPY onceward_console.statement_row (statement_id, line, cells, finding, why, call_id, about, item) FROM STDIN"""
TYPES = ("uuid", "int4", "text[]", "text", "text", "uuid", "text", "jsonb")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that somebody uploaded."""

    id: UUID
    person_id: UUID
    participant: str
    provider: str
    operation: str | None
    name: str
    header: Sequence[str]
    columns: Columns
    batch_id: UUID | None
    matched_at: datetime | None
    reason: str | None
    began_at: datetime | None
    stopped_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    expires_at: datetime


class Begun(Exception):
    """Decisions follow from this statement already, so it is not matched anew."""


async def keep(home: Home, statement: dict[str, Any], lines: Iterable[tuple[int, Sequence[str]]]) -> UUID:
    """Keep a statement with its rows and return its id."""
    id_ = uuid4()
    given = {**statement, "columns": Jsonb(statement["columns"].model_dump()), "kept": KEPT, "id": id_}
    async with home.transaction() as connection:
        await connection.execute(_sql("statement_keep"), given)
        await _copy(connection, id_, ((line, list(cells), *[None] * 5) for line, cells in lines))
    return id_


async def statement_of(home: Home, person: UUID, id_: UUID) -> Statement | None:
    """Return a statement; None if there is none of this person."""
    rows = await home.rows(_sql("statement_of"), {"id": id_, "person": person})
    return Statement(**{**rows[0], "columns": Columns.model_validate(rows[0]["columns"])}) if rows else None


async def statements_of(home: Home, person: UUID) -> list[DictRow]:
    """Return what a person uploaded, the newest first."""
    return await home.rows(_sql("statements_newest"), {"person": person})


async def lines_of(home: Home, id_: UUID) -> list[tuple[int, list[str]]]:
    """Return all rows as they stand in the file."""
    return [(row["line"], row["cells"]) for row in await home.rows(_sql("statement_lines"), {"id": id_})]


async def put(home: Home, id_: UUID, columns: Columns, found: Iterable[Found] | None) -> None:
    """Keep what columns mean, and what was found by that; None: nothing can be found that way.

    Raises:
        Begun: it is too late.

    """
    given = {"id": id_, "columns": Jsonb(columns.model_dump()), "found": found is not None}
    async with home.transaction() as connection:
        if (await connection.execute(_sql("statement_explain"), given)).rowcount == 0:
            raise Begun
        if found is not None:
            forget_rows = "DELETE FROM onceward_console.statement_row WHERE statement_id = %(id)s"
            await connection.execute(forget_rows, {"id": id_})
            await _copy(connection, id_, (_row(each) for each in found))


async def summary(home: Home, id_: UUID) -> list[DictRow]:
    """Return how many rows there are of each finding, and how many of them have led to something."""
    return await home.rows(_sql("statement_findings"), {"id": id_})


async def page(home: Home, id_: UUID, finding: str | None, after: int, limit: int) -> list[DictRow]:
    """Return rows behind a line, of one finding if it is given."""
    return await home.rows(_sql("statement_rows"), {"id": id_, "finding": finding, "after": after, "limit": limit})


async def begin(home: Home, id_: UUID, reason: str) -> bool:
    """Let the decisions be proposed, or go on after a stop. The first reason counts."""
    return bool(await home.rows(_sql("statement_begin"), {"id": id_, "reason": reason}))


async def stop(home: Home, id_: UUID) -> None:
    """Let no further decision be proposed."""
    await home.rows(_sql("statement_stop"), {"id": id_})


async def open_items(home: Home, id_: UUID, limit: int) -> list[Item]:
    """Return what is done next; nothing once it was stopped, or its owner may not act there any more."""
    rows = await home.rows(_sql("statement_next"), {"id": id_, "limit": limit})
    return [Item.model_validate(row["item"]) for row in rows]


async def record(home: Home, id_: UUID, outcomes: Sequence[tuple[int, bool, str]]) -> None:
    """Keep what came of rows: line, whether it was refused, and the outcome in words."""
    lines, refused, words = map(list, zip(*outcomes, strict=True))
    await home.rows(_sql("statement_record"), {"id": id_, "lines": lines, "refused": refused, "outcomes": words})


async def end(home: Home, id_: UUID) -> None:
    """Note that every row has its outcome, if that is so."""
    await home.rows(_sql("statement_end"), {"id": id_})


async def forget_expired(home: Home) -> None:
    """Forget what people uploaded and whose time is over."""
    await home.rows("DELETE FROM onceward_console.statement WHERE expires_at < clock_timestamp()", {})


async def forget(home: Home, id_: UUID) -> None:
    """Forget a statement. What was proposed from it stays."""
    await home.rows("DELETE FROM onceward_console.statement WHERE id = %(id)s", {"id": id_})


async def _copy(connection: "psycopg.AsyncConnection[DictRow]", id_: UUID, rows: Iterable[Sequence[Any]]) -> None:
    async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.set_types(TYPES)
        for row in rows:
            await copy.write_row((id_, *row))


def _row(found: Found) -> tuple[Any, ...]:
    item = None if found.item is None else Jsonb(found.item.model_dump(mode="json"))
    return (found.line, list(found.cells), found.finding, found.why, found.call_id, found.about, item)


def _sql(name: str) -> str:
    return sql("onceward_relay.console.home", name)
