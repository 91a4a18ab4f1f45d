"""Forms of the verbs of calls and flows: what will happen and who has to agree is shown before it does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from onceward_relay.console import timeline
from onceward_relay.console.asking import LEAST, Asked, Subject, asked, needs_amount, stake
from onceward_relay.console.deciding import Refused, Unanswered, decide
from onceward_relay.console.guard import home_of
from onceward_relay.console.home import forms
from onceward_relay.console.pages.calls import doable, subject_of
from onceward_relay.console.pages.forms import attempt_of, blank, typed_of
from onceward_relay.console.participants import Participant
from onceward_relay.console.rendering import render
from onceward_relay.console.result_form import inputs
from onceward_relay.console.routes import Endpoint, Route
from onceward_relay.console.typed import BY_PEOPLE, SAYS, Typed
from onceward_relay.console.verbs import Verb, verbs_of
from onceward_relay.people.documents import readable
from onceward_relay.people.words import money

Kind = Literal["call", "flow"]
PARTS = {
    "call": ("call", "form_of_call", "call_evidence", "call_attempts", "history"),
    "flow": ("flow", "form_of_flow", "flow_steps", "history"),
}
FORM_FIELDS = {"note": "note", "body": "evidence_file", "reference": "evidence_reference", "kind": "evidence_kind"}
"""Fields of the form, by what functions of the schema call them, where the names differ."""
LONGEST_SHOWN = 200_000
"""Characters of one content on a page."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form and what it is about."""

    verb: Verb
    participant: Participant
    subject: Subject
    parts: dict[str, Any]

    @property
    def address(self) -> str:
        """Where the call or flow is."""
        return f"/{self.verb.kind}s/{self.participant.name}/{self.subject.id}"


async def look(request: Request, verb: Verb) -> Sheet:
    """Look at what a form is about.

    Raises:
        HTTPException: 404, there is no such call or flow.

    """
    participant, id_ = subject_of(request)
    kind = verb.kind
    parts: dict[str, Any] = await participant.together(PARTS[kind], {"id": id_, "kind": kind})
    if not parts[kind]:
        raise HTTPException(404, f"there is no {kind} {id_} at {participant.name}")
    subject = Subject(id_, parts[kind][0], parts[f"form_of_{kind}"][0], parts.get("call_evidence", ()))
    return Sheet(verb, participant, subject, parts)


def showing(verb: Verb) -> Endpoint:
    """Return the page of a verb's form."""

    async def show(request: Request) -> Response:
        sheet = await look(request, verb)
        return page(request, sheet, blank(seen_version=sheet.subject.row["version"]))

    return show


def sending(verb: Verb) -> Endpoint:
    """Return what a verb's form does."""

    async def send(request: Request) -> Response:
        sheet, typed = await look(request, verb), await typed_of(request)
        wish = asked(verb, sheet.subject, typed, request.state.visit.person)
        if typed.mistakes:
            return page(request, sheet, typed, status=400)
        try:
            rows = await _do(request, sheet, typed, wish)
        except Refused as refused:
            if refused.field is not None:
                name = FORM_FIELDS.get(refused.field, refused.field)
                typed.mistakes[name] = refused.words.partition(": ")[2]
            return page(request, await look(request, verb), typed, status=refused.status, refused=refused)
        except Unanswered as silent:
            return page(request, sheet, typed, status=503, words=silent.words)
        if rows is None:
            return RedirectResponse(f"{sheet.address}?done=again", 303)
        if verb.name == "reveal":
            return _revealed(request, sheet, rows)
        return RedirectResponse(f"{sheet.address}?done={verb.name}", 303)

    return send


async def _do(request: Request, sheet: Sheet, typed: Typed, wish: Asked) -> list[Any] | None:
    """Do what is asked for; None if this form was sent before. Decisions and evidence have ids and need no care."""
    verb, home = sheet.verb, home_of(request)
    attempt = attempt_of(request, verb.name, verb.kind, sheet.subject.id, wish.reason)
    if verb.proposes or verb.name in ("evidence", "reveal"):
        return await decide(sheet.participant, attempt, *wish.calls)
    form = typed.uuid("decision")
    if not await forms.first(home, form, request.state.visit.person_id):
        return None
    try:
        return await decide(sheet.participant, attempt, *wish.calls)
    except BaseException:
        await forms.forget(home, form)
        raise


def page(
    request: Request,
    sheet: Sheet,
    typed: Typed,
    *,
    status: int = 200,
    refused: Refused | None = None,
    words: str | None = None,
) -> Response:
    """Show a form, with what was typed and what is wrong with it."""
    verb, subject = sheet.verb, sheet.subject
    texts = dict(typed.texts)
    if refused is not None:
        texts["seen_version"] = str(subject.row["version"])
        texts["decision"] = str(uuid4())
    possible = next(each for each in doable(verb.kind, subject.row["verbs"], purged=bool(subject.row["purged_at"]))
                    if each["verb"] is verb)  # fmt: skip
    amount, currency = stake(subject)
    return render(
        request,
        "verb.html",
        status=status,
        verb=verb,
        kind=verb.kind,
        participant=sheet.participant.name,
        address=sheet.address,
        row=subject.row,
        possible=possible,
        agreement=agreement(verb, subject),
        amount=money(amount, currency),
        currency=currency,
        typed=texts,
        mistakes=typed.mistakes,
        words=words or (refused and refused.words),
        stale=refused is not None and refused.stale,
        news=_news(sheet, texts.get("opened_at", "")) if refused is not None else [],
        evidence=[each for each in subject.evidence if each["says"] == "applied"],
        result=inputs(subject.facts["result_schema"]) if "result" in verb.asks else [],
        request_inputs=inputs(subject.facts["undo_schema"] or {}, "request") if "refund" in verb.asks else [],
        undone=subject.facts.get("undone"),
        plan=[step for step in reversed(sheet.parts.get("flow_steps", ())) if verb.name == "undo" and step["to_undo"]],
        by_people=BY_PEOPLE,
        says=SAYS,
        least=LEAST if verb.proposes else 1,
    )  # fmt: skip


def agreement(verb: Verb, subject: Subject) -> str:
    """Return who has to agree, and when it is done."""
    if not verb.proposes:
        return "Nobody else has to agree. It counts at once."
    needed = subject.facts["approvals"][verb.name]
    if needed and subject.facts["solo"]:
        typed = ", and the amount has to be typed" if needs_amount(verb, subject) else ""
        return (
            f"One person decides alone here: a worker carries it out ten minutes after you have sent it{typed}."
            " Until then you can withdraw it. The audit marks it."
        )
    if needed:
        return "Another person has to agree; a worker carries it out then. You cannot agree yourself."
    part = " For a part of the amount the rules may ask otherwise." if verb.name == "refund" else ""
    return f"Nobody else has to agree. A worker carries it out within seconds.{part}"


def _news(sheet: Sheet, opened_at: str) -> list[timeline.Moment]:
    """Return what happened since a form was opened."""
    try:
        opened = datetime.fromisoformat(opened_at)
        if opened.tzinfo is None:
            return []
    except ValueError:
        return []
    parts, row = sheet.parts, sheet.subject.row
    moments = (
        timeline.of_call(row, parts["call_attempts"], parts["call_evidence"], parts["history"])
        if sheet.verb.kind == "call"
        else timeline.of_people(parts["history"])
    )
    return [moment for moment in moments if moment.at >= opened]


def _revealed(request: Request, sheet: Sheet, rows: list[Any]) -> Response:
    return render(
        request,
        "revealed.html",
        participant=sheet.participant.name,
        row=sheet.subject.row,
        address=sheet.address,
        contents=[_content(row) for row in rows],
    )


def _content(row: Any) -> dict[str, Any]:
    content = bytes(row["content"])
    ((form, text),) = readable(content).items()
    cut = len(text) > LONGEST_SHOWN
    return {"what": row["what"], "bytes": len(content), "form": form, "text": text[:LONGEST_SHOWN], "cut": cut}


ROUTES = tuple(
    route
    for kind in ("call", "flow")
    for verb in verbs_of(kind)
    for address in [f"/{kind}s/{{participant}}/{{id}}/{verb.name}"]
    for route in (
        Route("GET", address, showing(verb), verb.permission),
        Route("POST", address, sending(verb), verb.permission),
    )
)
