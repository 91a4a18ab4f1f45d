"""Deciding for many at once: a dry run freezes what it is about; then it is done item by item, each with a result."""

from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console.asking import LEAST
from onceward_relay.console.bulk_work import BulkWork
from onceward_relay.console.dry_run import MOST, find
from onceward_relay.console.filters import Filters
from onceward_relay.console.pages.approvals import bulks_of
from onceward_relay.console.pages.forms import blank, typed_of
from onceward_relay.console.participants import Participants
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route
from onceward_relay.console.typed import Typed
from onceward_relay.console.verbs import VERBS, Verb

SHOWN = 500
"""Items on a page."""
MANY = {f"{verb.kind}.{verb.name}": verb for verb in VERBS.values() if verb.many}
AGAIN = 2
"""Seconds after which a page about something that runs is loaded again."""


async def bulks(request: Request) -> Response:
    """Show what somebody did for many of late."""
    rows = await bulks_of(request).newest(request.state.visit.person_id)
    return render(request, "bulks.html", rows=rows)


async def choose(request: Request) -> Response:
    """Ask what is to be done for all that a filter of the worklist finds."""
    return _choice(request, blank(query=Filters.read(request.query_params).query))


def _choice(request: Request, typed: Typed, *, status: int = 200, missing: dict[str, str] | None = None) -> Response:
    filters = Filters.kept(typed.text("query"))
    return render(
        request,
        "bulk_new.html",
        status=status,
        verbs=MANY,
        asked={name: value for name, value in filters.asked.items() if value is not None},
        places=filters.of(request.state.visit.where("act")),
        typed=typed.texts,
        mistakes=typed.mistakes,
        missing=missing or {},
    )


async def freeze(request: Request) -> Response:
    """Look what it would be about, and freeze that."""
    typed, visit = await typed_of(request), request.state.visit
    verb = MANY[typed.choice("what", MANY)]
    id_, filters = typed.uuid("decision"), Filters.kept(typed.text("query"))
    if typed.mistakes:
        return _choice(request, typed, status=400)
    participants: Participants = request.app.state.participants
    found = await find(participants, filters.of(visit.where("act")), verb, filters.parameters(visit.person))
    if found.missing:
        typed.mistakes["what"] = "not all of them answered, so nothing was frozen; try again, or choose one participant"
        return _choice(request, typed, status=503, missing=found.missing)
    if not found.items:
        typed.mistakes["what"] = f"nothing that this filter finds is about a {verb.kind}"
        return _choice(request, typed, status=400)
    about, items = filters.query[:2000], found.items[:MOST]
    await bulks_of(request).freeze(id_, visit.person_id, verb.kind, verb.name, about, items, capped=found.capped)
    return RedirectResponse(f"/bulk/{id_}", 303)


async def bulk(request: Request) -> Response:
    """Show what was frozen, or how far it is done."""
    return await _page(request, blank())


async def _page(request: Request, typed: Typed, *, status: int = 200) -> Response:
    row, verb = await _mine(request)
    behind = request.query_params.get("behind", "0")
    state = request.query_params.get("state")
    store = bulks_of(request)
    items = await store.items(
        row["id"],
        behind=int(behind) if behind.isdecimal() and len(behind) < 9 else 0,
        limit=SHOWN + 1,
        state=state if state in ("waiting", "impossible", "done", "refused") else None,
    )
    response = render(
        request,
        "bulk.html",
        status=status,
        row=row,
        verb=verb,
        numbers={"waiting": 0, "impossible": 0, "done": 0, "refused": 0, **(row["numbers"] or {})},
        items=items[:SHOWN],
        more=items[SHOWN - 1]["no"] if len(items) > SHOWN else None,
        only=state,
        totals=await store.totals(row["id"]),
        alone=await _alone(request, row, verb) if row["state"] == "frozen" else [],
        typed=typed.texts,
        mistakes=typed.mistakes,
        least=_least(verb),
    )
    if row["state"] == "running":
        response.headers["Refresh"] = str(AGAIN)
    return response


async def begin(request: Request) -> Response:
    """Do it."""
    row, verb = await _mine(request)
    typed = await typed_of(request)
    reason = typed.reason(_least(verb))
    if row["state"] == "frozen" and await _alone(request, row, verb):
        for total in await bulks_of(request).totals(row["id"]):
            name = f"total_{total['currency']}"
            if typed.amount(name) != total["amount"]:
                typed.mistakes.setdefault(name, f"type the total, {total['amount']}, for you decide this alone")
    if typed.mistakes:
        return await _page(request, typed, status=400)
    if not await bulks_of(request).begin(row["id"], request.state.visit.person_id, reason):
        raise HTTPException(
            409, "This list has expired, or was begun with another reason. Nothing was changed by this."
        )
    work: BulkWork = request.app.state.bulk_work
    work.wake()
    return RedirectResponse(f"/bulk/{row['id']}", 303)


async def stop(request: Request) -> Response:
    """Do no more of it."""
    row, _ = await _mine(request)
    await bulks_of(request).stop(row["id"], request.state.visit.person_id)
    return RedirectResponse(f"/bulk/{row['id']}", 303)


async def _mine(request: Request) -> tuple[dict[str, Any], Verb | None]:
    """Return a bulk and its verb; None if it is about decisions."""
    try:
        row = await bulks_of(request).of(UUID(request.path_params["id"]), request.state.visit.person_id)
    except ValueError:
        row = None
    if row is None:
        raise HTTPException(404, "there is no such list of yours; another person's is shown to nobody else")
    return row, VERBS.get((row["kind"], row["verb"]))


async def _alone(request: Request, row: dict[str, Any], verb: Verb | None) -> list[str]:
    """Return the participants of a list at which one person decides alone."""
    if verb is None or not verb.proposes:
        return []
    answers = await request.app.state.participants.ask(row["places"] or [], "solo", {})
    return [each["participant"] for each in answers.rows if each["value"] is True]


def _least(verb: Verb | None) -> int:
    return LEAST if verb is not None and verb.proposes else 1


ROUTES = (
    Route("GET", "/bulk", bulks, "act"),
    Route("GET", "/bulk/new", choose, "act"),
    Route("POST", "/bulk", freeze, "act"),
    Route("GET", "/bulk/{id}", bulk, "act"),
    Route("POST", "/bulk/{id}/begin", begin, "act"),
    Route("POST", "/bulk/{id}/stop", stop, "act"),
)
