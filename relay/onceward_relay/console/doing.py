"""Doing what a form asks for: by a function of the schema, its refusal told in words and recorded in the audit."""

import logging
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request

from onceward_relay.console.participants import Participant
from onceward_relay.people.deciding import DENIED, Attempt, in_words

log = logging.getLogger(__name__)
REFUSALS = {"P0002": 404, "22023": 400, "22P02": 400, "23505": 409, "23514": 400, "42501": 403, "55P03": 409}
"""Statuses of refusals, by their SQLSTATE; those of DENIED that are not here are conflicts with how things stand."""
NOTHING_CHANGED = "Nothing was changed."


def attempt_of(request: Request, action: str, kind: str, subject: object) -> Attempt:
    """Return what the person who sent a form tries to do, with the form's reason."""
    reason = str(request.state.form.get("reason", "")).strip()
    return Attempt(request.state.visit.person, action, kind, str(subject), reason)


async def do(participant: Participant, attempt: Attempt, function: str, **arguments: Any) -> list[DictRow]:
    """Call a function as the person and return its rows. Its actor and reason are those of the attempt.

    Raises:
        HTTPException: it was refused, or the participant does not answer. Nothing was changed.
        psycopg.Error: it failed, and may have been done.

    """
    call = (function, {**arguments, "actor": attempt.actor, "reason": attempt.reason})
    try:
        return await participant.decide(call)
    except PoolTimeout as error:
        raise HTTPException(503, f"{participant.name} does not answer. {NOTHING_CHANGED}") from error
    except psycopg.Error as error:
        status = REFUSALS.get(error.sqlstate or "") or (409 if error.sqlstate in DENIED else None)
        if status is None:
            raise
        words = in_words(error)
        if error.sqlstate in DENIED:
            await record_denied(participant, attempt, words)
        raise HTTPException(status, f"{words}. {NOTHING_CHANGED}") from error


async def record_denied(participant: Participant, attempt: Attempt, words: str) -> None:
    """Record in the participant's audit what was refused: in a transaction of its own, for the other is rolled back."""
    tried: Mapping[str, Any] = {
        "actor": attempt.actor, "action": attempt.action, "subject_kind": attempt.kind, "subject": attempt.subject,
        "reason": attempt.reason, "error": words,
    }  # fmt: skip
    try:
        await participant.decide(("denied", tried))
    except psycopg.Error as error:
        log.warning("a denied attempt at %s was not recorded: %s", participant.name, type(error).__name__)
