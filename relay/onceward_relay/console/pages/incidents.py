"""Incidents: who is at it, set aside for a while, notes; and a page for those that are about neither call nor flow."""

from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console import timeline
from onceward_relay.console.asking import SPANS, Subject, asked
from onceward_relay.console.deciding import Refused, Unanswered, decide
from onceward_relay.console.guard import home_of
from onceward_relay.console.home import forms
from onceward_relay.console.pages.calls import subject_of
from onceward_relay.console.pages.forms import as_page, attempt_of, back_to, blank, typed_of
from onceward_relay.console.participants import Participant
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Endpoint, Route
from onceward_relay.console.typed import Typed
from onceward_relay.console.verbs import Verb, verbs_of


async def incident(request: Request) -> Response:
    """Show an incident."""
    participant, id_ = subject_of(request)
    parts = await participant.together(("incident", "history"), {"id": id_, "kind": "incident"})
    row = _found(parts, participant, id_)
    return render(
        request,
        "incident.html",
        row={**row, "participant": participant.name},
        participant=participant.name,
        timeline=timeline.of_people(parts["history"]),
    )


def showing(verb: Verb) -> Endpoint:
    """Return the page of a verb's form."""

    async def show(request: Request) -> Response:
        participant, id_ = subject_of(request)
        row = _found(await participant.together(("incident",), {"id": id_}), participant, id_)
        return _page(request, verb, row, blank(to=request.query_params.get("to", "")))

    return show


def sending(verb: Verb) -> Endpoint:
    """Return what a verb's form does."""

    async def send(request: Request) -> Response:
        participant, id_ = subject_of(request)
        typed = await typed_of(request)
        here = f"/incidents/{participant.name}/{id_}"
        wish = asked(verb, Subject(id_, {}, {}), typed, request.state.visit.person)
        if not typed.mistakes:
            attempt = attempt_of(request, verb.name, "incident", id_, wish.reason)
            form = typed.uuid("decision") if verb.asks else None
            home, person = home_of(request), request.state.visit.person_id
            if form is not None and not typed.mistakes and not await forms.first(home, form, person):
                return back_to(typed.text("to"), here)
            try:
                await decide(participant, attempt, *wish.calls)
            except (Refused, Unanswered) as error:
                if form is not None:
                    await forms.forget(home, form)
                if not (verb.asks and isinstance(error, Refused)):
                    raise as_page(error) from error
                name = {"until": "for"}.get(error.field or "", error.field or "reason")
                typed.mistakes[name] = error.words.partition(": ")[2] if error.field else error.words
            else:
                return back_to(typed.text("to"), here)
        row = _found(await participant.together(("incident",), {"id": id_}), participant, id_)
        return _page(request, verb, row, typed, status=400)

    return send


def _page(request: Request, verb: Verb, row: dict[str, Any], typed: Typed, *, status: int = 200) -> Response:
    name = request.path_params["participant"]
    return render(
        request,
        "incident_form.html",
        status=status,
        verb=verb,
        row={**row, "participant": name},
        participant=name,
        typed=typed.texts,
        mistakes=typed.mistakes,
        spans={key: words for key, (words, _) in SPANS.items()},
    )


def _found(parts: dict[str, list[Any]], participant: Participant, id_: UUID) -> dict[str, Any]:
    if not parts["incident"]:
        raise HTTPException(404, f"there is no incident {id_} at {participant.name}")
    return dict(parts["incident"][0])


ROUTES = (
    Route("GET", "/incidents/{participant}/{id}", incident, "look"),
    *(
        Route("POST", f"/incidents/{{participant}}/{{id}}/{verb.name}", sending(verb), verb.permission)
        for verb in verbs_of("incident")
    ),
    *(
        Route("GET", f"/incidents/{{participant}}/{{id}}/{verb.name}", showing(verb), verb.permission)
        for verb in verbs_of("incident")
        if verb.asks
    ),
)
