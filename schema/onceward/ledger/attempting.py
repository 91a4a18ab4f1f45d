"""One attempt: runs the operation's code and says what its outcome proves."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from onceward.errors import InProgress, NotReached, NotSent, OperationError, Rejected, Throttled
from onceward.json_text import holds_nul
from onceward.providers import Operation, Sending
from onceward.providers.models import fault, readable
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

Verdict = Literal["applied", "rejected", "not_reached", "not_sent", "throttled", "in_progress", "absent", "unknown"]

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
)


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
    retry_after: timedelta | None = None


def send(operation: Operation[Any, Any, Any], sending: Sending) -> Finding:
    """Make the call. Never raises an Exception: what is not understood is `unknown`."""
    return _found(operation, sending, lookup=False)


def ask(operation: Operation[Any, Any, Any], sending: Sending) -> Finding:
    """Ask what became of the call: `applied`, `absent`, or `unknown`."""
    finding = _found(operation, sending, lookup=True)
    if finding.verdict in ("applied", "absent"):
        return finding
    return Finding(
        "unknown",
        f"the lookup failed: {finding.text}",
        finding.code,
        http_status=finding.http_status,
        answer=finding.answer,
        retry_after=finding.retry_after,
    )


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
        return _from_error(error)
    except Exception as error:  # noqa: BLE001 -- the same
        log.warning("%s: the attempt ended with an error of its code: %s", operation, trace(error))
        return Finding("unknown", f"our own code failed: {type(error).__name__}", "our_error", **_last(sending))
    if result is None and lookup:
        return Finding("absent", "the provider does not know of it", **_last(sending))
    return _applied(operation, result, sending)


def _from_error(error: OperationError) -> Finding:
    status = error.http_status
    wait = error.retry_after if isinstance(error, Throttled) else None
    return Finding(
        next((verdict for kind, verdict in _VERDICTS if isinstance(error, kind)), "unknown"),
        clean(str(error), 2000),
        error.code and clean(error.code, 100),
        http_status=status if status is not None and 100 <= status <= 999 else None,
        answer=error.answer and error.answer[:MAX_ANSWER],
        retry_after=wait and min(max(wait, timedelta(0)), MAX_WAIT),
    )


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
    return {"http_status": status, "answer": body[:MAX_ANSWER]}


def clean(text: str, longest: int) -> str:
    """Return `text` as PostgreSQL can store it, cut to `longest` characters."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\0")[:longest]
