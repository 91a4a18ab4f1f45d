"""People and their roles, for an admin of all participants."""

import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.guard import home_of
from onceward_relay.console.home import people
from onceward_relay.console.pages.settings import ROLES, back, page
from onceward_relay.console.routes import Endpoint, Route

log = logging.getLogger(__name__)
Act = Callable[[Request, UUID], Awaitable[str]]


def changing(act: Act) -> Endpoint:
    """Return what a form about a person does; what is refused is told on the page."""

    async def change(request: Request) -> Response:
        try:
            person = UUID(str(request.state.form.get("person", "")))
        except ValueError:
            raise HTTPException(400, "person: choose one of the list") from None
        if person not in {row["id"] for row in await people.everybody(home_of(request))}:
            raise HTTPException(404, "person: there is no such person")
        try:
            done = await act(request, person)
        except people.NotPossible as error:
            return await page(request, status=409, form="people", wrong=f"{error} Nothing was changed.")
        log.warning("%s has %s person %s", request.state.visit.person, done, person)
        return back(done, "people")

    change.__name__ = act.__name__
    return change


async def give(request: Request, person: UUID) -> str:
    """Give a role."""
    await people.give_role(home_of(request), person, *_role(request), request.state.visit.person)
    return "given"


async def take(request: Request, person: UUID) -> str:
    """Take a role away."""
    await people.take_role(home_of(request), person, *_role(request))
    return "taken"


async def disable(request: Request, person: UUID) -> str:
    """Let a person enter no more."""
    if person == request.state.visit.person_id:
        raise people.NotPossible("You would lock yourself out; let another admin do it.")
    await people.disable(home_of(request), person)
    return "disabled"


async def enable(request: Request, person: UUID) -> str:
    """Let a person enter again."""
    await people.enable(home_of(request), person)
    return "enabled"


def _role(request: Request) -> tuple[str, str]:
    """Return participant and role of a form. One that the console is not told of any more can still be taken away."""
    participant, role = (str(request.state.form.get(name, ""))[:200] for name in ("participant", "role"))
    if role not in ROLES:
        raise HTTPException(400, f"role: choose one of {', '.join(ROLES)}")
    taken = request.url.path.endswith("/take")
    if not taken and participant != "*" and participant not in request.app.state.participants:
        raise HTTPException(400, "participant: choose one that the console knows, or * for all")
    return participant, role


ROUTES = tuple(
    Route("POST", f"/settings/people/{act.__name__}", changing(act), "manage", everywhere=True)
    for act in (give, take, disable, enable)
)
