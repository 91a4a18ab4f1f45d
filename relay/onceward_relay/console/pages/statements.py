"""A provider's statement: uploaded, its columns explained, looked at, and then a batch of proposals."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from onceward_relay.console.guard import home_of
from onceward_relay.console.home import statements as kept
from onceward_relay.console.home.statements import Begun, Statement
from onceward_relay.console.participants import Participant, Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route
from onceward_relay.console.statements import Works, find
from onceward_relay.people.deciding import in_words
from onceward_relay.people.statements.batch import as_csv, inert_cell
from onceward_relay.people.statements.columns import NAMES, Columns, column_of, guess, words_of, wrong_with
from onceward_relay.people.statements.matching import FINDINGS
from onceward_relay.people.statements.movements import UNEQUAL, Unequal
from onceward_relay.people.statements.results import parts
from onceward_relay.people.statements.sheet import ENCODINGS, MOST_BYTES, Sheet, Unreadable, read

ASKED = ("place", "operation", "encoding", "delimiter", "heading")
ROWS = 50
"""On one page."""
FIELDS = 60
"""Fields of results for which a column can be named."""
GIVEN_OUT = 1000
"""Rows that are read at a time for the file of results."""
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
ENCODING_NAMES = {"utf-8": "UTF-8", "utf-16": "UTF-16", "latin-1": "Latin-1 (ISO 8859-1)", "cp1252": "Windows-1252"}


async def new(request: Request) -> Response:
    """Ask for a file."""
    return await _asking(request, dict.fromkeys(ASKED, ""), None)


async def upload(request: Request) -> Response:
    """Read a file, keep its rows, and match them where the columns' names say enough."""
    form: FormData = request.state.form
    asked = {name: str(form.get(name, "")) for name in ASKED}
    try:
        participant, provider = _place_of(request, asked["place"])
        name, sheet = await _sheet_of(form.get("file"), asked)
        operation = asked["operation"].strip() or None
        columns = guess(sheet, await _fields(participant, provider, operation))
    except Unreadable as error:
        return await _asking(request, asked, f"The file {error}.")
    given = {
        "person_id": request.state.visit.person_id,
        "participant": participant.name,
        "provider": provider,
        "operation": operation,
        "name": name[-200:],
        "header": [name or f"column {at}" for at, name in enumerate(sheet.header, 1)],
        "columns": columns,
    }
    home = home_of(request)
    id_ = await kept.keep(home, given, sheet.rows)
    statement = await kept.statement_of(home, request.state.visit.person_id, id_)
    assert statement is not None
    await _match(request, statement, columns, sheet.rows)
    return RedirectResponse(f"/statements/{id_}", 303)


async def show(request: Request) -> Response:
    """Show what the columns mean, what was found, and what came of it."""
    return await _showing(request, await _statement(request), None)


async def explain(request: Request) -> Response:
    """Match anew, by what a person says of the columns."""
    statement = await _statement(request)
    try:
        columns = _columns_of(request.state.form, statement)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return await _showing(request, statement, wrong)
    lines = await kept.lines_of(home_of(request), statement.id)
    if columns.status != statement.columns.status:
        columns = columns.model_copy(update={"says": words_of(column_of(lines, columns.status))})
    try:
        wrong_words = await _match(request, statement, columns, lines)
    except Begun:
        raise HTTPException(
            409, "decisions follow from this statement already; upload it again to read it anew"
        ) from None
    if wrong_words:
        return await _showing(request, await _statement(request), wrong_words)
    return RedirectResponse(f"/statements/{statement.id}", 303)


async def propose(request: Request) -> Response:
    """Begin to propose what follows, or go on with it."""
    statement = await _statement(request)
    reason = statement.reason or str(request.state.form.get("reason", "")).strip()
    if not 10 <= len(reason) <= 4000:
        return await _showing(request, statement, "reason: say why, in 10 to 4000 characters")
    seen = str(request.state.form.get("batch", ""))
    if seen != str(statement.batch_id):
        return await _showing(request, statement, "It was matched anew since you looked. Look at what was found now.")
    home = home_of(request)
    if await kept.begin(home, statement.id, reason):
        _works(request).begin(_participant(request, statement), await _statement(request), request.state.visit.person)
    return RedirectResponse(f"/statements/{statement.id}", 303)


async def stop(request: Request) -> Response:
    """Propose nothing more."""
    statement = await _statement(request)
    await kept.stop(home_of(request), statement.id)
    return RedirectResponse(f"/statements/{statement.id}", 303)


async def forget(request: Request) -> Response:
    """Forget a statement."""
    statement = await _statement(request)
    if _works(request).at_work(statement.id):
        raise HTTPException(409, "its decisions are just being proposed; stop that first")
    await kept.forget(home_of(request), statement.id)
    return RedirectResponse("/statements/new", 303)


async def results(request: Request) -> Response:
    """Give out what was found and what came of it, as a file for spreadsheets in which no cell is a formula."""
    statement = await _statement(request)
    home = home_of(request)

    async def text() -> AsyncIterator[str]:
        heading = ("line", "finding", "why", "call", "about", "verb", "outcome", *statement.header)
        yield "\ufeff" + as_csv([list(map(inert_cell, heading))])
        after = 0
        while rows := await kept.page(home, statement.id, None, after, GIVEN_OUT):
            after = rows[-1]["line"]
            yield as_csv(
                [inert_cell(cell) for cell in (
                    row["line"], row["finding"], row["why"], row["call_id"], row["about"], row["verb"],
                    f"refused: {row['outcome']}" if row["refused"] else row["outcome"], *row["cells"],
                )]
                for row in rows
            )  # fmt: skip

    name = f"statement-{statement.id}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(text(), media_type="text/csv; charset=utf-8", headers=headers)


async def _asking(request: Request, asked: Mapping[str, str], wrong: str | None) -> Response:
    participants: Participants = request.app.state.participants
    names = request.state.visit.where("act")
    answers = await participants.ask(names, "statement_providers", {})
    return render(
        request,
        "statement_new.html",
        status=400 if wrong else 200,
        places=sorted(answers.rows, key=lambda row: (row["participant"], row["name"])),
        missing=answers.missing,
        mine=await kept.statements_of(home_of(request), request.state.visit.person_id),
        asked=asked,
        wrong=wrong,
        encodings=ENCODING_NAMES,
        delimiters=DELIMITER_NAMES,
    )


async def _showing(request: Request, statement: Statement, wrong: str | None) -> Response:
    home = home_of(request)
    finding = request.query_params.get("finding")
    finding = finding if finding in FINDINGS else None
    after = request.query_params.get("after", "0")
    rows = await kept.page(
        home, statement.id, finding, int(after) if after.isdecimal() and len(after) < 9 else 0, ROWS + 1
    )
    counted = {row["finding"]: row for row in await kept.summary(home, statement.id)}
    if statement.matched_at is None:
        wrong = wrong or "; ".join(wrong_with(statement.columns, statement.header))
        wrong = wrong or (
            UNEQUAL if statement.columns.amount is not None and statement.columns.direction is None else None
        )
    return render(
        request,
        "statement.html",
        status=400 if wrong and request.method == "POST" else 200,
        statement=statement,
        wrong=wrong,
        roles=NAMES,
        words=sorted(statement.columns.says),
        fields=await _fields(_participant(request, statement), statement.provider, statement.operation),
        findings=[(name, words, counted[name]) for name, words in FINDINGS.items() if name in counted],
        finding=finding,
        items=sum(row["items"] for row in counted.values()),
        done=sum(row["done"] for row in counted.values()),
        refused=sum(row["refused"] for row in counted.values()),
        at_work=_works(request).at_work(statement.id),
        rows=rows[:ROWS],
        more=rows[ROWS - 1]["line"] if len(rows) > ROWS else None,
    )


async def _match(request: Request, statement: Statement, columns: Columns, lines: Sequence[Any]) -> str | None:
    """Match and keep what was found; return what is wrong with the columns, None if nothing."""
    wrong = "; ".join(wrong_with(columns, statement.header))
    found = None
    if not wrong:
        participant = _participant(request, statement)
        try:
            found = await find(participant, statement.provider, statement.operation, statement.header, columns, lines)
        except Unequal as error:
            wrong = str(error)
        except psycopg.Error as error:
            raise HTTPException(503, f"{participant.name} does not answer: {in_words(error)}") from error
    await kept.put(home_of(request), statement.id, columns, found)
    return wrong or None


async def _sheet_of(file: UploadFile | str | None, asked: Mapping[str, str]) -> tuple[str, Sheet]:
    """Return a file's name and what it holds."""
    if not isinstance(file, UploadFile) or not file.filename:
        raise Unreadable("is missing: choose the file of the statement")
    content = await file.read(MOST_BYTES + 1)
    if asked["encoding"] not in ENCODINGS:
        raise Unreadable("has an encoding that is not known here")
    delimiter = {name: mark for mark, name in DELIMITER_NAMES.items()}.get(asked["delimiter"])
    heading = asked["heading"] or "1"
    if not (heading.isdecimal() and 1 <= int(heading[:6]) <= 1000):
        raise Unreadable("heading: the number of the line that names the columns is between 1 and 1000")
    sheet = await asyncio.to_thread(
        read, content, encoding=asked["encoding"], delimiter=delimiter, heading=int(heading[:6])
    )
    return file.filename, sheet


def _columns_of(form: FormData, statement: Statement) -> Columns:
    """Return what a form says of the columns.

    Raises:
        ValidationError: it says something that cannot be.

    """
    said = {name: str(value).strip() or None for name, value in form.items()}
    before = statement.columns
    return Columns.model_validate(
        {
            **{role: said.get(role) for role in NAMES},
            "every_currency": said.get("every_currency"),
            "point": said.get("point") or before.point,
            "day_first": {"day": True, "month": False}.get(said.get("day_first") or ""),
            "direction": said.get("direction"),
            "says": {word: said.get(f"says.{at}") or "unclear" for at, word in enumerate(sorted(before.says))},
            "result": {
                name.removeprefix("result."): value
                for name, value in said.items()
                if name.startswith("result.") and value is not None
            },
        }
    )


def _place_of(request: Request, place: str) -> tuple[Participant, str]:
    """Return the participant and the provider that a person chose."""
    name, _, provider = place.partition(" ")
    participants: Participants = request.app.state.participants
    if not provider or name not in participants or not request.state.visit.may("act", name):
        raise Unreadable("belongs to a provider: choose it")
    return participants[name], provider


async def _fields(participant: Participant, provider: str, operation: str | None) -> dict[str, list[str]]:
    """Return the fields of results, each with the operations that need it."""
    fields: dict[str, list[str]] = {}
    for row in await participant.rows("statement_operations", {"provider": provider, "operation": operation}):
        for path, part in parts(row["result_schema"]).items():
            needed = fields.setdefault(path, [])
            if part.required and part.fixed is None:
                needed.append(row["name"])
    return dict(list(fields.items())[:FIELDS])


async def _statement(request: Request) -> Statement:
    """Return the statement that a page is about.

    Raises:
        HTTPException: 404, the person has none of this id, or may not act at its participant any more.

    """
    visit = request.state.visit
    try:
        found = await kept.statement_of(home_of(request), visit.person_id, UUID(request.path_params["id"]))
    except ValueError:
        found = None
    if (
        found is None
        or found.participant not in request.app.state.participants
        or not visit.may("act", found.participant)
    ):
        raise HTTPException(404, "you have no such statement, or it was forgotten after its time")
    return found


def _participant(request: Request, statement: Statement) -> Participant:
    participants: Participants = request.app.state.participants
    return participants[statement.participant]


def _works(request: Request) -> Works:
    works: Works = request.app.state.works
    return works


ROUTES = (
    Route("GET", "/statements/new", new, "act"),
    Route("POST", "/statements/new", upload, "act", most_bytes=MOST_BYTES + 2**16),
    Route("GET", "/statements/{id}", show, "act"),
    Route("POST", "/statements/{id}/columns", explain, "act"),
    Route("POST", "/statements/{id}/propose", propose, "act"),
    Route("POST", "/statements/{id}/stop", stop, "act"),
    Route("POST", "/statements/{id}/forget", forget, "act"),
    Route("GET", "/statements/{id}/results.csv", results, "act"),
)
