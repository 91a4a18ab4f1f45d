"""Providers: what they offer, what is in doubt, who calls them, and the switch that stops one."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.pages.forms import attempt_of, do
from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

COUNTED = 50_000
"""Calls in doubt of one provider at most; a page says when there are more."""
NEWEST = 5000
"""Calls of the last day that the doubt rate is told from."""


async def providers(request: Request) -> Response:
    """Show the providers of every participant."""
    participants: Participants = request.app.state.participants
    names = request.state.visit.where("look")
    answers = await participants.ask(names, "provider_figures", {"most": COUNTED, "newest": NEWEST})
    for row in answers.rows:
        for worker in row["workers"] or ():
            worker["seen_at"] = datetime.fromisoformat(worker["seen_at"])
    return render(
        request,
        "providers.html",
        missing=answers.missing,
        rows=sorted(answers.rows, key=_troubled_first),
        asked_of=names,
        said=_said(request),
    )


def _troubled_first(row: dict[str, Any]) -> tuple[bool, bool, str, str]:
    return row["stopped_at"] is None, row["in_doubt"] == 0, row["participant"], row["name"]


def _said(request: Request) -> str | None:
    """Return what became of the form that led here."""
    asked = request.query_params
    name, done, woken = asked.get("provider", "")[:200], asked.get("done"), asked.get("woken", "")
    if done == "stopped":
        return f"{name} is stopped: new calls are recorded and wait. What is on its way is not called back."
    if done == "started":
        return f"{name} is started; {int(woken) if woken.isdecimal() else 0:,} calls that waited go now."
    return None


async def stop(request: Request) -> Response:
    """Have nothing more sent to a provider."""
    name = _named(request)
    await do(request, attempt_of(request, "stop", "provider", name), "stop_provider", provider=name)
    return _back(name, done="stopped")


async def start(request: Request) -> Response:
    """Let calls go to a provider again."""
    name = _named(request)
    rows = await do(request, attempt_of(request, "start", "provider", name), "start_provider", provider=name)
    return _back(name, done="started", woken=rows[0]["start_provider"])


def _named(request: Request) -> str:
    return str(request.state.form.get("provider", ""))


def _back(name: str, **said: Any) -> Response:
    return RedirectResponse(f"/providers?{urlencode({'provider': name, **said})}", 303)


ROUTES = (
    Route("GET", "/providers", providers, "look"),
    Route("POST", "/providers/{participant}/stop", stop, "manage"),
    Route("POST", "/providers/{participant}/start", start, "manage"),
)
