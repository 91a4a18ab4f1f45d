"""One flow: where it stands, its steps, what happens next by itself, what would be undone, and what may be done."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console import timeline
from onceward_relay.console.pages.calls import decided, doable, said, subject_of
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

PARTS = ("flow", "flow_steps", "decisions_about", "history", "incidents_about", "workers")


async def flow(request: Request) -> Response:
    """Show a flow."""
    participant, id_ = subject_of(request)
    parts: dict[str, Any] = await participant.together(PARTS, {"id": id_, "kind": "flow"})
    if not parts["flow"]:
        raise HTTPException(404, f"there is no flow {id_} at {participant.name}")
    row = parts["flow"][0]
    return render(
        request,
        "flow.html",
        **parts | {"flow": row},
        participant=participant.name,
        here=f"/flows/{participant.name}/{id_}",
        sentence=sentence(row),
        trouble=(row["error"] or "").strip().rpartition("\n")[2],
        plan=[step for step in reversed(parts["flow_steps"]) if step["to_undo"]],
        timeline=timeline.of_people(parts["history"]),
        doable=doable("flow", row["verbs"]),
        **decided(parts),
        said=said(request, "flow"),
        live="flow",
        about=f"{participant.name}/{id_}",
        mark=row["version"],
    )


def sentence(row: Mapping[str, Any]) -> str:
    """Return where a flow stands."""
    if row["ended_at"]:
        return f"It has ended as {row['state']}."
    undoing = "It is being undone" if row["undoing"] else "It"
    paused = ", and is paused" if row["paused_at"] else ""
    match row["state"]:
        case "blocked":
            return f"{undoing} {'and stands' if row['undoing'] else 'stands'} still: a person decides{paused}."
        case "waiting":
            waits = ", ".join(row["waits_for"] or ["a time"])
            return f"{undoing} {'and waits' if row['undoing'] else 'waits'} for {waits}{paused}."
        case _:
            return f"{undoing} {'and goes' if row['undoing'] else 'goes'} on by itself{paused}."


ROUTES = (Route("GET", "/flows/{participant}/{id}", flow, "look"),)
