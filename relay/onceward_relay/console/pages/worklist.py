"""The worklist: what waits for a person, in groups and one by one. Its filters are its URL."""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.cursor import after, cursor
from onceward_relay.console.filters import KINDS, SEVERITIES, Filters
from onceward_relay.console.guard import home_of
from onceward_relay.console.pages.views import views_of
from onceward_relay.console.participants import Answers, Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROWS = 50
"""On one page."""
GROUPS = 100
"""Groups of one participant at most; a page says when there are more."""
LOOKED_AT = 50_000
"""Open incidents of one participant that groups are counted from; a page says when there are more."""


async def worklist(request: Request) -> Response:
    """Show what is open."""
    filters = Filters.read(request.query_params)
    participants: Participants = request.app.state.participants
    visit = request.state.visit
    names = filters.of(visit.where("look"))
    wanted = filters.parameters(visit.person)
    place = after(request.query_params.get("after"))
    # Before the list is read: what changes meanwhile is shown once more, and never missed.
    seen = request.app.state.live.mark("worklist", [(name, "worklist", None) for name in visit.where("look")])
    # Whoever looks at one group, or turns pages, has seen the groups.
    grouped = [] if filters.asked["group"] or place["after_id"] else names
    groups, rows, views = await asyncio.gather(
        participants.ask(grouped, "worklist_groups", {**wanted, "most": LOOKED_AT, "groups": GROUPS + 1}),
        participants.ask(names, "worklist", {**wanted, **place, "limit": ROWS + 1}),
        views_of(home_of(request), visit),
    )
    shown = sorted(rows.rows, key=lambda row: (row["severity"], row["opened_at"], row["id"]))[: ROWS + 1]
    more = cursor(shown[ROWS - 1]) if len(shown) > ROWS else None
    return render(
        request,
        "worklist.html",
        missing=groups.missing | rows.missing,
        groups=_groups(groups),
        capped=any(count > GROUPS for count in Counter(row["participant"] for row in groups.rows).values()),
        rows=shown[:ROWS],
        asked=filters.asked,
        query=filters.query,
        more=f"{filters.query}&{urlencode({'after': more})}".lstrip("&") if more else None,
        asked_of=names,
        views=views,
        kinds=KINDS,
        severities=SEVERITIES,
        live="worklist",
        mark=seen,
        tour=request.app.state.tour,
    )


def _groups(answers: Answers) -> list[dict[str, Any]]:
    """Return the groups, the most severe first, as each participant has them: amounts are not added."""
    return sorted(answers.rows, key=lambda row: (row["severity"], row["oldest"]))[:GROUPS]


ROUTES = (Route("GET", "/", worklist, "look"),)
