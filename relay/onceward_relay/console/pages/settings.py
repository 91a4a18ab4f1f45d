"""Settings: who may what, how many have to agree, how people are told, and what is one's own."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.guard import cookie_name, home_of
from onceward_relay.console.home import people, sessions, tokens
from onceward_relay.console.home.store import Visit
from onceward_relay.console.participants import Answers, Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROLES = ("viewer", "operator", "approver", "admin")
LASTS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
"""How long a token counts, in days."""
DENIALS = 20
"""Of each participant's audit."""
SAID = {
    "password": "You have another password; your other sessions have ended.",
    "session": "The session has ended.",
    "sessions": "Your other sessions have ended.",
    "revoked": "The token counts no more.",
    "given": "The role is given.",
    "taken": "The role is taken away.",
    "disabled": "That person may not enter any more; their sessions have ended.",
    "enabled": "That person may enter again.",
    "rule": "The rule is set.",
    "dropped": "The rule is gone.",
    "solo": "How one person decides is set.",
}


async def settings(request: Request) -> Response:
    """Show the settings."""
    return await page(request, said=SAID.get(request.query_params.get("done", "")))


async def page(
    request: Request, *, status: int = 200, said: str | None = None, wrong: str | None = None,
    form: str = "", typed: Mapping[str, str] | None = None, token: str | None = None,
) -> Response:  # fmt: skip
    """Return the page: with what was done, or with what is wrong in which form, in which all that was typed stays."""
    visit: Visit = request.state.visit
    home = home_of(request)
    participants: Participants = request.app.state.participants
    looks = visit.where("look")
    manages = visit.may("manage")
    session = request.cookies.get(cookie_name(request.app), "")
    by_place = [asyncio.create_task(participants.ask(looks, query, {})) for query in QUERIES]
    denials = participants.ask(visit.where("manage"), "audit_page", {**NO_FILTER, "limit": DENIALS})
    answers = [*await asyncio.gather(*by_place), await denials]
    rules, solo, told, known, denied = answers
    return render(
        request,
        "settings.html",
        status=status,
        missing={name: why for answer in answers for name, why in answer.missing.items()},
        places=[_place(name, rules, solo, known) for name in looks if name not in rules.missing],
        told=sorted(told.rows, key=lambda row: row["created_at"], reverse=True)[:DENIALS],
        denied_there=sorted(denied.rows, key=lambda row: row["at"], reverse=True)[:DENIALS],
        denied_here=await sessions.denied(home) if manages else [],
        people=await people.everybody(home) if manages else None,
        sessions=await sessions.of_person(home, visit.person_id, session),
        tokens=await tokens.of_person(home, visit.person_id),
        roles=ROLES, lasts=LASTS, manages=manages, once=str(uuid4()),
        said=said, wrong=wrong, form=form, typed=typed or {}, token=token,
    )  # fmt: skip


QUERIES = ("rules", "solo", "notifications_recent", "providers_known")
NO_FILTER = {"actor": None, "action": "denied", "subject": None, "before": None}


def back(done: str, at: str = "") -> Response:
    """Return to the settings, which say what was done."""
    return RedirectResponse(f"/settings?done={done}{f'#{at}' if at else ''}", 303)


def _place(name: str, rules: Answers, solo: Answers, known: Answers) -> dict[str, Any]:
    """Return what one participant's part of the page shows."""
    alone = next((row for row in solo.rows if row["participant"] == name), None)
    return {
        "name": name,
        "rules": [row for row in rules.rows if row["participant"] == name],
        "solo": bool(alone and alone["value"] is True),
        "solo_by": alone,
        "known": [row for row in known.rows if row["participant"] == name],
    }


ROUTES = (Route("GET", "/settings", settings, None),)
