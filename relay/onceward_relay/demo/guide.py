"""What is left to people at the end: one thing of each kind, with the commands to look at it and to settle it."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import make_url

from onceward_relay.demo.books import Movement
from onceward_relay.demo.facts import Call, Facts
from onceward_relay.demo.reckoning import doubts
from onceward_relay.demo.settings import Settings


@dataclass(frozen=True, slots=True)
class Guide:
    """One thing that waits for a person."""

    kind: str
    """Of its incident."""
    what: str
    """What happened, in words."""
    subject: UUID
    """The call or the flow."""
    look: str
    """The command that shows it."""
    settle: str
    """The command that settles it."""
    page: str
    """Where the console shows it."""
    hint: str
    """How it is settled there."""


def guides(facts: Facts, settings: Settings) -> list[Guide]:
    """Return one thing of each kind that there is."""
    found: dict[str, Guide] = {}
    for each in _all(facts, settings):
        found.setdefault(each.kind, each)
    return list(found.values())


def _all(facts: Facts, settings: Settings) -> Iterator[Guide]:
    effects = {movement.key: movement for movement in facts.movements}
    for doubt in doubts(facts):
        if doubt.effects == 1:
            yield _lost_reply(doubt.call, effects[doubt.call.key], settings)
    for call in facts.calls:
        if call.difference is not None:
            yield _mismatch(call, settings)
    for flow in facts.blocked:
        what = f"{flow.incident}. The next release has no such bug."
        database = address(flow.participant, settings)
        settle = command("flows", "resume", flow.id, database, reason="the next release knows it")
        hint = "Press Resume: the payee runs release 2 by now."
        page = f"/flows/{flow.participant}/{flow.id}"
        yield Guide("flow_error", what, flow.id, command("flows", "show", flow.id, database), settle, page, hint)


def _lost_reply(call: Call, effect: Movement, settings: Settings) -> Guide:
    what = (
        f"{call.currency} {call.amount:,.2f} by {call.provider}/{call.operation}, and the answer was lost: nobody but"
        f" the bank knows. Its screen shows {effect.id}."
    )
    database = address(call.participant, settings)
    result = {"id": effect.id, "amount": str(effect.amount), "currency": effect.currency}
    evidence = ["--result", json.dumps(result), "--evidence-reference", effect.id]
    settle = command("calls", "applied", call.id, database, *evidence, reason="seen on the screen of the bank")
    hint = f"Press It took effect, and give what the bank's screen shows: {json.dumps(result)}."
    return Guide("in_doubt", what, call.id, command("calls", "show", call.id, database), settle, _page(call), hint)


def _mismatch(call: Call, settings: Settings) -> Guide:
    what = f"{call.provider}/{call.operation} did something else than it was asked: {call.difference}."
    database = address(call.participant, settings)
    settle = command("calls", "accept-difference", call.id, database, reason="the bank keeps a fee")
    hint = "Press Accept the difference, if it is all right with you."
    return Guide("mismatch", what, call.id, command("calls", "show", call.id, database), settle, _page(call), hint)


def _page(call: Call) -> str:
    return f"/calls/{call.participant}/{call.id}"


def command(group: str, verb: str, subject: UUID, database: str, *options: str, reason: str | None = None) -> str:
    """Return a command that a shell takes as it stands."""
    why = [] if reason is None else ["--reason", reason]
    return shlex.join(["onceward", group, verb, str(subject), *options, *why, "--database", database])


def address(participant: str, settings: Settings) -> str:
    """Return the URL of a participant's database, without a password: that belongs into PGPASSWORD."""
    url = make_url(settings.payer_database if participant == "payer" else settings.payee_database)
    return url._replace(password=None).render_as_string()
