"""One call: what is known, why nothing was sent again, what may be done and why not the rest."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.participants import Participant
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

PARTS = ("call", "call_attempts", "call_undos", "call_evidence", "decisions_about", "history")


async def call(request: Request) -> Response:
    """Show a call."""
    participant, id_ = subject_of(request)
    parts: dict[str, Any] = await participant.together(PARTS, {"id": id_, "kind": "call"})
    if not parts["call"]:
        raise HTTPException(404, f"there is no call {id_} at {participant.name}")
    return render(request, "call.html", **parts | {"call": parts["call"][0]}, participant=participant.name)


def subject_of(request: Request) -> tuple[Participant, UUID]:
    """Return which call or flow of which participant a page is about.

    Raises:
        HTTPException: 404, there is no such participant, or the id is none.

    """
    known: Mapping[str, Any] = request.app.state.participants
    try:
        return known[request.path_params["participant"]], UUID(request.path_params["id"])
    except (KeyError, ValueError):
        raise HTTPException(404, "there is no such page") from None


ROUTES = (Route("GET", "/calls/{participant}/{id}", call, "look"),)
