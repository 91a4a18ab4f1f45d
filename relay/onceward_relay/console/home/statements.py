"""Statements in the console's own database: of one person each, and forgotten after a week."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from onceward_relay.console.home.store import Home
from onceward_relay.people.statements.batch import Found, Item
from onceward_relay.people.statements.columns import Columns

KEPT = timedelta(days=7)
COLUMNS = ("line", "cells", "finding", "why", "call_id", "about", "item")


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
    """Keep a statement with its rows and return its id; forget those that nobody needs any more."""
    async with home.transaction() as connection:
        await connection.execute("DELETE FROM onceward_console.statement WHERE expires_at < clock_timestamp()")
        given = {**statement, "columns": Jsonb(statement["columns"].model_dump()), "kept": KEPT, "id": uuid4()}
        await connection.execute(
            "INSERT INTO onceward_console.statement"
            " (id, person_id, participant, provider, operation, name, header, columns, expires_at)"
            " VALUES (%(id)s, %(person_id)s, %(participant)s, %(provider)s, %(operation)s, %(name)s, %(header)s,"
            " %(columns)s, clock_timestamp() + %(kept)s)",
            given,
        )
        await _copy(connection, given["id"], ((line, list(cells), *[None] * 5) for line, cells in lines))
    return UUID(str(given["id"]))


async def statement_of(home: Home, person: UUID, id_: UUID) -> Statement | None:
    """Return a statement; None if there is none of this person."""
    query = (
        "SELECT * FROM onceward_console.statement"
        " WHERE id = %(id)s AND person_id = %(person)s AND expires_at > clock_timestamp()"
    )
    rows = await home.rows(query, {"id": id_, "person": person})
    return Statement(**{**rows[0], "columns": Columns.model_validate(rows[0]["columns"])}) if rows else None


async def statements_of(home: Home, person: UUID) -> list[DictRow]:
    """Return what a person uploaded, the newest first."""
    query = (
        "SELECT id, participant, provider, name, created_at, expires_at, matched_at, began_at, ended_at, stopped_at"
        " FROM onceward_console.statement WHERE person_id = %(person)s AND expires_at > clock_timestamp()"
        " ORDER BY created_at DESC LIMIT 20"
    )
    return await home.rows(query, {"person": person})


async def lines_of(home: Home, id_: UUID) -> list[tuple[int, list[str]]]:
    """Return all rows as they stand in the file."""
    query = "SELECT line, cells FROM onceward_console.statement_row WHERE statement_id = %(id)s ORDER BY line"
    return [(row["line"], row["cells"]) for row in await home.rows(query, {"id": id_})]


async def put(home: Home, id_: UUID, columns: Columns, found: Iterable[Found] | None) -> None:
    """Keep what columns mean, and what was found by that; None: nothing can be found that way.

    Raises:
        Begun: it is too late.

    """
    async with home.transaction() as connection:
        done = await connection.execute(
            "UPDATE onceward_console.statement SET columns = %(columns)s,"
            " batch_id = CASE WHEN %(found)s THEN gen_random_uuid() END,"
            " matched_at = CASE WHEN %(found)s THEN clock_timestamp() END"
            " WHERE id = %(id)s AND began_at IS NULL",
            {"id": id_, "columns": Jsonb(columns.model_dump()), "found": found is not None},
        )
        if done.rowcount == 0:
            raise Begun
        if found is None:
            return
        await connection.execute("DELETE FROM onceward_console.statement_row WHERE statement_id = %(id)s", {"id": id_})
        await _copy(connection, id_, (_row(each) for each in found))


async def summary(home: Home, id_: UUID) -> list[DictRow]:
    """Return how many rows there are of each finding, and how many of them have led to something."""
    query = (
        "SELECT finding, count(*) AS rows, count(item) AS items, count(*) FILTER (WHERE refused) AS refused,"
        " count(*) FILTER (WHERE NOT refused) AS done"
        " FROM onceward_console.statement_row WHERE statement_id = %(id)s GROUP BY finding"
    )
    return await home.rows(query, {"id": id_})


async def page(home: Home, id_: UUID, finding: str | None, after: int, limit: int) -> list[DictRow]:
    """Return rows behind a line, of one finding if it is given."""
    query = (
        "SELECT line, cells, finding, why, call_id, about, item ->> 'verb' AS verb, item -> 'result' AS result,"
        " refused, outcome"
        " FROM onceward_console.statement_row WHERE statement_id = %(id)s AND line > %(after)s"
        " AND (%(finding)s::text IS NULL OR finding = %(finding)s) ORDER BY line LIMIT %(limit)s"
    )
    return await home.rows(query, {"id": id_, "finding": finding, "after": after, "limit": limit})


async def begin(home: Home, id_: UUID, reason: str) -> bool:
    """Let the decisions be proposed, or go on after a stop. The first reason counts."""
    query = (
        "UPDATE onceward_console.statement SET began_at = coalesce(began_at, clock_timestamp()), stopped_at = NULL,"
        " reason = coalesce(reason, %(reason)s)"
        " WHERE id = %(id)s AND matched_at IS NOT NULL AND ended_at IS NULL RETURNING id"
    )
    return bool(await home.rows(query, {"id": id_, "reason": reason}))


async def stop(home: Home, id_: UUID) -> None:
    """Let no further decision be proposed."""
    query = (
        "UPDATE onceward_console.statement SET stopped_at = clock_timestamp()"
        " WHERE id = %(id)s AND began_at IS NOT NULL AND ended_at IS NULL AND stopped_at IS NULL"
    )
    await home.rows(query, {"id": id_})


async def open_items(home: Home, id_: UUID, limit: int) -> list[Item]:
    """Return what is to be done next; nothing once it was stopped."""
    query = (
        "SELECT r.item FROM onceward_console.statement_row r JOIN onceward_console.statement s ON s.id = r.statement_id"
        " WHERE r.statement_id = %(id)s AND r.item IS NOT NULL AND r.outcome IS NULL AND s.stopped_at IS NULL"
        " ORDER BY r.line LIMIT %(limit)s"
    )
    return [Item.model_validate(row["item"]) for row in await home.rows(query, {"id": id_, "limit": limit})]


async def record(home: Home, id_: UUID, outcomes: Sequence[tuple[int, bool, str]]) -> None:
    """Keep what came of rows: line, whether it was refused, and the outcome in words."""
    query = (
        "UPDATE onceward_console.statement_row r SET refused = o.refused, outcome = o.outcome"
        " FROM unnest(%(lines)s::int[], %(refused)s::boolean[], %(outcomes)s::text[]) AS o (line, refused, outcome)"
        " WHERE r.statement_id = %(id)s AND r.line = o.line"
    )
    lines, refused, words = zip(*outcomes, strict=True)
    await home.rows(query, {"id": id_, "lines": list(lines), "refused": list(refused), "outcomes": list(words)})


async def end(home: Home, id_: UUID) -> None:
    """Note that every row has its outcome, if that is so."""
    query = (
        "UPDATE onceward_console.statement SET ended_at = clock_timestamp() WHERE id = %(id)s AND ended_at IS NULL"
        " AND NOT EXISTS (SELECT FROM onceward_console.statement_row r"
        " WHERE r.statement_id = %(id)s AND r.item IS NOT NULL AND r.outcome IS NULL)"
    )
    await home.rows(query, {"id": id_})


async def forget(home: Home, id_: UUID) -> None:
    """Forget a statement. What was proposed from it stays."""
    await home.rows("DELETE FROM onceward_console.statement WHERE id = %(id)s", {"id": id_})


async def _copy(connection: "psycopg.AsyncConnection[DictRow]", id_: UUID, rows: Iterable[Sequence[Any]]) -> None:
    into = f"COPY onceward_console.statement_row (statement_id, {', '.join(COLUMNS)}) FROM STDIN"
    async with connection.cursor().copy(into.encode()) as copy:
        copy_types = ["uuid", "int4", "text[]", "text", "text", "uuid", "text", "jsonb"]
        copy.set_types(copy_types)
        for row in rows:
            await copy.write_row((id_, *row))


def _row(found: Found) -> tuple[Any, ...]:
    item = None if found.item is None else Jsonb(found.item.model_dump(mode="json"))
    return (found.line, list(found.cells), found.finding, found.why, found.call_id, found.about, item)
