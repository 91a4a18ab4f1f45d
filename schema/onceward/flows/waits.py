"""What a flow waits for: a message or a time. Both are rows, so that thousands that wait cost nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from onceward.errors import BadStep
from onceward.flows import store
from onceward.flows.steps import Question, Recorded
from onceward.flows.store import Claim
from onceward.incidents import Kind, close_incidents, open_incident

LONGEST = timedelta(days=36500)
"""The longest time that a flow may wait for."""
NOTHING = "null"
"""The result of a wait that gave up."""
OVERDUE: tuple[Kind, ...] = ("overdue",)
UNMATCHED: tuple[Kind, ...] = ("unmatched",)


@dataclass(frozen=True, slots=True)
class Wait:
    """A step that waits."""

    step: str
    seq: int
    question: Question
    recorded: Recorded | None
    limit: timedelta | None
    """How long, from its beginning."""
    gives_up: bool = False
    """What it does then: it ends without a message. Else that is told, and it waits on."""


@dataclass(frozen=True, slots=True)
class StillWaits:
    """It has to wait on."""

    until: datetime | None
    """At most until then; None: until something happens."""


def duration(limit: timedelta, what: str) -> timedelta:
    """Return `limit` if one can wait for so long.

    Raises:
        BadStep: it is no positive time of at most a hundred years.
    """
    given: object = limit
    if not isinstance(given, timedelta) or not timedelta(0) < given <= LONGEST:
        raise BadStep(f"{what} must be a positive timedelta of at most {LONGEST.days} days, is {given!r}")
    return given


def look(connection: Connection, claim: Claim, wait: Wait, event_type: str) -> str | StillWaits:
    """Take the oldest message of a type, once, as the answer that `wait` is for; return it as JSON.

    The flow's row must be locked by this transaction: what comes meanwhile is seen by the next look, or raises the
    flow's signals after they were read.
    """
    place = {"name": claim.name, "key": claim.key}
    if taken := store.run(connection, "take_signal", step=wait.step, type=event_type, **place):
        if taken[0].told_at is not None:
            close_incidents(connection, message_id=taken[0].message_id, kinds=UNMATCHED, by=f"step {wait.step}")
        if wait.recorded is not None and wait.recorded.until is None:
            close_incidents(connection, flow_id=claim.id, kinds=OVERDUE, by=f"step {wait.step}")
        return _end(connection, claim, wait, taken[0].body)
    if wait.recorded is None:
        return StillWaits(begin(connection, claim, wait))
    if not wait.recorded.over:
        return StillWaits(wait.recorded.until)
    if wait.gives_up:
        return _end(connection, claim, wait, NOTHING)
    _tell_late(connection, claim, wait, event_type)
    return StillWaits(None)


def begin(connection: Connection, claim: Claim, wait: Wait) -> datetime | None:
    """Record that the flow waits; return when that is late or over."""
    until: datetime | None = store.run(connection, "begin_wait", limit=wait.limit, **_row(claim, wait))[0].until
    return until


def _end(connection: Connection, claim: Claim, wait: Wait, result: str) -> str:
    kept: str = store.run(connection, "end_wait", result=result, **_row(claim, wait))[0].result
    return kept


def _tell_late(connection: Connection, claim: Claim, wait: Wait, event_type: str) -> None:
    for row in store.run(connection, "overdue", id=claim.id, step=wait.step):
        open_incident(
            connection,
            "overdue",
            flow_id=claim.id,
            ref=claim.key,
            grp=f"{claim.name}/{wait.step}",
            severity=2,
            title=f"Flow {claim.name} has waited for {event_type} since {row.at:%Y-%m-%d %H:%M:%S %Z} and waits on",
        )


def _row(claim: Claim, wait: Wait) -> dict[str, object]:
    question = wait.question
    return {
        "id": claim.id,
        "step": wait.step,
        "seq": wait.seq,
        "kind": question.kind,
        "fingerprint": question.fingerprint,
    }
