"""One attempt: runs the operation's code and says what its outcome proves."""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from onceward.errors import Accepted, InProgress, NotReached, NotSent, OperationError, Rejected, Throttled
from onceward.json_text import holds_nul
from onceward.providers import Operation, Sending
from onceward.providers.models import fault, readable
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

Verdict = Literal[
    "applied", "accepted", "rejected", "not_reached", "not_sent", "throttled", "in_progress", "absent", "unknown"
]

MAX_ANSWER = 65536
"""Bytes of an answer that are kept."""

MAX_WAIT = timedelta(hours=1)
"""The longest wait that a provider may ask for."""

_VERDICTS: tuple[tuple[type[OperationError], Verdict], ...] = (
    (Rejected, "rejected"),
    (NotReached, "not_reached"),
    (NotSent, "not_sent"),
    (Throttled, "throttled"),
    (InProgress, "in_progress"),
    (Accepted, "accepted"),
)
_UNAUTHORIZED = (401, 403)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an attempt proves, and what is recorded of it."""

    verdict: Verdict
    text: str
    code: str | None = None
    result: BaseModel | None = None
    stored: str | None = None
    """The result as JSON."""
    http_status: int | None = None
    answer: bytes | None = None
    """Its first MAX_ANSWER bytes."""
    answer_sha256: bytes | None = None
    """Of all of it."""
    retry_after: timedelta | None = None
    unauthorized: bool = False
    """The provider refused our credential."""
    reference: str | None = None
    """By which the provider knows what it has accepted."""


def send(operation: Operation[Any, Any, Any], sending: Sending) -> Finding:
    """Make the call. Never raises an Exception: what is not understood is `unknown`."""
    return _found(operation, sending, lookup=False)


def ask(operation: Operation[Any, Any, Any], sending: Sending) -> Finding:
    """Ask what became of the call: `applied`, `absent`, `accepted`, `rejected`, or `unknown`.

    A status by which the provider refuses to be asked is no refusal of the call.
    """
    finding = _found(operation, sending, lookup=True)
    if finding.verdict in ("applied", "absent", "accepted"):
        return finding
    if finding.verdict == "rejected" and finding.http_status is None:
        return finding
    return replace(finding, verdict="unknown", text=f"the lookup failed: {finding.text}")


def told(operation: Operation[Any, Any, Any], document: bytes | str) -> Finding:
    """Read the result of a call that somebody else tells of: `applied`, or `unknown` with what is wrong with it."""
    try:
        result = operation.result(document)
    except ValueError as error:
        return Finding("unknown", clean(fault(error), 2000), "unreadable")
    return _storable(result)


def _found(operation: Operation[Any, Any, Any], sending: Sending, *, lookup: bool) -> Finding:
    try:
        client = operation.provider.client
        request = operation.request(sending.body)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the finding says what it proves
        log.warning("%s: nothing was sent, our own code failed: %s", operation, trace(error))
        return Finding("not_sent", f"our own code failed before sending: {type(error).__name__}", "our_error")
    try:
        if lookup:
            assert operation.found is not None
            result = operation.found.ask(client, request, sending)
        else:
            result = operation.run(client, request, sending)
    except OperationError as error:
        return _from_error(operation, error)
    except Exception as error:  # noqa: BLE001 -- the same
        log.warning("%s: the attempt ended with an error of its code: %s", operation, trace(error))
        return Finding("unknown", f"our own code failed: {type(error).__name__}", "our_error", **_last(sending))
    if result is None and lookup:
        return Finding("absent", "the provider does not know of it", **_last(sending))
    return _applied(operation, result, sending)


def _from_error(operation: Operation[Any, Any, Any], error: OperationError) -> Finding:
    status = error.http_status
    wait = error.retry_after if isinstance(error, Throttled) else None
    finding = Finding(
        next((verdict for kind, verdict in _VERDICTS if isinstance(error, kind)), "unknown"),
        clean(str(error), 2000),
        error.code and clean(error.code, 100),
        http_status=status if status is not None and 100 <= status <= 999 else None,
        **_kept(error.answer),
        retry_after=wait and min(max(wait, timedelta(0)), MAX_WAIT),
        unauthorized=isinstance(error, Throttled) and status in _UNAUTHORIZED,
    )
    return _accepted(operation, finding, error) if isinstance(error, Accepted) else finding


def _accepted(operation: Operation[Any, Any, Any], finding: Finding, error: Accepted) -> Finding:
    if operation.expect_within is None:
        problem = (
            f"{finding.text}, but {operation} does not declare expect_within, so nobody would wait for the outcome"
        )
        return replace(finding, verdict="unknown", text=problem)
    reference = error.reference
    if reference is None and operation.ref is not None and error.answer:
        try:
            reference = operation.ref(operation.result(error.answer))
        except Exception as fault:  # noqa: BLE001 -- the answer need not be a result, and the function is the team's
            log.info("%s: what was accepted has no reference that could be read: %s", operation, type(fault).__name__)
    return replace(finding, reference=reference and clean(str(reference), 1000))


def _applied(operation: Operation[Any, Any, Any], result: object, sending: Sending) -> Finding:
    if not isinstance(result, operation.result_type):
        return Finding(
            "unknown", f"our own code returned no {operation.result_type.__name__}", "our_error", **_last(sending)
        )
    return _storable(result, **_last(sending))


def _storable(result: BaseModel, **answer: Any) -> Finding:
    try:
        stored = readable(result)
    except ValueError as error:
        text = f"the result cannot be stored and read again: {fault(error)}"
        return Finding("unknown", clean(text, 2000), "unreadable", **answer)
    if holds_nul(stored):
        return Finding("unknown", "the result holds a NUL, which cannot be stored", "unreadable", **answer)
    return Finding("applied", "took effect", result=result, stored=stored, **answer)


def _last(sending: Sending) -> dict[str, Any]:
    if not sending.answers:
        return {}
    status, body = sending.answers[-1]
    return {"http_status": status, **_kept(body)}


def _kept(answer: bytes | None) -> dict[str, Any]:
    if not answer:
        return {}
    return {"answer": answer[:MAX_ANSWER], "answer_sha256": hashlib.sha256(answer).digest()}


def clean(text: str, longest: int) -> str:
    """Return `text` as PostgreSQL can store it, cut to `longest` characters."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\0")[:longest]
