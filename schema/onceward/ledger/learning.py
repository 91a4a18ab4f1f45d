"""What the result of a call tells beyond itself, by the team's functions. A fault in these must not cost the result."""

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from onceward.ledger.attempting import clean
from onceward.ledger.store import Record
from onceward.providers import Operation
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")


@dataclass(frozen=True, slots=True)
class Learned:
    """What a result tells beyond itself."""

    undo_request: bytes | None
    """What would undo the call; None if nothing is declared, or it could not be computed."""
    difference: str | None
    """What the provider did other than it was asked."""


def learn(operation: Operation[Any, Any, Any], call: Record, result: BaseModel) -> Learned:
    """Compare the result with the request, and compute what would undo the call."""
    try:
        request = operation.request(bytes(call.request))
    except ValueError as error:
        log.warning("%s: the request of call %s cannot be read any more: %s", operation, call.id, trace(error))
        return Learned(None, None if operation.differs is None else "the request cannot be read any more")
    return Learned(undo_request(operation, request, result, call.id), _difference(operation, request, result, call.id))


def _difference(
    operation: Operation[Any, Any, Any], request: BaseModel, result: BaseModel, call_id: UUID
) -> str | None:
    if operation.differs is None:
        return None
    try:
        difference = operation.differs(request, result)
    except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told, and a person looks
        log.warning("%s: the check of call %s failed: %s", operation, call_id, trace(error))
        return "the check of the result failed"
    return None if difference is None else clean(str(difference), 1000)


def undo_request(
    operation: Operation[Any, Any, Any], request: BaseModel, result: BaseModel, call_id: UUID
) -> bytes | None:
    """Return what would undo a call, as it would be sent; None if nothing is declared, or the team's function fails."""
    if operation.undo is None:
        return None
    try:
        return operation.undo.operation.body(operation.undo.request(request, result))
    except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told, and must not cost the result
        log.warning("%s: what would undo call %s could not be computed: %s", operation, call_id, trace(error))
        return None
