"""Deciding as a person, by the functions of the schema. Nothing here knows of pages: pages and the API do the same."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid5

import psycopg
from psycopg.rows import DictRow

from onceward_relay.console.participants import Participant
from onceward_relay.people.deciding import DENIED, Attempt, in_words

log = logging.getLogger(__name__)
Call = tuple[str, Mapping[str, Any]]
"""A function of the schema and its arguments by name."""
Kind = Literal["call", "flow", "incident"]

SLIPS = {"P0002": 404, "22023": 400, "22P02": 400, "22P05": 400, "22003": 400, "23505": 409, "23514": 400, "55P03": 409}
"""HTTP statuses of refusals that are no denial, by SQLSTATE."""
FIELDS = frozenset({"22023", "23514", "OW002", "OW004"})
"""SQLSTATEs whose message begins with the name of the field that is wrong."""


class Refused(Exception):
    """The database refused. Nothing was changed."""

    def __init__(self, words: str, sqlstate: str) -> None:
        super().__init__(words)
        self.words = words
        """Why, and what to do, in one line."""
        self.sqlstate = sqlstate

    @property
    def status(self) -> int:
        """The HTTP status that says it."""
        return SLIPS.get(self.sqlstate, 403 if self.sqlstate == "42501" else 409)

    @property
    def field(self) -> str | None:
        """The field that is wrong, if it is one."""
        name, colon, _ = self.words.partition(": ")
        return name if colon and name.isidentifier() and self.sqlstate in FIELDS else None

    @property
    def stale(self) -> bool:
        """Whether it has changed since the person saw it."""
        return self.sqlstate == "OW004"


class Unanswered(Exception):
    """The participant did not answer. What was asked for may have been done; with the same ids it is done once."""

    def __init__(self, participant: str) -> None:
        super().__init__(participant)
        self.words = (
            f"{participant} did not answer, so it is not known whether this was done;"
            " look, or send the same form again: it counts once"
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person has found out about a call."""

    kind: str
    """statement, provider_screen or provider_support."""
    says: str
    """applied, not_applied or unclear."""
    reference: str | None = None
    body: bytes | None = None
    """The report itself: at most 1 MiB, of any bytes."""

    def calls(self, id_: UUID, call: UUID, actor: str) -> list[Call]:
        """Return what is called to add it."""
        given = {"kind": self.kind, "says": self.says, "reference": self.reference, "body": self.body}
        return [("add_evidence", {"id": id_, "call": call, **given, "actor": actor})]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision that others may have to agree to, and that a worker carries out."""

    verb: str
    subject: UUID
    decision: UUID
    """Its identity: sent twice, it is one."""
    seen_version: int
    body: dict[str, Any] = field(default_factory=dict)
    amount: Decimal | None = None
    """Typed by hand; None: that of the call."""
    evidence: Evidence | UUID | None = None
    """New evidence, which is added in the same transaction, or the id of what is there."""
    batch: UUID | None = None

    def calls(self, actor: str, reason: str) -> list[Call]:
        """Return what is called, in one transaction, to propose it."""
        added: list[Call] = []
        evidence = self.evidence
        if isinstance(evidence, Evidence):
            id_ = uuid5(self.decision, "evidence")
            added, evidence = evidence.calls(id_, self.subject, actor), id_
        decision = {
            "id": self.decision, "verb": self.verb, "subject": self.subject, "seen_version": self.seen_version,
            "actor": actor, "reason": reason, "body": self.body, "amount": self.amount, "evidence": evidence,
            "batch": self.batch,
        }  # fmt: skip
        return [*added, ("propose", decision)]


def at_once(verb: str, kind: Kind, subject: UUID, actor: str, reason: str, until: datetime | None = None) -> Call:
    """Return what is called for a verb that takes effect at once; `reason` is the text of a note."""
    match verb:
        case "lookup" | "resend":
            return "ask", {"call": subject, "what": verb, "actor": actor, "reason": reason}
        case "resume" | "pause":
            return verb, {"flow": subject, "actor": actor, "reason": reason}
        case "claim" | "unclaim":
            return verb, {"incident": subject, "actor": actor}
        case "close" if kind == "incident":
            return "close_incident", {"incident": subject, "actor": actor, "reason": reason}
        case "snooze":
            return verb, {"incident": subject, "until": until, "actor": actor, "reason": reason}
        case "note":
            return verb, {"subject_kind": kind, "subject": str(subject), "note": reason, "actor": actor}
        case "approve" | "reject" | "withdraw":
            return verb, {"id": subject, "actor": actor, "reason": reason}
    raise ValueError(verb)


async def decide(participant: Participant, attempt: Attempt, *calls: Call) -> list[DictRow]:
    """Call functions in one transaction and return the rows of the last.

    A refusal that is about the person or the state of things is recorded in the participant's audit.

    Raises:
        Refused: nothing was changed.
        Unanswered: it may have been done.

    """
    try:
        return await participant.decide(*calls)
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        if sqlstate in DENIED or sqlstate in SLIPS:
            words = in_words(error)
            if sqlstate in DENIED:
                await denied(participant, attempt, words)
            raise Refused(words, sqlstate) from error
        if isinstance(error, psycopg.OperationalError):
            log.warning("participant %s did not answer a decision: %s", participant.name, type(error).__name__)
            raise Unanswered(participant.name) from error
        raise


async def denied(participant: Participant, attempt: Attempt, words: str) -> None:
    """Record in the participant's audit what was refused: in a transaction of its own, for the other is rolled back."""
    tried = {
        "actor": attempt.actor, "action": attempt.action, "subject_kind": attempt.kind, "subject": attempt.subject,
        "reason": attempt.reason, "error": words,
    }  # fmt: skip
    try:
        await participant.decide(("denied", tried))
    except psycopg.Error as error:
        log.warning("a denied attempt at %s could not be recorded: %s", participant.name, type(error).__name__)
