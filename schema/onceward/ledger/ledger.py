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
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from onceward import tracing
from onceward.backoff import Backoff
from onceward.errors import ConfigError, FlowDiverged, KeyConflict, LeaseLost, Purged
from onceward.failpoint import failpoint
from onceward.ids import derived
from onceward.inbox.faults import is_transient
from onceward.ledger import attempting, rows, settling, store
from onceward.ledger.attempting import Finding
from onceward.ledger.counts import CallCounts
from onceward.ledger.gate import Gate, Obstacle, Visit
from onceward.ledger.history import caution
from onceward.ledger.outcomes import Failed, FlowStep, Outcome, Succeeded, Unsettled
from onceward.ledger.store import Record
from onceward.ledger.terms import Terms
from onceward.providers import Always, Never, Operation, Provider, Sending
from onceward.providers.limits import Clock
from onceward.wordless import trace

log = logging.getLogger("onceward.ledger")

C = TypeVar("C")
Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

SEND_WINDOW = timedelta(seconds=5)
"""From the recording of an attempt to the last moment at which its first byte may leave."""
LEASE_MARGIN = timedelta(seconds=5)
"""Added to the send window and the timeout: until then nobody else takes the call."""
RETRIES = Backoff(timedelta(seconds=1), timedelta(minutes=5))
INCIDENT_AFTER = timedelta(minutes=15)
LOST = Obstacle(timedelta(0), "the database may have lost that it was sent already")
STOPPED_DELAY = INCIDENT_AFTER
"""Between looks at a call of a provider that is stopped. Who starts it again has its calls looked at at once."""
RECORDINGS = 6
"""How often the end of an attempt is recorded at most, while the database is away."""
RECORDING = Backoff(timedelta(milliseconds=100), timedelta(seconds=3))


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
        self._worker = worker
        self._settling = settling.Settling(retries, incident_after, worker)
        self._providers: dict[str, Provider[Any]] = {}
        for provider in providers:
            if self._providers.setdefault(provider.name, provider) is not provider:
                raise ConfigError("providers", f"two are named {provider.name}")
        self._gates = {name: Gate(provider, clock) for name, provider in self._providers.items()}
        self.counts = CallCounts(self._gates)
        """What attempts came to since the start."""
        self._code_version = code_version
        self._outside = outside
        self._recording = recording or nullcontext()

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
                sending = self._sending(operation, key, row["request"])
                if begun := self._begin(operation, new, visit):
                    settled = self._make(operation, begun, sending, visit)
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
            return store.one(connection, "begin", **new, **self._claim(operation), always=always)

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
        provider = self._providers[name]
        scope = self.scope_of(provider)
        with self._gates[name].visit() as visit:
            if scope is None or visit.obstacle is not None:
                return False
            with self._engine.begin() as connection:
                lost_since = store.durable(connection)
                due = store.one(connection, "due", provider=name, operations=list(provider.operations))
                if due is None:
                    return False
                operation = provider.operations[due.operation]
                sending = self._sending(operation, due.key, bytes(due.request), due.provider_ref)
                if self._spare(connection, operation, due, scope, lost_since):
                    return True
                begun = self._next_attempt(connection, operation, due, scope, visit)
            if begun is not None:
                self._make(operation, begun, sending, visit)
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
        claim = {"id": due.id, **self._claim(operation)}
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

    def _make(
        self, operation: Operation[Any, Any, Any], begun: Record, sending: Sending, visit: Visit
    ) -> Record | None:
        """Make the attempt that is recorded, and record what it proves; return the call if it is settled at once."""
        visit.made()
        if begun.kind == "send":
            failpoint("call.recorded")
        with self._outside():
            with _traced(operation, begun) as span:
                attempt = attempting.send if begun.kind == "send" else attempting.ask
                began = time.monotonic()
                finding = attempt(operation, sending)
                seconds = time.monotonic() - began
                _tell(span, finding)
            visit.end(finding.verdict)
            self.counts.add(operation.provider.name, operation.name, begun.kind, finding.verdict, seconds)
            failpoint("call.answered" if begun.kind == "send" else "call.looked_up")
            return self._conclude(operation, begun, finding)

    def _conclude(self, operation: Operation[Any, Any, Any], begun: Record, finding: Finding) -> Record | None:
        """Commit what the attempt proves, alone. A database that is away for a moment does not cost the answer."""
        for failures in count(1):
            try:
                settled = self._record(operation, begun, finding)
                break
            except DBAPIError as error:
                if failures == RECORDINGS or not is_transient(error):
                    raise
                log.warning("call %s: the answer is recorded again after %s", begun.id, type(error.orig).__name__)
                time.sleep(RECORDING.jittered(failures))
        failpoint("call.accepted" if finding.verdict == "accepted" else "call.settled")
        log.info("call %s of %s: attempt %s: %s", begun.id, operation, begun.attempts, finding.verdict)
        return settled

    def _record(self, operation: Operation[Any, Any, Any], begun: Record, finding: Finding) -> Record | None:
        """Doing this twice is harmless: each of its statements is guarded by what the first time has changed."""
        with self._recording:
            if finding.verdict == "applied" and operation.differs is None:  # a single statement, which commits itself
                with self._single.connect() as connection:
                    if settled := self._settling.succeed(connection, operation, begun, finding):
                        return settled
            scope = self.scope_of(operation.provider)
            with self._engine.begin() as connection:
                store.durable(connection)
                self._settling.settle(connection, operation, begun, finding, scope)
        return None

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

    def _claim(self, operation: Operation[Any, Any, Any]) -> dict[str, Any]:
        lease = SEND_WINDOW + operation.timeout + LEASE_MARGIN
        return {"worker": self._worker, "lease": lease, "send_window": SEND_WINDOW}

    def _record_attempt(self, connection: Connection, begun: Record, scope: str) -> None:
        attempt = {"id": begun.id, "no": begun.attempts, "epoch": begun.epoch, "kind": begun.kind, "scope": scope}
        connection.execute(store.sql("attempt"), attempt | {"worker": self._worker, "send_window": SEND_WINDOW})

    def _sending(
        self, operation: Operation[Any, Any, Any], key: str, body: bytes, reference: str | None = None
    ) -> Sending:
        """Start the clock of an attempt before the database gives `send_by`, so as never to be later than that."""
        return Sending(
            key=key,
            body=body,
            send_by=time.monotonic() + SEND_WINDOW.total_seconds(),
            timeout=operation.timeout.total_seconds(),
            fresh=isinstance(operation.repeat, Never),
            reference=reference,
        )

    def scope_of(self, provider: Provider[Any]) -> str | None:
        """Return the present scope of a provider; None if it cannot be told just now."""
        try:
            return provider.present_scope()
        except Exception as error:  # noqa: BLE001 -- the team's function: its fault is told
            log.warning("provider %s: its scope cannot be told, so its calls wait: %s", provider.name, trace(error))
            return None


def _traced(operation: Operation[Any, Any, Any], begun: Record) -> AbstractContextManager[tracing.Span]:
    """Surround an attempt with a span where the call was first asked for, however much later it is made."""
    attributes = {
        "onceward.provider": operation.provider.name,
        "onceward.operation": operation.name,
        "onceward.call.id": str(begun.id),
        "onceward.attempt": begun.attempts,
        "onceward.attempt.kind": begun.kind,
    }
    return tracing.span(f"{begun.kind} {operation}", "client", attributes, begun.trace)


def _tell(span: tracing.Span, finding: Finding) -> None:
    span.note({"onceward.verdict": finding.verdict})
    if finding.http_status is not None:
        span.note({"http.response.status_code": finding.http_status})
    if finding.verdict not in ("applied", "absent"):
        span.failed(finding.verdict)


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
