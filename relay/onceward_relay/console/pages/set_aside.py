"""One message that was set aside, or one hold: what is known of it, and what a person may do."""

from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.pages.forms import attempt_of, do, participant_of
from onceward_relay.console.pages.messages import DONE, number
from onceward_relay.console.participants import Participant
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROWS = 100
"""Messages of a hold on one page."""
LONGEST = 200_000
"""Characters of a revealed payload that a page shows."""


async def parked(request: Request) -> Response:
    """Show an incoming message that failed."""
    participant = participant_of(request)
    return _shown(request, participant, "parked.html", await _parked(request, participant))


async def held(request: Request) -> Response:
    """Show an outgoing message that Kafka refused, or that waits behind one."""
    participant = participant_of(request)
    return _shown(request, participant, "held.html", await _held(request, participant))


async def hold(request: Request) -> Response:
    """Show a hold with what waits in it, in order."""
    participant, id_ = participant_of(request), _hold_id(request)
    found = await participant.rows("hold", {"hold": id_})
    if not found:
        raise HTTPException(404, f"there is no hold {id_} at {participant.name}; it may have been released")
    place = {"hold": id_, "after": number(request.query_params.get("after")), "limit": ROWS + 1}
    rows = await participant.rows("messages_of_hold", place)
    more = rows[ROWS - 1]["id"] if len(rows) > ROWS else None
    done = DONE.get(request.query_params.get("done", ""))
    return render(
        request, "hold.html", hold=found[0], participant=participant.name, rows=rows[:ROWS], more=more, done=done
    )


async def retry(request: Request) -> Response:
    """Have an incoming message handled again now."""
    return await _done(request, "retry", "retry_parked", "retry")


async def discard(request: Request) -> Response:
    """Leave an incoming message out."""
    return await _done(request, "discard", "discard_parked", "discard")


async def resend(request: Request) -> Response:
    """Put an outgoing message without a key back into the outbox."""
    return await _decided(request, "retry", "retry_message", "resend")


async def skip(request: Request) -> Response:
    """Leave an outgoing message out."""
    return await _decided(request, "skip", "skip_message", "skip")


async def release(request: Request) -> Response:
    """Let the relay send what waits in a hold."""
    id_ = _hold_id(request)
    await do(request, attempt_of(request, "retry", "held", id_), "release_hold", hold=id_)
    return RedirectResponse("/messages?done=release", 303)


async def reveal_parked(request: Request) -> Response:
    """Show what an incoming message holds; the audit says to whom and why."""
    participant = participant_of(request)
    return await _revealed(request, participant, "parked", "parked.html", await _parked(request, participant))


async def reveal_held(request: Request) -> Response:
    """Show what an outgoing message holds; the audit says to whom and why."""
    participant = participant_of(request)
    return await _revealed(request, participant, "held", "held.html", await _held(request, participant))


async def _revealed(request: Request, participant: Participant, kind: str, template: str, row: Any) -> Response:
    which = row["seq"] if kind == "parked" else row["id"]
    attempt = attempt_of(request, "reveal", "message", row["message_id"] or which)
    parts = await do(request, attempt, "reveal_message", kind=kind, message=which)
    contents = [(part["what"], bytes(part["content"]).decode("utf-8", "backslashreplace")) for part in parts]
    return _shown(request, participant, template, row, contents)


def _shown(
    request: Request, participant: Participant, template: str, row: Any, contents: list[tuple[str, str]] | None = None
) -> Response:
    cut = [(what, text[:LONGEST], len(text) > LONGEST) for what, text in contents or ()]
    done = DONE.get(request.query_params.get("done", ""))
    return render(request, template, row=row, participant=participant.name, contents=cut, done=done)


async def _done(request: Request, action: str, function: str, said: str) -> Response:
    which = _number(request)
    await do(request, attempt_of(request, action, "message", which), function, message=which)
    return RedirectResponse(f"/messages?done={said}", 303)


async def _decided(request: Request, action: str, function: str, said: str) -> Response:
    """Decide about an outgoing message, which the schema's functions know by its id."""
    row = await _held(request, participant_of(request))
    await do(request, attempt_of(request, action, "message", row["message_id"]), function, message=row["message_id"])
    return RedirectResponse(f"/messages?done={said}", 303)


async def _parked(request: Request, participant: Participant) -> Any:
    return await _one(participant, "parked_message", seq=_number(request))


async def _held(request: Request, participant: Participant) -> Any:
    return await _one(participant, "held_one", id=_number(request))


async def _one(participant: Participant, query: str, **which: Any) -> Any:
    rows = await participant.rows(query, which)
    if not rows:
        raise HTTPException(404, f"no such message is set aside at {participant.name}; it may have been settled")
    return rows[0]


def _number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise HTTPException(404, "there is no such page")
    return int(text)


def _hold_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["hold"])
    except ValueError:
        raise HTTPException(404, "there is no such page") from None


ROUTES = (
    Route("GET", "/messages/{participant}/parked/{number}", parked, "look"),
    Route("POST", "/messages/{participant}/parked/{number}/retry", retry, "act"),
    Route("POST", "/messages/{participant}/parked/{number}/discard", discard, "act"),
    Route("POST", "/messages/{participant}/parked/{number}/reveal", reveal_parked, "reveal"),
    Route("GET", "/messages/{participant}/held/{number}", held, "look"),
    Route("POST", "/messages/{participant}/held/{number}/resend", resend, "act"),
    Route("POST", "/messages/{participant}/held/{number}/skip", skip, "act"),
    Route("POST", "/messages/{participant}/held/{number}/reveal", reveal_held, "reveal"),
    Route("GET", "/messages/{participant}/holds/{hold}", hold, "look"),
    Route("POST", "/messages/{participant}/holds/{hold}/release", release, "act"),
)
