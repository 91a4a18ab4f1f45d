"""What pages with forms have in common: what was typed, and where one goes from there."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from psycopg.rows import DictRow
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.deciding import Refused, Unanswered, decide
from onceward_relay.console.participants import Participant
from onceward_relay.console.typed import Typed
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.documents import MOST

LONGEST_ADDRESS = 4000


async def typed_of(request: Request) -> Typed:
    """Return what somebody typed into the form that was sent."""
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in request.state.form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read(MOST + 1)
        else:
            texts[name] = value
    return Typed(texts, files)


def blank(**texts: Any) -> Typed:
    """Return a form that nobody has typed anything into, with an identity of its own."""
    return Typed({"decision": str(uuid4()), **{name: str(text) for name, text in texts.items()}})


def attempt_of(request: Request, action: str, kind: str, subject: object, reason: str = "") -> Attempt:
    """Return what the person who is logged in tries to do."""
    return Attempt(request.state.visit.person, action, kind, str(subject), reason)


async def do(request: Request, attempt: Attempt, function: str, **arguments: Any) -> list[DictRow]:
    """Call a function of the participant as the person, for the reason that the form gives, and return its rows.

    Raises:
        HTTPException: it was refused, or the participant does not answer.

    """
    tried = replace(attempt, reason=str(request.state.form.get("reason", "")).strip())
    given = {**arguments, "actor": tried.actor, "reason": tried.reason}
    try:
        return await decide(participant_of(request), tried, (function, given))
    except (Refused, Unanswered) as error:
        raise as_page(error) from error


def participant_of(request: Request) -> Participant:
    """Return the participant that an address names.

    Raises:
        HTTPException: 404, there is none of that name.

    """
    try:
        found: Participant = request.app.state.participants[request.path_params["participant"]]
    except KeyError:
        raise HTTPException(404, "there is no such participant") from None
    return found


def back_to(to: str, otherwise: str) -> Response:
    """Return to a page of the console, whatever was asked for: a form leads to no other site."""
    return RedirectResponse(inside(to, otherwise), 303)


def inside(to: str, otherwise: str = "/") -> str:
    """Return an address if it is one of the console's own pages."""
    try:
        parts = urlsplit(to)
    except ValueError:
        return otherwise
    foreign = parts.scheme or parts.netloc or not to.startswith("/") or to.startswith(("//", "/\\"))
    return otherwise if foreign or not to.isprintable() or len(to) > LONGEST_ADDRESS else to


def as_page(error: Refused | Unanswered) -> HTTPException:
    """Return a refusal as a page of its own, where there is no form to be shown again."""
    if isinstance(error, Refused):
        return HTTPException(error.status, f"{error.words}. Nothing was changed.")
    return HTTPException(503, f"{error.words}.")
