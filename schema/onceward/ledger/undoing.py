"""Undoing what a flow's calls did: by calls of their own, under the same rules, with requests that were kept for it."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from pydantic import BaseModel
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from onceward.errors import ConfigError, OncewardError, Suspended
from onceward.ledger import store
from onceward.ledger.learning import undo_request
from onceward.ledger.ledger import Ledger
from onceward.ledger.outcomes import Failed, FlowStep, Unsettled
from onceward.ledger.store import Record
from onceward.providers import Operation
from onceward.wordless import server_words

BEYOND = "OW002"
"""SQLSTATE of the refusal to undo more of a call than it did."""


class UndoFailed(OncewardError):
    """A call whose effect code cannot reverse."""

    def __init__(self, call: Record, why: str) -> None:
        super().__init__(f"{call.provider}/{call.operation} cannot be undone: {why}")
        self.call = call
        """The call that is to be undone."""


def start(connection: Connection, flow_id: UUID, reason: str, resolution_id: UUID | None = None) -> bool:
    """Have a flow undone from now on, whose row the caller has locked; return False if it cannot be.

    It cannot if it is undone or closed already, or if its pivot succeeded or still may.
    """
    connection.execute(store.sql("undo_pending"), {"flow_id": flow_id})
    decision = {"reason": reason, "resolution_id": resolution_id}
    return store.one(connection, "start_undo", flow_id=flow_id, **decision) is not None


class Undoing:
    """Undoes the calls of flows, one after the other."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._ledger = ledger

    def calls(self, flow_id: UUID) -> Sequence[Record]:
        """Return the calls of a flow that took effect, the last first, once nothing of it is under way any more.

        Raises:
            Suspended: something still is.
        """
        with self._engine.begin() as connection:
            connection.execute(store.sql("undo_pending"), {"flow_id": flow_id})
            calls = connection.execute(store.sql("undo_plan"), {"flow_id": flow_id}).all()
        for call in calls:
            if call.state != "succeeded":
                raise Suspended(f"call {call.id} is not settled")
        return calls

    def undo(self, call: Record, flow_id: UUID, epoch: int, cover: Callable[[float], None]) -> None:
        """Undo what is left of a call. `cover` is told how many seconds that may take.

        Raises:
            Suspended: what undoes it is not settled.
            UndoFailed: that was refused, or nothing can undo it.
            LeaseLost: another worker has the flow.
        """
        if call.undone:
            return
        if call.unsettled:
            raise Suspended(f"what undoes call {call.id} is not settled")
        operation = self._operation(call)
        if operation.undo is None:
            if call.amount is None:
                return  # nothing was declared that would have to be reversed
            raise UndoFailed(call, "it moves value, and no operation is declared that undoes it")
        if call.request is None:
            raise UndoFailed(call, "its contents were purged")
        request = _request(operation, call)
        cover(operation.undo.operation.timeout.total_seconds())
        step = FlowStep(flow_id, f"undo {call.step}", epoch, undoes=call.id)
        try:
            outcome = self._ledger.call(operation.undo.operation, request, flow=step, ref=call.ref)
        except DBAPIError as error:
            if not (isinstance(error.orig, psycopg.Error) and error.orig.sqlstate == BEYOND):
                raise
            raise UndoFailed(call, server_words(error.orig)) from error
        if isinstance(outcome, Unsettled):
            raise Suspended(f"what undoes call {call.id} is not settled: {outcome.reason}")
        if isinstance(outcome, Failed):
            raise UndoFailed(call, f"that was refused: {outcome.text}")

    def _operation(self, call: Record) -> Operation[Any, Any, Any]:
        found = self._ledger.operation(call.provider, call.operation)
        if found is None:
            raise ConfigError("operation", f"{call.provider}/{call.operation} is declared no more, and is to be undone")
        return found


def _request(operation: Operation[Any, Any, Any], call: Record) -> BaseModel:
    """Return what undoes a call: the request that was kept, or one computed now, by code that may have been mended."""
    assert operation.undo is not None
    try:
        if call.undo_request is None:
            result = operation.result(json.dumps(call.result))
            kept = undo_request(operation, operation.request(bytes(call.request)), result, call.id)
        else:
            kept = bytes(call.undo_request)
        if kept is None:
            raise UndoFailed(call, "the request that would undo it could not be computed")
        found: BaseModel = operation.undo.operation.request(kept)
        return found
    except ValueError as error:
        raise UndoFailed(call, "the request that would undo it cannot be read") from error
