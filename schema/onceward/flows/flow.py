"""What the code of a flow uses: calls, messages and local transactions, each done once however often it is run."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from onceward.errors import CallFailed, Suspended
from onceward.flows.results import name_of, results_of
from onceward.flows.run import Run
from onceward.flows.steps import Question
from onceward.ids import derived
from onceward.ledger import Failed, FlowStep, Ledger, Unsettled
from onceward.lent import lend, lent_session, take_back
from onceward.messages import Key, Message, row_of
from onceward.outbox import publish_all
from onceward.providers import Operation

Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)
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
    not end it.
    """

    def __init__(self, run: Run, ledger: Ledger) -> None:
        self._run = run
        self._ledger = ledger

    @property
    def id(self) -> UUID:
        """Identity of the flow."""
        return self._run.claim.id

    @property
    def key(self) -> str:
        """Business key of the flow."""
        return self._run.claim.key

    def call(
        self, operation: Operation[Any, Q, R], request: Q, *, step: str | None = None, ref: str | None = None
    ) -> R:
        """Call an operation of a provider, once, and return its result.

        While nobody knows whether the call took effect, the run ends here and the flow waits; a later run goes on.

        Args:
            operation: the operation.
            request: what is asked of it. It must be the same in every run.
            step: name of the step; the operation's name by default.
            ref: business reference, by which people find the call.

        Raises:
            CallFailed: the call is proven to have had no effect.
            DuplicateStep: the name is taken.
            FlowDiverged: an earlier run asked something else.
        """
        name = operation.name if step is None else step
        with self._run.step():
            self._run.ask(name, Question.of("call", operation.provider.name, operation.name))
            self._run.lease.cover(operation.timeout.total_seconds())
            outcome = self._ledger.call(operation, request, flow=FlowStep(self.id, name), ref=ref)
            if isinstance(outcome, Unsettled):
                raise Suspended(f"call {outcome.call_id} is not settled: {outcome.reason}")
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
                lend(connection)
                with lent_session(connection) as session:
                    returned = function(session, *args)
                take_back(connection)
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


def _said(message: Message, row: Mapping[str, Any]) -> Iterator[str | bytes | None]:
    """Yield what a message says. A field at its default says nothing: it may be younger than the recorded message."""
    yield from (row["topic"], row["key"], row["type"])
    if isinstance(message.event, BaseModel):
        yield json.dumps(
            json.loads(message.event.model_dump_json(by_alias=True, exclude_defaults=True)), sort_keys=True
        )
    else:
        yield message.event
