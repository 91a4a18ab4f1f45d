"""What the API answers with."""

from typing import Any, Literal
from uuid import UUID

from onceward_relay.console.api.values import Moment, Money, Part, Row, money_of, plain
from onceward_relay.people.verdict import verdict


class Place(Part):
    """A participant, and what the token may do there."""

    name: str
    permissions: list[str]


class Incident(Part):
    """Something that waits for a person."""

    id: UUID
    participant: str
    kind: str
    group: str
    """What has one cause can often be decided at once."""
    severity: int
    """1: act now; 2: soon; 3: look."""
    title: str
    ref: str | None
    value: Money | None
    call: UUID | None
    flow: UUID | None
    message: UUID | None
    opened_at: Moment
    times: int
    act_before: Moment | None
    assignee: str | None
    snoozed_until: Moment | None

    @classmethod
    def of(cls, row: Row) -> "Incident":
        """Return the incident of a row."""
        about = {"call": row["call_id"], "flow": row["flow_id"], "message": row["message_id"], "group": row["grp"]}
        return cls(**plain(row, cls, **about, value=money_of(row)))


class Group(Part):
    """Incidents of one cause at one participant."""

    participant: str
    group: str
    kind: str
    count: int
    values: list[str]
    """One for each currency: `100 EUR`."""
    severity: int
    oldest: Moment
    act_before: Moment | None
    capped: bool
    """Whether there is more: it is counted from the 50,000 most severe and oldest of its participant."""

    @classmethod
    def of(cls, row: Row) -> "Group":
        """Return the group of a row."""
        return cls(**plain(row, cls, group=row["grp"], count=row["number"], values=row["values"] or []))


class Verb(Part):
    """What may be done, or why not."""

    verb: str
    allowed: bool
    why: str
    """What it would do, or what is in its way."""


class Attempt(Part):
    """One try of a call."""

    no: int
    kind: str
    worker: str
    scope: str
    began_at: Moment
    ended_at: Moment | None
    verdict: str | None
    """None: under way, or it never came back."""
    late: bool
    http_status: int | None
    detail: str | None


class Evidence(Part):
    """What somebody says about a call. Its report is told when it is revealed."""

    id: UUID
    kind: str
    says: str
    reference: str | None
    by_actor: str
    at: Moment
    body_sha256: str | None
    purged_at: Moment | None


class Undo(Part):
    """A call that reverses another, wholly or in part."""

    id: UUID
    operation: str
    state: str
    value: Money | None
    provider_ref: str | None
    error_text: str | None
    created_at: Moment
    settled_at: Moment | None


class Decision(Part):
    """What somebody proposed, and what became of it."""

    id: UUID
    participant: str
    verb: str
    call: UUID | None
    flow: UUID | None
    state: str
    seen_version: int
    body: Any
    """Masked: what the operation allows to be shown."""
    value: Money | None
    reason: str
    evidence: UUID | None
    batch: UUID | None
    approvals: int
    """Other people who have to agree."""
    solo: bool
    proposed_by: str
    proposed_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    decision_note: str | None
    not_before: Moment | None
    ended_at: Moment | None
    outcome: str | None

    @classmethod
    def of(cls, row: Row, participant: str) -> "Decision":
        """Return the decision of a row."""
        about = {name: row[f"{name}_id"] for name in ("call", "flow", "evidence", "batch")}
        return cls(**plain(row, cls, **about, participant=participant, value=money_of(row)))


class Entry(Part):
    """An entry of the audit."""

    no: int
    at: Moment
    actor: str
    db_role: str
    action: str
    subject_kind: str | None = None
    subject: str | None = None
    reason: str
    body: Any

    @classmethod
    def of(cls, row: Row) -> "Entry":
        """Return the entry of a row."""
        return cls(**plain(row, cls))


class Call(Part):
    """A call with what is known of it."""

    id: UUID
    participant: str
    verdict: str
    """What is known, in one sentence, and why nothing was sent again."""
    provider: str
    operation: str
    key: str
    ref: str | None
    value: Money | None
    state: str
    version: int
    """A decision names the version that was seen."""
    scope: str | None
    provider_ref: str | None
    request: Any
    """Masked: what the operation allows to be shown."""
    result: Any
    undo: str | None
    """The operation that would reverse it."""
    undo_request: Any
    undoes: UUID | None
    flow: UUID | None
    step: str | None
    error_code: str | None
    error_text: str | None
    difference: str | None
    due_at: Moment | None
    """When something automatic happens next."""
    created_at: Moment
    settled_at: Moment | None
    settled_by: str | None
    verbs: list[Verb]
    attempts: list[Attempt]
    undone_by: list[Undo]
    evidence: list[Evidence]
    decisions: list[Decision]
    history: list[Entry]

    @classmethod
    def of(cls, participant: str, parts: dict[str, list[Row]]) -> "Call":
        """Return the call of the queries of a call's page."""
        row = parts["call"][0]
        return cls(
            **plain(
                row,
                cls,
                participant=participant,
                verdict=verdict(row),
                value=money_of(row),
                flow=row["flow_id"],
                verbs=[Verb(**each) for each in row["verbs"]],
                attempts=[Attempt(**plain(each, Attempt)) for each in parts["call_attempts"]],
                undone_by=[Undo(**plain(each, Undo, value=money_of(each))) for each in parts["call_undos"]],
                evidence=[Evidence(**plain(each, Evidence)) for each in parts["call_evidence"]],
                decisions=[Decision.of(each, participant) for each in parts["decisions_about"]],
                history=[Entry.of(each) for each in parts["history"]],
            )
        )


class Step(Part):
    """A step of a flow."""

    step: str
    seq: int | None
    kind: str
    state: str
    value: Money | None
    at: Moment
    call: UUID | None
    known: str | None
    undo: str | None
    to_undo: bool
    """Whether undoing the flow would reverse it."""


class Flow(Part):
    """A flow with its steps."""

    id: UUID
    participant: str
    name: str
    key: str
    state: str
    version: int
    undoing: bool
    undo_reason: str | None
    pivot_step: str | None
    paused_at: Moment | None
    due_at: Moment | None
    waits_for: list[str]
    failures: int
    error: str | None
    created_at: Moment
    ended_at: Moment | None
    steps: list[Step]
    verbs: list[Verb]
    decisions: list[Decision]
    history: list[Entry]

    @classmethod
    def of(cls, participant: str, parts: dict[str, list[Row]]) -> "Flow":
        """Return the flow of the queries of a flow's page."""
        row = parts["flow"][0]
        return cls(
            **plain(
                row,
                cls,
                participant=participant,
                waits_for=row["waits_for"] or [],
                steps=[
                    Step(**plain(each, Step, value=money_of(each), call=each["call_id"]))
                    for each in parts["flow_steps"]
                ],
                verbs=[Verb(**each) for each in row["verbs"]],
                decisions=[Decision.of(each, participant) for each in parts["decisions_about"]],
                history=[Entry.of(each) for each in parts["history"]],
            )
        )


class Found(Part):
    """Something that goes by a text."""

    participant: str
    kind: str
    """call, flow, incident, decision, or a message."""
    id: str
    title: str
    state: str
    ref: str | None
    value: Money | None
    at: Moment
    by: str
    """What of it is the text."""

    @classmethod
    def of(cls, row: Row) -> "Found":
        """Return what a row found."""
        return cls(**plain(row, cls, value=money_of(row)))


class Provider(Part):
    """An outside API."""

    participant: str
    name: str
    operations: list[str]
    stopped_at: Moment | None
    stopped_by: str | None
    stop_reason: str | None
    open: int
    """Calls that are not settled."""
    in_doubt: int
    workers: int
    """That were seen in the last minute."""
    resting_at: list[str]
    """Workers that give it a rest, for it failed several times in a row."""
    in_flight: int | None
    per_second: float | None
    seen_at: Moment

    @classmethod
    def of(cls, row: Row) -> "Provider":
        """Return the provider of a row."""
        lists = {"operations": row["operations"] or [], "resting_at": row["resting_at"] or []}
        return cls(**plain(row, cls, **lists))


class Content(Part):
    """A part of a call, unmasked."""

    what: str
    text: str | None = None
    base64: str | None = None
    """Where it is no text."""


class Done(Part):
    """It was recorded."""

    done: Literal[True] = True
    note: str
    """What comes next."""
