"""What programs do: the same functions of the schema as the pages and the command line call."""

from base64 import b64encode
from typing import Any
from uuid import UUID

from fastapi.exceptions import RequestValidationError

from onceward_relay.console.api.answers import Content, Decision, Done
from onceward_relay.console.api.asked import AddEvidence, Ask, Note, Propose, Snooze, Switch, Why
from onceward_relay.console.api.who import Asking, At
from onceward_relay.console.deciding import Call, at_once, decide
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.schemas import wrong_with


async def propose(visit: Asking, at: At, body: Propose) -> Decision:
    """Propose a decision about a call or flow. The same id again is the same decision, and changes nothing."""
    await _check_document(at, body)
    proposal = body.proposal()
    kind = "flow" if body.verb in ("undo", "close") else "call"
    attempt = Attempt(visit.person, body.verb, kind, str(body.subject), body.reason)
    rows = await decide(at, attempt, *proposal.calls(visit.person, body.reason))
    return await _shown(at, rows[0]["id"])


async def approve(visit: Asking, at: At, id: UUID, body: Why) -> Decision:  # noqa: A002 -- as it stands in the path
    """Agree to what another person has proposed. If the facts have changed since, it is stale, and nothing is done."""
    return await _step(visit, at, "approve", id, body)


async def reject(visit: Asking, at: At, id: UUID, body: Why) -> Decision:  # noqa: A002 -- as it stands in the path
    """Refuse what another person has proposed, until it is carried out."""
    return await _step(visit, at, "reject", id, body)


async def withdraw(visit: Asking, at: At, id: UUID, body: Why) -> Decision:  # noqa: A002 -- as it stands in the path
    """Take back what one has proposed, until it is carried out."""
    return await _step(visit, at, "withdraw", id, body)


async def ask(visit: Asking, at: At, id: UUID, body: Ask) -> Done:  # noqa: A002 -- as it stands in the path
    """Have a worker look a call up, or send it once more, now, if that is safe."""
    call = at_once(body.what, "call", id, visit.person, body.reason)
    await decide(at, Attempt(visit.person, body.what, "call", str(id), body.reason), call)
    return Done(note="requested: a worker does it next; look at the call for the outcome")


async def resume(visit: Asking, at: At, id: UUID, body: Why) -> Done:  # noqa: A002 -- as it stands in the path
    """Let workers carry on with a flow that is blocked or paused."""
    await _now(visit, at, "resume", "flow", id, body.reason)
    return Done(note="workers take it up again")


async def pause(visit: Asking, at: At, id: UUID, body: Why) -> Done:  # noqa: A002 -- as it stands in the path
    """Keep workers from a flow until it is resumed; a run that is under way ends first."""
    await _now(visit, at, "pause", "flow", id, body.reason)
    return Done(note="no worker takes it up until it is resumed")


async def claim(visit: Asking, at: At, id: UUID) -> Done:  # noqa: A002 -- as it stands in the path
    """Take an incident, so that others know that you are at it."""
    await _now(visit, at, "claim", "incident", id, "")
    return Done(note=f"{visit.person} has it now")


async def unclaim(visit: Asking, at: At, id: UUID) -> Done:  # noqa: A002 -- as it stands in the path
    """Give an incident back, whoever has it."""
    await _now(visit, at, "unclaim", "incident", id, "")
    return Done(note="nobody has it now")


async def close(visit: Asking, at: At, id: UUID, body: Why) -> Done:  # noqa: A002 -- as it stands in the path
    """Close an incident that nothing else ends: a conflict, a late signal, a report or message about nothing known."""
    await _now(visit, at, "close", "incident", id, body.reason)
    return Done(note="closed")


async def snooze(visit: Asking, at: At, id: UUID, body: Snooze) -> Done:  # noqa: A002 -- as it stands in the path
    """Leave an incident out of the worklist for a while."""
    call = at_once("snooze", "incident", id, visit.person, body.reason, body.until)
    await decide(at, Attempt(visit.person, "snooze", "incident", str(id), body.reason), call)
    return Done(note=f"left out until {body.until.isoformat(timespec='seconds')}")


async def note(visit: Asking, at: At, body: Note) -> Done:
    """Write something worth knowing about a call, flow or incident into the audit."""
    call = at_once("note", body.kind, body.subject, visit.person, body.note)
    rows = await decide(at, Attempt(visit.person, "note", body.kind, str(body.subject), body.note), call)
    return Done(note=f"audit entry {rows[0]['note']}")


async def add_evidence(visit: Asking, at: At, id: UUID, body: AddEvidence) -> Done:  # noqa: A002 -- as in the path
    """Add what was found out about a call. It settles nothing by itself; a decision may rest on it."""
    attempt = Attempt(visit.person, "evidence", "call", str(id))
    await decide(at, attempt, *body.brought().calls(body.id, id, visit.person))
    return Done(note="a decision may rest on it: evidence_id")


async def reveal(visit: Asking, at: At, id: UUID, body: Why) -> list[Content]:  # noqa: A002 -- as it stands in the path
    """Return what was sent and answered for a call, and the evidence, unmasked. The audit says who asked, and why."""
    attempt = Attempt(visit.person, "reveal", "call", str(id), body.reason)
    call = ("reveal", {"call": id, "actor": visit.person, "reason": body.reason})
    return [_content(row["what"], bytes(row["content"])) for row in await decide(at, attempt, call)]


async def stop_provider(visit: Asking, at: At, body: Switch) -> Done:
    """Have nothing more sent to a provider: new calls are recorded and wait."""
    await _switch(visit, at, "stop_provider", body)
    return Done(note="nothing more is sent to it")


async def start_provider(visit: Asking, at: At, body: Switch) -> Done:
    """Let calls go to a provider again, at once those that wait."""
    rows = await _switch(visit, at, "start_provider", body)
    return Done(note=f"{rows[0]['start_provider']} calls that waited go at once")


async def _check_document(at: At, body: Propose) -> None:
    """Refuse a result or request that does not fit what its operation declares, before a worker does.

    Raises:
        RequestValidationError: with the fields.

    """
    given = {"applied": ("result", body.result, "result_schema"), "refund": ("request", body.request, "undo_schema")}
    name, document, column = given.get(body.verb, ("", None, ""))
    rows = [] if document is None else await at.rows("form_of_call", {"id": body.subject})
    if rows and rows[0][column] is not None:
        wrong = [each.partition(": ") for each in wrong_with(document, rows[0][column], name)]
        if wrong:
            raise RequestValidationError(
                [{"type": "document", "loc": ("body", field), "msg": why} for field, _, why in wrong]
            )


async def _step(visit: Asking, at: At, verb: str, decision: UUID, body: Why) -> Decision:
    await _now(visit, at, verb, "decision", decision, body.reason)
    return await _shown(at, decision)


async def _now(visit: Asking, at: At, verb: str, kind: Any, subject: UUID, reason: str) -> list[Any]:
    call = at_once(verb, kind, subject, visit.person, reason)
    return await decide(at, Attempt(visit.person, verb, kind, str(subject), reason), call)


async def _switch(visit: Asking, at: At, function: str, body: Switch) -> list[Any]:
    call: Call = (function, {"provider": body.provider, "actor": visit.person, "reason": body.reason})
    attempt = Attempt(visit.person, function.replace("_", " "), "provider", body.provider, body.reason)
    return await decide(at, attempt, call)


async def _shown(at: At, decision: UUID) -> Decision:
    """Return a decision, masked."""
    return Decision.of((await at.rows("decision", {"id": decision}))[0], at.name)


def _content(what: str, content: bytes) -> Content:
    try:
        return Content(what=what, text=content.decode())
    except UnicodeDecodeError:
        return Content(what=what, base64=b64encode(content).decode())
