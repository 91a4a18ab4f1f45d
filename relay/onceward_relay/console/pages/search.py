"""Search: whatever somebody has in hand, over all participants at once. One link stands for a business reference."""

from collections import Counter
from hashlib import sha256
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

MOST = 100
"""Of one kind at one participant; the page says when there are more."""
LONGEST = 1024
"""Characters of what is searched for: the longest reference."""


async def search(request: Request) -> Response:
    """Show what goes by a text, by participant and in the order of time."""
    text = request.query_params.get("q", "").strip()
    if len(text) > LONGEST or "\0" in text:
        raise HTTPException(400, f"q: at most {LONGEST} characters are searched for, and no NUL")
    names = request.state.visit.where("look")
    if not text:
        return render(request, "search.html", q="", groups={}, capped=[], asked_of=names)
    participants: Participants = request.app.state.participants
    answers = await participants.ask(names, "search", wanted(text))
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in answers.rows:
        groups.setdefault(row["participant"], []).append(row)
    kinds = Counter((row["participant"], row["kind"]) for row in answers.rows)
    return render(
        request,
        "search.html",
        q=text,
        groups=dict(sorted(groups.items())),
        capped=sorted(f"{kind}s of {name}" for (name, kind), number in kinds.items() if number >= MOST),
        missing=answers.missing,
        asked_of=names,
    )


def wanted(text: str) -> dict[str, Any]:
    """Return what the query takes: the text itself, as a message's key, and as an id if it is one."""
    key = text.encode()
    try:
        id_ = UUID(text)
    except ValueError:
        id_ = None
    return {"text": text, "id": id_, "key": key, "key_hash": sha256(key).digest(), "most": MOST}


ROUTES = (Route("GET", "/search", search, "look"),)
