"""The audit: what people did, the newest first, and how far the chain is verified."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.chains import Chains
from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

ROWS = 50
FILTERS = ("participant", "actor", "action", "subject")
LONGEST_PLACE = 20_000
"""Characters of a place in the list: a number for each participant."""


async def audit(request: Request) -> Response:
    """Show entries of all participants, and go on verifying their chains in the background."""
    asked = {name: request.query_params.get(name, "").strip() or None for name in FILTERS}
    if any("\0" in (value or "") for value in asked.values()):
        raise HTTPException(400, "a filter holds a character that no text has")
    participants: Participants = request.app.state.participants
    chains: Chains = request.app.state.chains
    names = [name for name in request.state.visit.where("look") if asked["participant"] in (None, name)]
    for name in names:
        chains.follow(name)
    before = _before(request.query_params.get("before"))
    wanted = {name: asked[name] for name in ("actor", "action", "subject")}
    own = {name: {"before": before.get(name)} for name in names}
    entries, newest = await asyncio.gather(
        participants.ask(names, "audit_page", {**wanted, "limit": ROWS + 1}, own),
        participants.ask(names, "audit_newest", {}),
    )
    rows = sorted(entries.rows, key=lambda row: (row["at"], row["participant"], row["no"]), reverse=True)
    kept = {name: value for name, value in asked.items() if value is not None}
    heads = {row["participant"]: row["no"] for row in newest.rows}
    return render(
        request,
        "audit.html",
        missing=entries.missing | newest.missing,
        rows=rows[:ROWS],
        more=urlencode({**kept, "before": _place(before, rows[:ROWS])}) if len(rows) > ROWS else None,
        asked=asked,
        filtered=bool(kept),
        chains=[(name, chains.of(name), chains.under_way(name), heads.get(name, 0)) for name in names],
        asked_of=names,
    )


async def verify(request: Request) -> Response:
    """Verify a participant's chain from its first entry on."""
    request.app.state.chains.follow(request.path_params["participant"], anew=True)
    return RedirectResponse("/audit", 303)


def _place(before: dict[str, int], shown: list[dict[str, Any]]) -> str:
    """Return where each participant's next page begins; one of whom nothing was shown stays where it was."""
    lowest = {**before, **{row["participant"]: row["no"] for row in shown}}
    return urlsafe_b64encode(json.dumps(lowest).encode()).decode()


def _before(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    try:
        place = json.loads(urlsafe_b64decode(text[:LONGEST_PLACE].encode()))
        numbers = {str(name): int(number) for name, number in place.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        numbers = {"": -1}
    if not all(0 < number < 2**63 for number in numbers.values()):
        raise HTTPException(400, "before: is no place in this list; begin at its first page")
    return numbers


ROUTES = (
    Route("GET", "/audit", audit, "look"),
    Route("POST", "/audit/{participant}/verify", verify, "look"),
)
