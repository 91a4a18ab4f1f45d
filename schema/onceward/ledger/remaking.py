"""Calls that people have made: a failed one again under another key, and one that reverses what succeeded."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection

from onceward.errors import ConfigError
from onceward.ids import derived
from onceward.incidents import Kind
from onceward.ledger import rows, store
from onceward.ledger.store import Record
from onceward.providers import Money, Operation
from onceward.providers.models import fault

STANDSTILLS: tuple[Kind, ...] = ("flow_error", "stuck_after_pivot", "undo_failed")
"""Incidents of a flow that stands still because a call has failed."""


class Refused(Exception):
    """A decision that cannot be carried out; says why, in words for people."""


def make_again(connection: Connection, operation: Operation[Any, Any, Any], decision: Record, call: Record) -> str:
    """Make a failed call of a flow again, under another key, and let the flow go on with that."""
    new_id = derived(str(call.flow_id), call.step, str(call.take + 1))
    flow = {"flow_id": call.flow_id}
    if call.flow_id is None or store.one(connection, "take_up_flow", **flow) is None:
        raise Refused("it belongs to no flow that could go on")
    _insert(connection, "new_take", call, decision, new_id)
    closed = {"by": decision.decided_by, "all": False, "kinds": list(STANDSTILLS)}
    connection.execute(store.sql("close_incidents_of_flow"), flow | closed)
    return f"{operation} is made again as call {new_id}"


def refund(connection: Connection, operation: Operation[Any, Any, Any], decision: Record, call: Record) -> str:
    """Reverse a call that succeeded, or the part of it that the decision names."""
    if operation.undo is None:
        raise Refused(f"{operation} declares nothing that reverses it")
    undo = operation.undo.operation
    body, request = _request(undo, decision, call)
    money = undo.value(request) if undo.value else None
    _check_money(undo, money, decision, call)
    new_id = derived(str(decision.id))
    row: dict[str, Any] = {"operation": undo.name, "request": body, "fingerprint": rows.fingerprint(body)}
    row |= {"step": f"refund {decision.id}", "amount": money and money.amount, "currency": money and money.currency}
    made = _insert(connection, "refund", call, decision, new_id, **row)
    return f"call {new_id} reverses {_words(made.amount, made.currency)}"


def _insert(connection: Connection, statement: str, call: Record, decision: Record, new_id: UUID, **row: Any) -> Record:
    """Insert a call that waits to be sent; its key is its id."""
    made = store.one(connection, statement, id=call.id, new_id=new_id, key=str(new_id), decision=decision.id, **row)
    if made is None:
        raise Refused(f"it is {call.state}")
    return made


def _request(undo: Operation[Any, Any, Any], decision: Record, call: Record) -> tuple[bytes, BaseModel]:
    """Return what is sent: what the decision says, else the bytes that were kept for it."""
    kept = decision.request if decision.request is not None else call.undo_request
    if kept is None:
        raise Refused("request: none is known that reverses this call")
    try:
        request = undo.request(kept if isinstance(kept, bytes) else kept.encode())
        return (undo.body(request) if decision.request is not None else bytes(kept)), request
    except ConfigError as error:
        raise Refused(str(error)) from error
    except ValueError as error:
        raise Refused(f"request: {fault(error)}") from error


def _check_money(undo: Operation[Any, Any, Any], money: Money | None, decision: Record, call: Record) -> None:
    """Refuse a request for other money than was decided on. One that names none reverses all."""
    asked = (money.amount, money.currency) if money else (call.amount, call.currency)
    if decision.amount is not None and asked != (decision.amount, decision.currency):
        decided = _words(decision.amount, decision.currency)
        raise Refused(f"amount: {undo} would reverse {_words(*asked)}, but {decided} was decided")


def _words(amount: Any, currency: str | None) -> str:
    return "all of it" if amount is None else f"{amount.normalize():f} {currency}"
