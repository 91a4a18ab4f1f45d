"""One call: what is known, why nothing was sent again, what may be done and why not the rest."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console import timeline
from onceward_relay.console.participants import Participant
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route
from onceward_relay.console.verbs import ALWAYS, VERBS, Verb, verbs_of
from onceward_relay.people import why

PARTS = (
    "call", "call_attempts", "call_undos", "call_evidence", "decisions_about", "history", "incidents_about", "workers",
)  # fmt: skip
OPEN = ("proposed", "approved")
"""States of decisions that are not carried out yet."""


async def call(request: Request) -> Response:
    """Show a call."""
    participant, id_ = subject_of(request)
    parts: dict[str, Any] = await participant.together(PARTS, {"id": id_, "kind": "call"})
    if not parts["call"]:
        raise HTTPException(404, f"there is no call {id_} at {participant.name}")
    row = parts["call"][0]
    return render(
        request,
        "call.html",
        **parts | {"call": row},
        participant=participant.name,
        here=f"/calls/{participant.name}/{id_}",
        terms=why.terms(row),
        timeline=timeline.of_call(row, parts["call_attempts"], parts["call_evidence"], parts["history"]),
        doable=doable("call", row["verbs"], purged=row["purged_at"] is not None),
        **decided(parts),
        said=said(request, "call"),
        live="call",
        about=f"{participant.name}/{id_}",
        mark=row["version"],
    )


def doable(kind: Any, verbs: list[dict[str, Any]], *, purged: bool = False) -> list[dict[str, Any]]:
    """Return the verbs of a call or flow with whether each is possible now, those first; and why the others are not."""
    known = {each["verb"]: each for each in verbs}
    found = [
        {"verb": verb, "allowed": each["allowed"], "why": each["why"]}
        for verb in verbs_of(kind)
        if (each := known.get(verb.name) or _always(verb, purged=purged)) is not None
    ]
    return sorted(found, key=lambda each: not each["allowed"])


def _always(verb: Verb, *, purged: bool) -> dict[str, Any] | None:
    if verb.name not in ALWAYS[verb.kind]:
        return None
    possible = verb.name != "reveal" or not purged
    return {"allowed": possible, "why": verb.happens if possible else "its contents were purged"}


def decided(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision that is open, the ones that have ended, and the worker that was seen last."""
    decisions = parts["decisions_about"]
    return {
        "open_decision": next((each for each in decisions if each["state"] in OPEN), None),
        "ended_decisions": [each for each in reversed(decisions) if each["state"] not in OPEN],
        "worker": next(iter(parts["workers"]), None),
    }


def said(request: Request, kind: str) -> str | None:
    """Return what became of the form that led here."""
    done = request.query_params.get("done", "")
    if done == "again":
        return "This form was sent before; what became of it stands below."
    verb = VERBS.get((kind, done))
    if verb is None:
        return None
    if verb.proposes:
        return f"“{verb.title}” is recorded; below stands who has to agree, and what becomes of it."
    return {
        "note": "Your note is in the audit.",
        "evidence": "Your evidence is kept.",
        "pause": "It is paused.",
        "resume": "A worker takes it up again.",
    }.get(verb.name, f"“{verb.title}” is asked for; a worker does it, and what comes of it stands below.")


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
