"""The ledger: makes external calls so that a crash at any point neither loses nor repeats an effect.

The guarantee: a call's attempt is committed before its first byte leaves, so after a crash the ledger knows that it may
have taken effect. What an answer proves is committed alone, before anything is built on it. A call that may have taken
effect is repeated only if `terms.way_out` finds proof; otherwise it is in doubt, and an incident says why.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection, Engine

from onceward.backoff import Backoff
from onceward.errors import ConfigError, FlowDiverged, KeyConflict, LeaseLost, Purged
from onceward.ids import derived
from onceward.ledger import rows, store
from onceward.ledger.carrying_on import STOPPED_DELAY, CarryingOn
from onceward.ledger.counts import CallCounts
from onceward.ledger.gate import Gate, Obstacle, Visit
from onceward.ledger.history import caution
from onceward.ledger.making import Making, sending
from onceward.ledger.outcomes import Failed, FlowStep, Outcome, Succeeded, Unsettled
from onceward.ledger.settling import Settling
from onceward.ledger.store import Record
from onceward.ledger.terms import Terms
from onceward.providers import Always, Operation, Provider
from onceward.providers.limits import Clock

log = logging.getLogger("onceward.ledger")

C = TypeVar("C")
Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

RETRIES = Backoff(timedelta(seconds=1), timedelta(minutes=5))
INCIDENT_AFTER = timedelta(minutes=15)
LOST = Obstacle(timedelta(0), "the database may have lost that it was sent already")


class Ledger:
    """The calls of one participant, made by one worker process.

    Args:
        engine: of the participant's database.
        participant: its name, part of the identity of calls outside flows.
        providers: whose operations may be called; the others' calls are left to workers that know them.
        worker: who makes the attempts, for the record.
        incident_after: how long a call may be in doubt before people hear of it although code has not given up.
        retries: spaces attempts.
        outside: surrounds what a thread does while it waits for a provider, and while it records the answer.
        recording: surrounds each recording of an answer.
        clock: tells the time to limits and breakers, in seconds that only grow.
        code_version: version of the code, for the record of what it declares.

    Raises:
        ConfigError: two providers have one name.
    """

    def __init__(
        self,
        engine: Engine,
        participant: str,
        providers: Iterable[Provider[Any]],
        *,
        worker: str,
        incident_after: timedelta = INCIDENT_AFTER,
        retries: Backoff = RETRIES,
        outside: Callable[[], AbstractContextManager[object]] = nullcontext,
        recording: AbstractContextManager[object] | None = None,
        clock: Clock = time.monotonic,
        code_version: str | None = None,
    ) -> None:
        # Whoever waited for another transaction must see what it did, whatever the engine's default isolation is.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._participant = participant
        self._providers: dict[str, Provider[Any]] = {}
        for provider in providers:
            if self._providers.setdefault(provider.name, provider) is not provider:
                raise ConfigError("providers", f"two are named {provider.name}")
        self._gates = {name: Gate(provider, clock) for name, provider in self._providers.items()}
        self.counts = CallCounts(self._gates)
        """What attempts came to since the start."""
        self._code_version = code_version
        settling = Settling(retries, incident_after, worker)
        self._making = Making(engine, settling, self.counts, worker, outside, recording or nullcontext())
        self._carrying_on = CarryingOn(engine, self._providers, self._gates, settling, self._making, worker)

    def declare(self) -> None:
        """Write down what the code declares of its providers and operations; called when a worker starts."""
        version = {"code_version": self._code_version}
        with self._engine.begin() as connection:
            for _, provider in sorted(self._providers.items()):  # in one order: no two workers deadlock
                connection.execute(store.sql("declare_provider"), rows.limits(provider))
                for _, operation in sorted(provider.operations.items()):
                    connection.execute(store.sql("declare"), rows.declaration(operation) | version)

    def call(
        self,
        operation: Operation[C, Q, R],
        request: Q,
        *,
        key: str | None = None,
        flow: FlowStep | None = None,
        ref: str | None = None,
    ) -> Outcome[R]:
        """Make the call, or return what is known of it if it is recorded already: it is never made twice from here.

        Args:
            operation: of one of this ledger's providers.
            request: is stored as it is now; every attempt sends these bytes.
            key: the business's name for this call, and the idempotency key; not for steps of flows.
            flow: the step of the flow that it is; its key follows from that.
            ref: business reference, for search.

        Raises:
            ConfigError: the operation's provider is not this ledger's; or key, request, reference, amount or scope is
                none that could be recorded. Nothing was sent.
            KeyConflict: the key is recorded with another request. Nothing was sent.
            Purged: it took effect long ago, and its result was removed since. Nothing was sent.
            FlowDiverged: the step is recorded with another request. Nothing was sent.
            LeaseLost: the flow's claim is over. Nothing was sent.
        """
        call_id, key = self._identity(operation, key, flow)
        row = rows.call(operation, request, ref)
        if flow is not None and flow.known:
            with self._engine.connect() as connection:
                return self._recorded(connection, operation, call_id, key, request, row["request"], flow)
        new = {"id": call_id, "key": key, **rows.step(flow), **row}
        while True:
            with self._gates[operation.provider.name].visit() as visit:
                to_send = sending(operation, key, row["request"])
                if begun := self._begin(operation, new, visit):
                    settled = self._making.make(operation, begun, to_send, visit)
                    break
                with self._engine.begin() as connection:
                    if caution(Terms.of(operation), store.durable(connection)) != "send":
                        visit.obstacle = LOST
                    if self._keep(connection, new, visit):
                        settled = None
                        break
                    if self._is_recorded(connection, new):
                        return self._recorded(connection, operation, call_id, key, request, row["request"], flow)
            # What kept it from beginning was over when it was to be kept for later: the provider was started again.
        if settled is not None:
            return _outcome(operation, settled)
        with self._engine.connect() as connection:
            return _outcome(operation, store.read(connection, call_id))

    def _is_recorded(self, connection: Connection, new: Mapping[str, Any]) -> bool:
        """Whether the call, or another one under its key, is recorded.

        Raises:
            LeaseLost: it is not, and may not be under this claim.
        """
        found = store.one(connection, "known", **new)
        assert found is not None
        if not (found.recorded or found.claimed):
            raise LeaseLost("the flow is another worker's now, or it is being undone")
        return bool(found.recorded)

    def _begin(self, operation: Operation[Any, Any, Any], new: Mapping[str, Any], visit: Visit) -> Record | None:
        """Record the call with its first attempt; None if it is recorded already, or may not be made now."""
        if visit.admit("send") is not None:
            return None
        with self._single.connect() as connection:
            always = isinstance(operation.repeat, Always)
            return store.one(connection, "begin", **new, **self._making.claim(operation), always=always)

    def _keep(self, connection: Connection, new: Mapping[str, Any], visit: Visit) -> bool:
        """Record the call for later, if it is the provider that keeps it from being made now."""
        obstacle = visit.obstacle
        waits = {"delay": obstacle and obstacle.wait, "why": obstacle and obstacle.why, "stopped_delay": STOPPED_DELAY}
        return store.one(connection, "keep", **new, **waits) is not None

    @property
    def providers(self) -> Collection[str]:
        """Names of the providers whose calls it makes."""
        return self._providers.keys()

    def known(self) -> Mapping[str, list[str]]:
        """Return the operations that its calls can be of: the names of their providers, and theirs."""
        known = [(name, each) for name, provider in self._providers.items() for each in provider.operations]
        return {"providers": [name for name, _ in known], "operations": [each for _, each in known]}

    def operation(self, provider: str, name: str) -> Operation[Any, Any, Any] | None:
        """Return the operation of these names, if the participant's code declares it."""
        found = self._providers.get(provider)
        return found.operations.get(name) if found else None

    def due(self) -> Mapping[str, int]:
        """Return how many calls of each provider are due, as far as there is room to carry on with them at once."""
        rooms = {name: gate.limits.free for name, gate in self._gates.items()}
        asked = {"names": list(rooms), "rooms": list(rooms.values()), **self.known()}
        with self._engine.connect() as connection:
            return {row.name: row.calls for row in connection.execute(store.sql("due_at_each"), asked)}

    def sweep(self, limit: int = 100) -> int:
        """Carry on with calls that are due, provider by provider and each one's oldest first; return how many."""
        done = 0
        for name in self._providers:
            while done < limit and self.carry_on(name):
                done += 1
        return done

    def carry_on(self, name: str) -> bool:
        """Carry on with the call of a provider that has been due for longest: resend, ask, or leave it to people.

        Any number of threads and workers may do so at once; each call is one's at a time. Returns False if no call is
        due, or none can be made now.
        """
        return self._carrying_on.carry_on(name)

    def _recorded(
        self,
        connection: Connection,
        operation: Operation[C, Q, R],
        call_id: UUID,
        key: str,
        request: Q,
        body: bytes,
        flow: FlowStep | None,
    ) -> Outcome[R]:
        found = store.read(connection, call_id) if flow is None else store.read_step(connection, flow)
        if found is None and flow is not None:
            raise LeaseLost("the flow is another worker's now, or it is being undone")
        if found is None:
            raise KeyConflict(f"key {key!r} of {operation} is recorded for another call")
        if (found.provider, found.operation) != (operation.provider.name, operation.name):
            raise FlowDiverged(
                f"the step is recorded as a call of {found.provider}/{found.operation}, not of {operation}"
            )
        if bytes(found.fingerprint) != rows.fingerprint(body) and not rows.means(operation, found.request, request):
            error = FlowDiverged if flow else KeyConflict
            raise error(f"{operation} is recorded here with another request (call {call_id})")
        return _outcome(operation, found)

    def _identity(
        self, operation: Operation[Any, Any, Any], key: str | None, flow: FlowStep | None
    ) -> tuple[UUID, str]:
        if self._providers.get(operation.provider.name) is not operation.provider:
            raise ConfigError("provider", f"{operation.provider.name} is not among the participant's providers")
        if (key is None) == (flow is None):
            raise ConfigError("key", "is for calls outside flows, and they need one")
        if flow is not None:
            call_id = derived(str(flow.flow_id), flow.step, "1")
            return call_id, str(call_id)
        assert key is not None
        if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError("key", f"{key[:80]!a} must be 1 to 255 printable ASCII characters without spaces")
        return derived(self._participant, str(operation), key), key


def _outcome(operation: Operation[Any, Any, R], found: Record | None) -> Outcome[R]:
    assert found is not None
    if found.state == "succeeded" and found.purged_at is not None:
        raise Purged(f"{operation} took effect (call {found.id}), and its result was purged at {found.purged_at}")
    if found.state == "succeeded":
        difference = None if found.difference_accepted_at else found.difference
        return Succeeded(found.id, operation.result(json.dumps(found.result)), difference)
    if found.state in ("failed", "cancelled"):
        return Failed(found.id, found.error_code, found.error_text or "")
    return Unsettled(found.id, found.due_at, found.error_text or "under way", found.state)
