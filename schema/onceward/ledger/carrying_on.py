"""Carries on with calls that are due: sends them again, asks what became of them, or leaves them to people."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine

from onceward.ledger import rows, store
from onceward.ledger.gate import Gate, Visit
from onceward.ledger.history import caution
from onceward.ledger.making import SEND_WINDOW, Making, scope_of, sending
from onceward.ledger.settling import Settling
from onceward.ledger.store import Record
from onceward.ledger.terms import Terms
from onceward.providers import Operation, Provider

STOPPED_DELAY = timedelta(minutes=15)
"""Between looks at a call of a provider that is stopped. Who starts it again has its calls looked at at once."""


class CarryingOn:
    """Carries on with the calls of one ledger. Any number of threads and workers may do so at once.

    Args:
        engine: of the participant's database.
        providers: whose calls are carried on with, by name.
        gates: one for each of them.
        settling: says what is to be done with a call.
        making: makes the attempts.
        worker: who makes them, for the record.
    """

    def __init__(
        self,
        engine: Engine,
        providers: Mapping[str, Provider[Any]],
        gates: Mapping[str, Gate],
        settling: Settling,
        making: Making,
        worker: str,
    ) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._providers = providers
        self._gates = gates
        self._settling = settling
        self._making = making
        self._worker = worker

    def carry_on(self, name: str) -> bool:
        """Carry on with the call of a provider that has been due for longest: resend, ask, or leave it to people.

        Any number of threads and workers may do so at once; each call is one's at a time. Returns False if no call is
        due, or none can be made now.
        """
        provider = self._providers[name]
        scope = scope_of(provider)
        with self._gates[name].visit() as visit:
            if scope is None or visit.obstacle is not None:
                return False
            with self._engine.begin() as connection:
                lost_since = store.durable(connection)
                due = store.one(connection, "due", provider=name, operations=list(provider.operations))
                if due is None:
                    return False
                operation = provider.operations[due.operation]
                to_send = sending(operation, due.key, bytes(due.request), due.provider_ref)
                if self._spare(connection, operation, due, scope, lost_since):
                    return True
                begun = self._next_attempt(connection, operation, due, scope, visit)
            if begun is not None:
                self._making.make(operation, begun, to_send, visit)
        return True

    def _next_attempt(
        self, connection: Connection, operation: Operation[Any, Any, Any], due: Record, scope: str, visit: Visit
    ) -> Record | None:
        """Claim the call for its next attempt, if there is to be one now."""
        if due.state == "in_flight":
            expired = {"id": due.id, "send_window": SEND_WINDOW}
            connection.execute(store.sql("expire"), expired)  # it is due again at once, in doubt
            return None
        if due.state == "pending" and self._settling.cancel(connection, due):
            return None
        move = self._settling.move(connection, operation, due, scope)
        if move == "nothing" or self._put_off(connection, due, move, visit):
            return None
        claim = {"id": due.id, **self._making.claim(operation)}
        if move == "send":
            begun = store.one(connection, "send_again", scope=scope, **claim, **rows.proof(operation))
        else:
            begun = store.one(connection, "ask", **claim)
        if begun is not None:
            self._record_attempt(connection, begun, scope)
        return begun

    def _spare(
        self,
        connection: Connection,
        operation: Operation[Any, Any, Any],
        due: Record,
        scope: str,
        lost_since: datetime | None,
    ) -> bool:
        """Keep from being sent what a life of the database that is lost may have sent."""
        terms = Terms.of(operation)
        careful = caution(terms, lost_since) if due.state == "pending" else "send"
        if careful == "send":
            return False
        if careful == "hold":
            return store.one(connection, "hold", id=due.id) is not None
        asks = {"lookup": terms.lookup != "none", "timeout": terms.timeout, "settle": terms.settle_delay}
        lost = {"lost_since": lost_since, "send_window": SEND_WINDOW, "scope": scope}
        return store.one(connection, "doubt_lost", id=due.id, **asks, **lost) is not None

    def _put_off(self, connection: Connection, due: Record, move: Literal["send", "lookup"], visit: Visit) -> bool:
        """Let the call wait if its provider is stopped or given a rest."""
        obstacle = visit.admit(move)
        delay = STOPPED_DELAY if due.stop_reason is not None else obstacle and obstacle.wait
        if delay is not None:
            connection.execute(store.sql("put_off"), {"id": due.id, "delay": delay})
        return delay is not None

    def _record_attempt(self, connection: Connection, begun: Record, scope: str) -> None:
        attempt = {"id": begun.id, "no": begun.attempts, "epoch": begun.epoch, "kind": begun.kind, "scope": scope}
        connection.execute(store.sql("attempt"), attempt | {"worker": self._worker, "send_window": SEND_WINDOW})
