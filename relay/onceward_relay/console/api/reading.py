"""What programs read: the same queries as the pages, over all participants at which the token may look."""

from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import Query
from starlette.exceptions import HTTPException

from onceward_relay.console.api.answers import Call, Decision, Entry, Flow, Found, Group, Incident, Place, Provider
from onceward_relay.console.api.places import moment_and_id, number, place
from onceward_relay.console.api.values import NO_NUL, Kind, Page, Text
from onceward_relay.console.api.who import Asking, At, Everybody
from onceward_relay.console.cursor import after as after_incident
from onceward_relay.console.cursor import cursor
from onceward_relay.console.pages.calls import PARTS
from onceward_relay.console.pages.search import wanted
from onceward_relay.console.participants import Participant
from onceward_relay.people.deciding import in_words

Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
Only = Annotated[str | None, Query(max_length=100, pattern=NO_NUL, description="Only of this participant.")]
Filter = Annotated[Text | None, Query()]
GROUPS = 100
LOOKED_AT = 50_000
PARTS_OF_FLOW = ("flow", "flow_steps", "decisions_about", "history")
State = Literal["proposed", "approved", "applied", "failed", "rejected", "withdrawn", "stale"]


async def list_participants(visit: Asking, participants: Everybody) -> list[Place]:
    """List the participants at which the token may do something, and what."""
    return [Place(name=name, permissions=sorted(visit.rights[name])) for name in participants if visit.rights.get(name)]


async def list_incidents(
    visit: Asking, participants: Everybody, participant: Only = None, group: Filter = None,
    kind: Annotated[Kind | None, Query()] = None, severity: Annotated[int | None, Query(ge=1, le=3)] = None,
    provider: Filter = None, ref: Filter = None,
    assignee: Annotated[Text | None, Query(description="me, nobody, or a name.")] = None,
    snoozed: Annotated[bool, Query(description="Also what was set aside.")] = False,
    limit: Limit = 50, after: After = None,
) -> Page[Incident]:  # fmt: skip
    """List what is open, the most severe and oldest first."""
    named = {"me": visit.person, "nobody": None}.get(assignee or "", assignee)
    filters = {
        "group": group, "kind": kind, "severity": severity, "provider": provider, "ref": ref, "assignee": named,
        "free": assignee == "nobody", "snoozed": snoozed, **after_incident(after),
    }  # fmt: skip
    answers = await participants.ask(_names(visit, participant), "worklist", {**filters, "limit": limit + 1})
    rows = sorted(answers.rows, key=lambda row: (row["severity"], row["opened_at"], row["id"]))
    more = cursor(rows[limit - 1]) if len(rows) > limit else None
    return Page(items=[Incident.of(row) for row in rows[:limit]], next=more, missing=answers.missing)


async def list_groups(visit: Asking, participants: Everybody, participant: Only = None) -> Page[Group]:
    """List what is open in groups, the most severe first: at most 100 of each participant."""
    everything = dict.fromkeys(("kind", "severity", "provider", "ref", "assignee"))
    most = {"most": LOOKED_AT, "groups": GROUPS, "snoozed": True, "free": False}
    answers = await participants.ask(_names(visit, participant), "worklist_groups", everything | most)
    rows = sorted(answers.rows, key=lambda row: (row["severity"], row["oldest"], row["grp"], row["participant"]))
    return Page(items=[Group.of(row) for row in rows], missing=answers.missing)


async def show_call(at: At, id: UUID) -> Call:  # noqa: A002 -- as it stands in the path
    """Show a call: what is known, why nothing was sent again, its attempts, and what may be done with it."""
    parts = await _together(at, PARTS, {"id": id, "kind": "call"})
    if not parts["call"]:
        raise HTTPException(404, f"there is no call {id} at {at.name}")
    return Call.of(at.name, parts)


async def show_flow(at: At, id: UUID) -> Flow:  # noqa: A002 -- as it stands in the path
    """Show a flow: its steps, what it waits for, and what may be done with it."""
    parts = await _together(at, PARTS_OF_FLOW, {"id": id, "kind": "flow"})
    if not parts["flow"]:
        raise HTTPException(404, f"there is no flow {id} at {at.name}")
    return Flow.of(at.name, parts)


async def search(
    visit: Asking, participants: Everybody,
    q: Annotated[
        str,
        Query(min_length=1, max_length=1024, pattern=NO_NUL, description="Reference, key, provider's reference or id."),
    ],
) -> Page[Found]:  # fmt: skip
    """Find what goes by a text, whole, at every participant: at most 100 of each kind there."""
    answers = await participants.ask(_names(visit, None), "search", wanted(q.strip()))
    rows = sorted(answers.rows, key=lambda row: (row["participant"], row["at"], row["id"]))
    return Page(items=[Found.of(row) for row in rows], missing=answers.missing)


async def list_decisions(
    visit: Asking, participants: Everybody, participant: Only = None,
    state: Annotated[State | None, Query(description="Default: proposed and approved, which are open.")] = None,
    batch: Annotated[UUID | None, Query()] = None, limit: Limit = 50, after: After = None,
) -> Page[Decision]:  # fmt: skip
    """List decisions, the oldest first."""
    which = {"state": state, "batch": batch, "limit": limit + 1}
    answers = await participants.ask(_names(visit, participant), "decisions_page", {**which, **moment_and_id(after)})
    rows = sorted(answers.rows, key=lambda row: (row["proposed_at"], row["id"]))
    last = rows[limit - 1] if len(rows) > limit else None
    more = None if last is None else place(at=last["proposed_at"].isoformat(), id=last["id"])
    items = [Decision.of(row, row["participant"]) for row in rows[:limit]]
    return Page(items=items, next=more, missing=answers.missing)


async def show_decision(at: At, id: UUID) -> Decision:  # noqa: A002 -- as it stands in the path
    """Show a decision, and what became of it."""
    rows = (await _together(at, ("decision",), {"id": id}))["decision"]
    if not rows:
        raise HTTPException(404, f"there is no decision {id} at {at.name}")
    return Decision.of(rows[0], at.name)


async def list_providers(visit: Asking, participants: Everybody, participant: Only = None) -> Page[Provider]:
    """List providers with what is open, who calls them, and whether they are stopped."""
    answers = await participants.ask(_names(visit, participant), "providers", {})
    rows = sorted(answers.rows, key=lambda row: (row["participant"], row["name"]))
    return Page(items=[Provider.of(row) for row in rows], missing=answers.missing)


async def list_audit(
    at: At, actor: Filter = None, action: Filter = None, subject: Filter = None, limit: Limit = 50, after: After = None,
) -> Page[Entry]:  # fmt: skip
    """List what people did at a participant, the newest first."""
    wanted_ = {"actor": actor, "action": action, "subject": subject, "before": number(after), "limit": limit + 1}
    rows = (await _together(at, ("audit_page",), wanted_))["audit_page"]
    more = place(no=rows[limit - 1]["no"]) if len(rows) > limit else None
    return Page(items=[Entry.of(row) for row in rows[:limit]], next=more)


def _names(visit: Asking, participant: str | None) -> list[str]:
    return [name for name in visit.where("look") if participant in (None, name)]


async def _together(at: Participant, queries: tuple[str, ...], parameters: dict[str, Any]) -> dict[str, list[Any]]:
    """Ask one participant.

    Raises:
        HTTPException: 503, it does not answer.

    """
    try:
        return await at.together(queries, parameters)
    except psycopg.OperationalError as error:
        raise HTTPException(503, f"{at.name} does not answer: {in_words(error)}") from error
