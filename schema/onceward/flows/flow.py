"""What the code of a flow uses: calls, messages and local transactions, each done once however often it is run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast, overload
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from onceward.errors import BadStep, CallFailed, Suspended
from onceward.failpoint import failpoint
from onceward.flows.listening import Listen, type_of
from onceward.flows.results import name_of, results_of
from onceward.flows.run import Run
from onceward.flows.steps import Question
from onceward.flows.waits import NOTHING, StillWaits, Wait, begin, duration, look
from onceward.ids import derived
from onceward.ledger import Failed, FlowStep, Ledger, Succeeded, Unsettled
from onceward.lent import borrowed
from onceward.messages import Key, Message, row_of
from onceward.outbox import publish_all
from onceward.providers import Operation

Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
A = TypeVarTuple("A")


class Flow:
    """One run of a flow.

    The code is run from its first line until it comes to its end, in whatever worker and however often. So it must ask
    for the same steps whenever it is run: they may depend on the event and on what steps returned, and on nothing else,
    not on the time, chance, the database or the order of a set.

    Steps have names, by which earlier runs are remembered: by default that of the operation, function or message type;
    a second step of a name needs one of its own (`step=`).

    After a run has ended, by waiting or by an error, every use of its Flow raises. Of all errors only CallFailed does
    not end it. If the code lets a CallFailed pass, or raises UndoFlow, what its calls did is undone; any other error
    has the code run again later.
    """

    def __init__(self, run: Run, ledger: Ledger, listen: Sequence[Listen[Any]] = ()) -> None:
        self._run = run
        self._ledger = ledger
        self._listen = listen

    @property
    def id(self) -> UUID:
        """Identity of the flow."""
        return self._run.claim.id

    @property
    def key(self) -> str:
        """Business key of the flow."""
        return self._run.claim.key

    def call(
        self,
        operation: Operation[Any, Q, R],
        request: Q,
        *,
        step: str | None = None,
        ref: str | None = None,
        pivot: bool = False,
        start_within: timedelta | None = None,
    ) -> R:
        """Call an operation of a provider, once, and return its result.

        While nobody knows whether the call took effect, the run ends here and the flow waits; a later run goes on. It
        waits too if the provider did something else than asked, by the operation's check, until a person accepts that.

        Args:
            operation: the operation.
            request: what is asked of it. It must be the same in every run.
            step: name of the step; the operation's name by default.
            ref: business reference, by which people find the call.
            pivot: once this call has succeeded the flow only goes forward: nothing of it is undone any more.
            start_within: if the call could not be sent within that time, it never is, and fails with "too_late".

        Raises:
            CallFailed: the call is proven to have had no effect.
            BadStep: start_within is no time within which it could begin.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        name = operation.name if step is None else step
        with self._run.step():
            known = self._run.ask(name, Question.of("call", operation.provider.name, operation.name)) is not None
            within = None if start_within is None else duration(start_within, "start_within")
            self._run.lease.cover(operation.timeout.total_seconds())
            place = FlowStep(self.id, name, self._run.claim.epoch, self._run.number, pivot, within, known=known)
            outcome = self._ledger.call(operation, request, flow=place, ref=ref)
            if isinstance(outcome, Unsettled):
                raise Suspended(f"call {outcome.call_id} is not settled: {outcome.reason}")
            if isinstance(outcome, Succeeded) and outcome.difference is not None:
                raise Suspended(f"call {outcome.call_id} did something else than asked, which nobody has accepted")
        if isinstance(outcome, Failed):
            raise CallFailed(outcome.call_id, outcome.code, outcome.text)
        return outcome.result

    def transact(self, function: Callable[[Session, Unpack[A]], T], *args: *A, step: str | None = None) -> T:
        """Run `function(session, *args)` in a transaction of its own, once, and return what it returned.

        Its changes, the messages that it publishes and the step's record commit together; it may neither end the
        transaction nor use the flow. What it returns is kept as JSON, by its annotated return type, and given to every
        later run; arguments are not kept. An error rolls back and ends the run, which is repeated later: to say no,
        return a value.

        Args:
            function: takes a SQLAlchemy session, then `args`.
            args: further arguments.
            step: name of the step; the function's name by default.

        Raises:
            BadStep: the function has no name, uses the flow, or returns what cannot be kept.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        with self._run.step():
            name = name_of(function) if step is None else step
            results = results_of(function)
            question = Question.of("transact", function.__qualname__)
            if recorded := self._run.ask(name, question):
                assert recorded.result is not None
                return cast(T, results.load(recorded.result))
            with self._run.local() as connection:
                with borrowed(connection) as session:
                    returned = function(session, *args)
                kept = self._run.record(connection, name, question, results.dump(returned))
            assert kept is not None
            return cast(T, results.load(kept))

    def publish(
        self,
        event: BaseModel | bytes | None,
        *,
        topic: str,
        key: Key,
        type: str | None = None,  # noqa: A002 -- the field's name
        headers: Mapping[str, str] | None = None,
        step: str | None = None,
    ) -> None:
        """Write one message to the outbox, once. Its id is made of the flow and the step.

        Args:
            event: a model is sent as JSON, bytes as they are; None is a tombstone.
            topic: Kafka topic.
            key: what keeps its order, or UNORDERED.
            type: CloudEvents type; that of the model by default.
            headers: further Kafka headers.
            step: name of the step; the message's type by default.

        Raises:
            PublishError: a field is not as the outbox takes it; the message names it.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run published something else.
        """
        with self._run.step():
            message = Message(event, topic, key, type, {} if headers is None else headers)
            row = row_of(message)
            name = str(row["type"]) if step is None else step
            question = Question.of("publish", *_said(message, row))
            if self._run.ask(name, question):
                return
            message_id = derived(str(self.id), name)
            with self._run.local() as connection:
                connection.execute(publish_all([replace(message, message_id=message_id)]))
                self._run.record(connection, name, question)

    @overload
    def wait(self, model: type[M], *, expect_within: timedelta | None = None, step: str | None = None) -> M: ...
    @overload
    def wait(self, model: type[M], *, give_up_after: timedelta, step: str | None = None) -> M | None: ...
    def wait(
        self,
        model: type[M],
        *,
        expect_within: timedelta | None = None,
        give_up_after: timedelta | None = None,
        step: str | None = None,
    ) -> M | None:
        """Wait for a message that the flow listens to, and return it: the oldest that no other step has taken.

        The run ends here until it comes; it may have come before. At most one of the two times may be given, both
        counted from the first run that came here.

        Args:
            model: that of the `Listen` in the flow's declaration.
            expect_within: after that time people are told; the flow waits on, for that nothing came is not an answer.
            give_up_after: after that time None is returned. A message that comes later is reported to people.
            step: name of the step; the message's type by default.

        Raises:
            BadStep: the flow does not listen to such messages, or a time cannot be.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        with self._run.step():
            event_type = type_of(self._listen, model)
            name = event_type if step is None else step
            limit = _one_of(expect_within, give_up_after)
            question = Question.of("wait", event_type)
            recorded = self._run.ask(name, question)
            if recorded is not None and recorded.result is not None:
                return _message(model, recorded.result)
            wait = Wait(name, self._run.number, question, recorded, limit, gives_up=give_up_after is not None)
            with self._run.local() as connection:
                found = look(connection, self._run.claim, wait, event_type)
                message = None if isinstance(found, StillWaits) else _message(model, found)
                if message is not None:
                    failpoint("flow.signal_taken")
            if isinstance(found, StillWaits):
                raise Suspended(f"{event_type} has not come", found.until)
            return message

    def sleep(self, time: timedelta, *, step: str | None = None) -> None:
        """Wait for some time, counted from the first run that came here.

        Args:
            time: how long.
            step: name of the step; "sleep" by default.

        Raises:
            BadStep: the time cannot be.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        with self._run.step():
            name = "sleep" if step is None else step
            limit = duration(time, "the time to sleep")
            question = Question.of("sleep")
            recorded = self._run.ask(name, question)
            if recorded is not None and recorded.over:
                return
            if recorded is not None:
                raise Suspended("it sleeps", recorded.until)
            with self._run.local() as connection:
                until = begin(connection, self._run.claim, Wait(name, self._run.number, question, None, limit))
            raise Suspended("it sleeps", until)

    def value(self, function: Callable[[Unpack[A]], T], *args: *A, step: str | None = None) -> T:
        """Read something from outside, once: run `function(*args)`, keep what it returned, and return that.

        For what may differ from run to run and changes nothing: the time, chance, a rate of exchange. It runs in no
        transaction, and again if the process dies before the value is kept. What it returns is kept as JSON, by its
        annotated return type. An error ends the run, which is repeated later.

        Args:
            function: what reads.
            args: its arguments, which are not kept.
            step: name of the step; the function's name by default.

        Raises:
            BadStep: the function has no name, uses the flow, or returns what cannot be kept.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        with self._run.step():
            name = name_of(function) if step is None else step
            results = results_of(function)
            question = Question.of("value", function.__qualname__)
            if recorded := self._run.ask(name, question):
                assert recorded.result is not None
                return cast(T, results.load(recorded.result))
            found = results.dump(function(*args))
            with self._run.local() as connection:
                kept = self._run.record(connection, name, question, found)
            assert kept is not None
            return cast(T, results.load(kept))


def _one_of(expect_within: timedelta | None, give_up_after: timedelta | None) -> timedelta | None:
    if expect_within is not None and give_up_after is not None:
        raise BadStep("a wait takes expect_within or give_up_after, not both")
    if expect_within is not None:
        return duration(expect_within, "expect_within")
    return None if give_up_after is None else duration(give_up_after, "give_up_after")


def _message(model: type[M], kept: str) -> M | None:
    return None if kept == NOTHING else model.model_validate_json(kept)


def _said(message: Message, row: Mapping[str, Any]) -> Iterator[str | bytes | None]:
    """Yield what a message says. A field at its default says nothing: it may be younger than the recorded message."""
    yield from (row["topic"], row["key"], row["type"])
    if isinstance(message.event, BaseModel):
        yield json.dumps(
            json.loads(message.event.model_dump_json(by_alias=True, exclude_defaults=True)), sort_keys=True
        )
    else:
        yield message.event
