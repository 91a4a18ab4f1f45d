"""Approvals: what waits for another person, what one has proposed, and what was decided of late."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.bulk_work import BulkWork
from onceward_relay.console.deciding import Refused, Unanswered, at_once, decide
from onceward_relay.console.home.bulk import Bulks, Item
from onceward_relay.console.pages.calls import OPEN, subject_of
from onceward_relay.console.pages.forms import attempt_of, blank, typed_of
from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Endpoint, Permission, Route
from onceward_relay.console.typed import Typed
from onceward_relay.people.verdict import verdict
from onceward_relay.people.words import money

SHOWN = 60
"""Decisions of one participant on a page."""
BATCHES = 100
COUNTED = 50_000
"""Decisions of one participant that batches are counted from."""
RECENT = 50
MOST = 10_000
"""Decisions of a batch that are agreed to at once."""
STATES = ("proposed", "approved", "applied", "failed", "rejected", "withdrawn", "stale")
STEPS: dict[str, Permission] = {"approve": "approve", "reject": "approve", "withdraw": "act"}
"""What may become of what was proposed, and what it needs."""


async def approvals(request: Request) -> Response:
    """Show decisions of all participants."""
    participants: Participants = request.app.state.participants
    names, who = request.state.visit.where("look"), {"person": request.state.visit.person}
    if (wanted := request.query_params.get("batch")) is not None:
        return await _to_batch(participants, names, wanted)
    seen = request.app.state.live.mark("approvals", [(name, "approvals", None) for name in names])
    single, batches, recent = await asyncio.gather(
        participants.ask(names, "decisions_open", {**who, "limit": SHOWN + 1}),
        participants.ask(names, "batches_open", {**who, "limit": BATCHES, "most": COUNTED}),
        participants.ask(names, "decisions_recent", {"limit": RECENT}),
    )
    rows = sorted(single.rows, key=lambda row: (row["proposed_at"], row["id"]))
    return render(
        request,
        "approvals.html",
        live="approvals",
        mark=seen,
        missing=single.missing | batches.missing | recent.missing,
        waiting=[row for row in rows if not row["mine"] and row["state"] == "proposed"],
        carried=[row for row in rows if not row["mine"] and row["state"] == "approved"],
        mine=[row for row in rows if row["mine"]],
        batches=sorted((row for row in batches.rows if not row["mine"]), key=lambda row: row["since"]),
        my_batches=sorted((row for row in batches.rows if row["mine"]), key=lambda row: row["since"]),
        recent=sorted(recent.rows, key=lambda row: row["decided_at"], reverse=True)[:RECENT],
        capped=[name for name in names if sum(row["participant"] == name for row in rows) > SHOWN],
        asked_of=names,
    )


async def _to_batch(participants: Participants, names: list[str], batch: str) -> Response:
    """Return where a batch is: its id alone says nothing of the participant."""
    try:
        found = await participants.ask(names, "batch", {"id": UUID(batch), "states": list(STATES), "limit": 1})
    except ValueError:
        raise HTTPException(404, "there is no such batch") from None
    if not found.rows:
        missing = f"; {', '.join(found.missing)} did not answer" if found.missing else ""
        raise HTTPException(404, f"no decision of the batch {batch} was proposed yet{missing}")
    return RedirectResponse(f"/approvals/{found.rows[0]['participant']}/batches/{batch}", 303)


async def decision(request: Request) -> Response:
    """Show one decision: what is to be done, why, and what it rests on."""
    return await _page(request, blank())


async def _page(request: Request, typed: Typed, *, status: int = 200, words: str | None = None) -> Response:
    participant, id_ = subject_of(request)
    rows = await participant.rows("decision", {"id": id_})
    if not rows:
        raise HTTPException(404, f"there is no decision {id_} at {participant.name}")
    row = rows[0]
    kind, subject = ("call", row["call_id"]) if row["call_id"] else ("flow", row["flow_id"])
    parts: dict[str, Any] = await participant.together((kind, "workers"), {"id": subject})
    about = parts[kind][0]
    visit = request.state.visit
    mine = _person(row["proposed_by"]) == _person(visit.person)
    possible = [
        step
        for step, permission in STEPS.items()
        if visit.may(permission, participant.name)
        and (step == "withdraw") == mine
        and row["state"] in (("proposed",) if step == "approve" else OPEN)
    ]
    return render(
        request,
        "decision.html",
        status=status,
        participant=participant.name,
        row=row,
        kind=kind,
        about=about,
        verdict=verdict(about) if kind == "call" else None,
        changed=about["version"] != row["seen_version"] and row["state"] == "proposed",
        worker=next(iter(parts["workers"]), None),
        possible=possible,
        mine=mine,
        typed=typed.texts,
        mistakes=typed.mistakes,
        words=words,
    )


def stepping(step: str) -> Endpoint:
    """Return what agrees to a decision, or stops it."""

    async def take(request: Request) -> Response:
        participant, id_ = subject_of(request)
        typed = await typed_of(request)
        reason = typed.reason()
        if typed.mistakes:
            return await _page(request, typed, status=400)
        attempt = attempt_of(request, step, "decision", id_, reason)
        call = at_once(step, "call", id_, attempt.actor, reason)
        try:
            await decide(participant, attempt, call)
        except Refused as refused:
            return await _page(request, typed, status=refused.status, words=refused.words)
        except Unanswered as silent:
            return await _page(request, typed, status=503, words=silent.words)
        return RedirectResponse(f"/approvals/{participant.name}/{id_}", 303)

    return take


async def batch(request: Request) -> Response:
    """Show what waits of a batch."""
    return await _batch_page(request, blank())


async def _batch_page(request: Request, typed: Typed, *, status: int = 200) -> Response:
    participant, id_ = subject_of(request)
    rows = await participant.rows("batch", {"id": id_, "states": ["proposed"], "limit": SHOWN + 1})
    mine = bool(rows) and _person(rows[0]["proposed_by"]) == _person(request.state.visit.person)
    return render(
        request,
        "batch.html",
        status=status,
        participant=participant.name,
        id=id_,
        rows=rows[:SHOWN],
        more=len(rows) > SHOWN,
        mine=mine,
        seen_at=rows[0]["now"].isoformat() if rows else "",
        steps=[
            step
            for step, permission in STEPS.items()
            if request.state.visit.may(permission, participant.name) and (step == "withdraw") == mine
        ],
        typed=typed.texts,
        mistakes=typed.mistakes,
    )


def stepping_through(step: str) -> Endpoint:
    """Return what agrees to all that waits of a batch, or stops it; in the background, with a result for each."""

    async def take(request: Request) -> Response:
        participant, id_ = subject_of(request)
        typed = await typed_of(request)
        reason, bulk, seen_at = typed.reason(), typed.uuid("decision"), _moment(typed)
        if typed.mistakes:
            return await _batch_page(request, typed, status=400)
        rows = await participant.rows("batch", {"id": id_, "states": ["proposed"], "limit": MOST + 1})
        items = [_item(row, participant.name) for row in rows[:MOST] if row["proposed_at"] <= seen_at]
        bulks, person = bulks_of(request), request.state.visit.person_id
        about = f"batch {id_} at {participant.name}"
        await bulks.freeze(bulk, person, "decision", step, about, items, capped=len(rows) > MOST)
        if not await bulks.begin(bulk, person, reason):
            raise HTTPException(409, "This form was sent with another reason before. Open the batch again.")
        work: BulkWork = request.app.state.bulk_work
        work.wake()
        return RedirectResponse(f"/bulk/{bulk}", 303)

    return take


def bulks_of(request: Request) -> Bulks:
    """Return the frozen lists."""
    found: Bulks = request.app.state.bulks
    return found


def _item(row: dict[str, Any], participant: str) -> Item:
    value = money(row["amount"], row["currency"])
    about = " ".join(part for part in (row["verb"].replace("_", " "), row["name"], row["ref"] or "", value) if part)
    return Item(participant, row["id"], 0, uuid4(), about, row["amount"], row["currency"])


def _moment(typed: Typed) -> datetime:
    try:
        found = datetime.fromisoformat(typed.text("seen_at"))
        if found.tzinfo is not None:
            return found
    except ValueError:
        pass
    typed.mistakes["reason"] = "the form does not say what you saw; open the batch again"
    return datetime.now().astimezone()


def _person(name: str) -> str:
    """Return the person behind a name, as onceward.person() does."""
    return " ".join(name.split()).lower()


def _routes() -> list[Route]:
    routes = [
        Route("GET", "/approvals", approvals, "look"),
        Route("GET", "/approvals/{participant}/{id}", decision, "look"),
        Route("GET", "/approvals/{participant}/batches/{id}", batch, "look"),
    ]
    for step, permission in STEPS.items():
        routes.append(Route("POST", f"/approvals/{{participant}}/{{id}}/{step}", stepping(step), permission))
        address = f"/approvals/{{participant}}/batches/{{id}}/{step}"
        routes.append(Route("POST", address, stepping_through(step), permission))
    return routes


ROUTES = tuple(_routes())
