"""Who asks: the token that a program sends, and what it may do. A session's cookie is not looked at."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request

from onceward_relay.console.guard import home_of, record_denied
from onceward_relay.console.home.store import Visit
from onceward_relay.console.participants import Participant, Participants
from onceward_relay.console.routes import Permission

bearer = HTTPBearer(auto_error=False, description="A token that `onceward console token add` or the settings gave out.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


def needs(permission: Permission | None) -> Callable[[Request, Credentials], Awaitable[None]]:
    """Return the check that stands before a route: the token, then the permission where it is asked for."""

    async def check(request: Request, credentials: Credentials) -> None:
        visit = await _visit(request, credentials)
        request.state.visit = visit
        _look_at_query(request)
        participant = request.path_params.get("participant")
        if participant is not None and participant not in participants_of(request):
            raise HTTPException(404, "there is no such participant")
        if permission is None:
            return
        allowed = visit.where(permission) if participant is None else visit.may(permission, participant)
        if not allowed and not (participant is None and visit.may(permission)):
            where = f" at {participant}" if participant else ""
            reason = f"needs the permission to {permission}"
            await record_denied(request, f"{request.method} {request.scope['route'].path}", reason)
            raise HTTPException(403, f"this {reason}, which this token has not{where}")

    return check


def _look_at_query(request: Request) -> None:
    """Refuse a filter that this route has not, or that is given twice: it would be left out in silence."""
    given = [name for name, _ in request.query_params.multi_items()]
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in given:
        if name not in known or given.count(name) > 1:
            known_ones = ", ".join(sorted(known)) or "none"
            why = "is given more than once" if name in known else f"is no filter here; there are {known_ones}"
            raise RequestValidationError([{"type": "query", "loc": ("query", name), "msg": why}])


async def _visit(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Visit:
    if credentials is None:
        raise HTTPException(401, "send a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
    visit = await home_of(request).visit_by_token(credentials.credentials, list(participants_of(request)))
    if visit is None:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, "this token is none, has expired, or was taken back", challenge)
    return visit


def participants_of(request: Request) -> Participants:
    """Return all participants."""
    participants: Participants = request.app.state.participants
    return participants


def visit_of(request: Request) -> Visit:
    """Return who asks."""
    visit: Visit = request.state.visit
    return visit


def participant_of(request: Request) -> Participant:
    """Return the participant of the path; the check has found it."""
    return participants_of(request)[request.path_params["participant"]]


Asking = Annotated[Visit, Depends(visit_of)]
Everybody = Annotated[Participants, Depends(participants_of)]
At = Annotated[Participant, Depends(participant_of)]
