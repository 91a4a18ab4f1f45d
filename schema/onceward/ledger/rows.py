"""What is written of operations and calls, from the code's declarations and the caller's request."""

import hashlib
import json
from typing import Any, TypeVar

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from onceward import tracing
from onceward.errors import ConfigError
from onceward.ledger.attempting import clean
from onceward.ledger.outcomes import FlowStep
from onceward.ledger.terms import Terms
from onceward.providers import Operation, Provider

Q = TypeVar("Q", bound=BaseModel)

MAX_REF = 1024
"""Bytes of a business reference."""


def limits(provider: Provider[Any]) -> dict[str, Any]:
    """Return the row of a provider."""
    return {"name": provider.name, "in_flight": provider.in_flight, "per_second": provider.per_second}


def declaration(operation: Operation[Any, Any, Any]) -> dict[str, Any]:
    """Return the row of an operation."""
    terms = Terms.of(operation)
    return {
        "provider": operation.provider.name,
        "name": operation.name,
        "repeat": terms.repeat,
        "key_lifetime": terms.key_lifetime,
        "replays": terms.replays,
        "rejects_final": operation.rejects_final,
        "expect_within": operation.expect_within,
        "lookup": terms.lookup,
        "settle_delay": terms.settle_delay,
        "timeout": terms.timeout,
        "moves_value": operation.value is not None,
        "undo": operation.undo and operation.undo.operation.name,
        "shown": operation.show,
        "request_schema": Jsonb(operation.request_type.model_json_schema()),
        "result_schema": Jsonb(operation.result_type.model_json_schema()),
    }


def call(operation: Operation[Any, Q, Any], request: Q, ref: str | None) -> dict[str, Any]:
    """Return what is recorded of a call before it is made.

    Raises:
        ConfigError: something of it cannot be recorded; names what.
    """
    if ref is not None and (clean(ref, MAX_REF) != ref or len(ref.encode()) > MAX_REF):
        raise ConfigError("ref", f"must be at most {MAX_REF} bytes of valid text without NUL")
    money = operation.value(request) if operation.value else None
    body = operation.body(request)
    return {
        "provider": operation.provider.name,
        "operation": operation.name,
        "request": body,
        "fingerprint": fingerprint(body),
        "ref": ref,
        "amount": money and money.amount,
        "currency": money and money.currency,
        "scope": operation.provider.present_scope(),
        "trace": json.dumps(place) if (place := tracing.carrier()) else None,
    }


def step(flow: FlowStep | None) -> dict[str, Any]:
    """Return where a call belongs."""
    return {
        "flow_id": flow and flow.flow_id,
        "step": flow and flow.step,
        "flow_epoch": flow and flow.epoch,
        "seq": flow and flow.seq,
        "pivot": flow is not None and flow.pivot,
        "start_within": flow and flow.start_within,
        "undoes": flow and flow.undoes,
    }


def proof(operation: Operation[Any, Any, Any]) -> dict[str, Any]:
    """Return what a resend has to be measured by."""
    terms = Terms.of(operation)
    return {"always": terms.repeat == "always", "key_lifetime": terms.key_lifetime, "timeout": terms.timeout}


def fingerprint(body: bytes) -> bytes:
    """Return the SHA-256 of a request."""
    return hashlib.sha256(body).digest()


def means(operation: Operation[Any, Any, Any], stored: bytes | None, request: BaseModel) -> bool:
    """Whether the stored bytes mean `request` in today's model, with a new field perhaps. Purged ones do not."""
    if stored is None:
        return False
    try:
        return bool(operation.request(bytes(stored)) == request)
    except ValidationError:
        return False
