"""The worklist: what waits for a person, in groups and one by one. Its filters are its URL."""

import asyncio
from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.cursor import after, cursor
from onceward_relay.console.participants import Answers, Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROWS = 50
"""On one page."""
GROUPS = 100
"""Groups of one participant at most; a page says when there are more."""
FILTERS = ("participant", "group", "kind", "ref", "assignee", "snoozed")


async def worklist(request: Request) -> Response:
    """Show what is open."""
    asked = {name: request.query_params.get(name, "").strip() or None for name in FILTERS}
    participants: Participants = request.app.state.participants
    may_look = request.state.visit.where("look")
    names = [name for name in may_look if asked["participant"] in (None, name)]
    groups, rows = await asyncio.gather(
        participants.ask(names, "incident_groups", {"limit": GROUPS + 1}),
        participants.ask(names, "worklist", _wanted(asked, request)),
    )
    shown = sorted(rows.rows, key=lambda row: (row["severity"], row["opened_at"], row["id"]))[: ROWS + 1]
    more = cursor(shown[ROWS - 1]) if len(shown) > ROWS else None
    kept = {name: value for name, value in asked.items() if value is not None}
    return render(
        request,
        "worklist.html",
        missing=groups.missing | rows.missing,
        groups=_groups(groups),
        capped=any(count > GROUPS for count in _counted(groups).values()),
        rows=shown[:ROWS],
        asked=asked,
        query=urlencode(kept),
        more=urlencode({**kept, "after": more}) if more else None,
        asked_of=names,
    )


def _wanted(asked: dict[str, str | None], request: Request) -> dict[str, Any]:
    assignee = asked["assignee"]
    named = {"me": request.state.visit.person, "nobody": None}.get(assignee or "", assignee)
    return {
        "group": asked["group"],
        "kind": asked["kind"],
        "ref": asked["ref"],
        "assignee": named,
        "free": assignee == "nobody",
        "snoozed": asked["snoozed"] is not None,
        "limit": ROWS + 1,
        **after(request.query_params.get("after")),
    }


def _groups(answers: Answers) -> list[dict[str, Any]]:
    """Return the groups, the most severe first, as each participant has them: amounts are not added."""
    return sorted(answers.rows, key=lambda row: (row["severity"], row["oldest"]))[:GROUPS]


def _counted(answers: Answers) -> dict[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for row in answers.rows:
        counted[row["participant"]] += 1
    return counted


ROUTES = (Route("GET", "/", worklist, "look"),)
