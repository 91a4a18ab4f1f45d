"""Server-sent events: an open page hears that what it shows has changed, and fetches it anew."""

import json
from collections.abc import AsyncIterator
from typing import Any, get_args
from uuid import UUID

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.guard import cookie_name
from onceward_relay.console.home.store import hashed
from onceward_relay.console.live import Hub, Page, TooMany, Topic
from onceward_relay.console.routes import Route

PING = 25
"""Seconds between two signs of life, for proxies that close what is silent."""
SLOWEST = 10.0
"""Seconds that a page has to take what is sent."""


async def events(request: Request) -> Response:
    """Tell a page of changes: `page` is what it shows, `about` a call or flow as PARTICIPANT/ID."""
    hub: Hub = request.app.state.live
    visit = request.state.visit
    page, topics = topics_of(request, request.query_params.get("page", ""), request.query_params.get("about"))
    token = request.cookies.get(cookie_name(request.app), "")
    try:
        states = await hub.listen(visit, hashed(token), page, topics)
    except TooMany:
        raise HTTPException(429, "so many pages of yours are open that this one is not kept up to date") from None
    return EventSourceResponse(_told(states), ping=PING, send_timeout=SLOWEST)


def topics_of(request: Request, page: str, about: str | None) -> tuple[Page, frozenset[Topic]]:
    """Return what a page is told of.

    Raises:
        HTTPException: 400, it is no page that changes; 404, there is no such participant, or no right to look at it.

    """
    if page not in get_args(Page):
        raise HTTPException(400, f"page: is none of {', '.join(get_args(Page))}")
    names = request.state.visit.where("look")
    topics: set[Topic] = {(name, "approvals", None) for name in names}
    if page == "worklist":
        topics |= {(name, "worklist", None) for name in names}
    elif page in ("call", "flow"):
        name, _, text = (about or "").rpartition("/")
        if name not in names:
            raise HTTPException(404, "there is no such page")
        try:
            topics.add((name, page, UUID(text)))
        except ValueError:
            raise HTTPException(404, "there is no such page") from None
    return page, frozenset(topics)  # type: ignore[return-value]  # it is one of them


async def _told(states: AsyncIterator[dict[str, Any]]) -> AsyncIterator[ServerSentEvent]:
    async for state in states:
        yield ServerSentEvent(json.dumps(state), event="end" if "end" in state else "state")


ROUTES = (Route("GET", "/events", events, "look"),)
