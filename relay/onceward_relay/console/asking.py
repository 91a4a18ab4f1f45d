"""What a form of a verb asks the database for, from what somebody typed into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from onceward_relay.console.deciding import Call, Evidence, Proposal, at_once
from onceward_relay.console.result_form import read
from onceward_relay.console.typed import BY_PEOPLE, SAYS, Typed
from onceward_relay.console.verbs import Verb

LEAST = 10
"""Characters of the reason for a decision."""
SPANS = {
    "1h": ("1 hour", timedelta(hours=1)), "4h": ("4 hours", timedelta(hours=4)),
    "12h": ("12 hours", timedelta(hours=12)), "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)), "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30, minutes=-1)),
}  # fmt: skip
"""For how long an incident can be set aside."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a form is about, as it is now."""

    id: UUID
    row: Mapping[str, Any]
    """The call or flow; of an incident nothing is needed."""
    facts: Mapping[str, Any]
    """Schemas, and who has to agree."""
    evidence: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for."""

    reason: str
    calls: list[Call]


def asked(verb: Verb, subject: Subject, typed: Typed, actor: str) -> Asked:
    """Return what is asked for. If anything is wrong, `typed.mistakes` says what, and it must not be done."""
    if verb.name == "note":
        text = typed.reason(name="note")
        return Asked(text, [at_once("note", verb.kind, subject.id, actor, text)])
    if verb.name == "evidence":
        says = typed.choice("says", SAYS)
        return Asked(says, _evidence(typed, says).calls(typed.uuid("decision"), subject.id, actor))
    if verb.name in ("claim", "unclaim"):
        return Asked("", [at_once(verb.name, verb.kind, subject.id, actor, "")])
    if verb.proposes:
        return _proposed(verb, subject, typed, actor)
    reason = typed.reason()
    if verb.name == "reveal":
        return Asked(reason, [("reveal", {"call": subject.id, "actor": actor, "reason": reason})])
    until = None
    if "until" in verb.asks:
        until = datetime.now(UTC) + SPANS[typed.choice("for", SPANS)][1]
    return Asked(reason, [at_once(verb.name, verb.kind, subject.id, actor, reason, until)])


def _proposed(verb: Verb, subject: Subject, typed: Typed, actor: str) -> Asked:
    reason = typed.reason(LEAST)
    proposal = Proposal(
        verb.name,
        subject.id,
        typed.uuid("decision"),
        typed.version(),
        body=_body(verb, subject, typed),
        amount=typed.amount(),
        evidence=_basis(subject, typed) if "evidence" in verb.asks else None,
    )
    if subject.facts["solo"] and needs_amount(verb, subject) and proposal.amount is None:
        typed.mistakes.setdefault("amount", "type the amount, for you decide this alone")
    return Asked(reason, proposal.calls(actor, reason))


def needs_amount(verb: Verb, subject: Subject) -> bool:
    """Return whether one who decides alone has to type the amount."""
    return bool(subject.facts["approvals"][verb.name]) and stake(subject)[0] is not None


def stake(subject: Subject) -> tuple[Any, Any]:
    """Return the money at stake: amount and currency, or two times None."""
    source = subject.row if "amount" in subject.row else subject.facts
    return source["amount"], source["currency"]


def _body(verb: Verb, subject: Subject, typed: Typed) -> dict[str, Any]:
    if "result" in verb.asks:
        return {"result": read(subject.facts["result_schema"], typed)}
    given = [name for name in typed.texts if name == "request" or name.startswith("request.")]
    if "refund" in verb.asks and any(typed.text(name) for name in given):
        return {"request": read(subject.facts["undo_schema"] or {}, typed, "request")}
    return {}


def _basis(subject: Subject, typed: Typed) -> Evidence | UUID:
    """Return what a decision rests on: evidence that is there, or what is brought with it."""
    chosen = typed.text("evidence")
    known = next((each["id"] for each in subject.evidence if str(each["id"]) == chosen), None)
    if chosen not in ("", "new") and known is None:
        typed.mistakes["evidence"] = "this evidence is not here; choose another, or bring some"
    return _evidence(typed, "applied") if known is None else known


def _evidence(typed: Typed, says: str) -> Evidence:
    reference, body = typed.text("evidence_reference") or None, typed.file("evidence_file")
    if reference is None and body is None:
        typed.mistakes.setdefault("evidence_reference", "give the provider's reference, or the report itself as a file")
    return Evidence(typed.choice("evidence_kind", BY_PEOPLE), says, reference, body)
