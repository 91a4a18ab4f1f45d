"""The registry of what a service does with the messages it consumes. At import nothing opens and no thread starts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import isclass, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from onceward.cloudevents import IncomingMessage
from onceward.errors import ConfigError
from onceward.flows import listening
from onceward.flows.definition import FlowDefinition, Undone
from onceward.flows.keys import FlowKey
from onceward.flows.listening import Listen
from onceward.flows.registry import Flows
from onceward.messages import is_topic, type_name

if TYPE_CHECKING:  # handlers alone need none of them
    from onceward.flows.flow import Flow
    from onceward.providers import Operation, Provider

E = TypeVar("E", bound=BaseModel | bytes | None)
M = TypeVar("M", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

Model = type[BaseModel] | type[bytes] | None
"""What a payload is read as: a pydantic model, bytes for the payload as it is, None for tombstones."""
Handler = Callable[[Session, E], None]
HandlerWithMessage = Callable[[Session, E, IncomingMessage], None]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is done with the messages of one type in one topic."""

    topic: str
    type: str
    model: Model
    name: str
    """The function's name, for logs and errors."""
    run: Callable[[Session, Any, IncomingMessage], None]

    def event(self, message: IncomingMessage) -> Any:
        """Return the payload of `message` as the event that the function takes.

        Raises:
            ValueError: it is none; a ValidationError if the model refuses it.
        """
        if self.model is None:
            if message.payload is not None:
                raise ValueError("payload: a tombstone has none")
            return None
        if message.payload is None:
            raise ValueError("payload: is missing; a handler for tombstones is registered with None as its model")
        if issubclass(self.model, BaseModel):
            return self.model.model_validate_json(message.payload)
        return message.payload


class Participant:
    """A service with a database of its own: its handlers, flows and providers.

    `name` is the default of its Kafka consumer group and part of the identity of its flows and calls: it may never
    change.

    Raises:
        ConfigError: the name is empty or longer than 255 characters.
    """

    def __init__(self, name: str, providers: "Iterable[Provider[Any]]" = ()) -> None:
        if not 1 <= len(name) <= 255 or not name.isprintable():
            raise ConfigError("name", f"of a participant must be 1 to 255 printable characters, is {name[:80]!a}")
        self.name = name
        self.providers = tuple(providers)
        self.flows = Flows()
        self._subscriptions: dict[tuple[str, str], Subscription] = {}

    @overload
    def on(self, topic: str, model: None, *, type: str | None = None) -> "On[None]": ...
    @overload
    def on(self, topic: str, model: type[E], *, type: str | None = None) -> "On[E]": ...
    def on(self, topic: str, model: type[Any] | None, *, type: str | None = None) -> "On[Any]":  # noqa: A002 -- the field's name
        """Register the decorated function as the handler of one type of message in `topic`.

        The function takes `(session, event)` or `(session, event, message)`. It runs in one database transaction with
        the inbox row, so its changes happen once per message. That transaction is not the function's to commit or to
        roll back. `model` is a pydantic model, `bytes` for payloads as they are (give `type`), or None for tombstones.

        Raises:
            ConfigError: the topic's name is illegal, the type is missing or has a handler already, or the function
                cannot be a handler.
        """
        return On(self, topic, model, type)

    def flow(
        self,
        topic: str,
        model: type[M],
        *,
        key: Callable[[M], FlowKey],
        name: str | None = None,
        type: str | None = None,  # noqa: A002 -- the field's name
        listen: Sequence[Listen[Any]] = (),
        undone: Undone[M] | None = None,
    ) -> "Callable[[Callable[[Flow, M], None]], FlowDefinition[M]]":
        """Make the decorated function `(flow, event)` a flow that messages of one type in `topic` start.

        A flow runs once per key; later messages of the same key change nothing. It runs in a worker, never in the
        transaction of the message. `start` starts it from elsewhere.

        Args:
            topic: Kafka topic.
            model: pydantic model of the message.
            key: the business key of the flow, from the message.
            name: identity of the flow, which may never change; the function's name by default.
            type: CloudEvents type of the message; that of the model by default.
            listen: the messages that the flow waits for.
            undone: undoes, in one transaction, what the flow did in its own database; it takes (session, event, reason)
                and runs when the flow's calls are undone.

        Raises:
            ConfigError: a topic's name is illegal, a type has a handler already, the name is taken, or a function
                cannot be what it is given for.
        """

        def declare(function: "Callable[[Flow, M], None]") -> FlowDefinition[M]:
            found = _flow_name(function, model, name)
            listening.check(listen, found)
            _check_undone(undone, found)
            flow = FlowDefinition(self.name, found, model, key, function, tuple(listen), undone)
            self.subscribe(
                Subscription(
                    topic,
                    type or _default_type(model),
                    model,
                    f"flow {flow.name}",
                    lambda session, event, message: self.flows.start(flow, session, event, message),
                )
            )
            for each in listen:
                self._listen(flow, each)
            self.flows.add(flow)
            return flow

        return declare

    def _listen(self, flow: FlowDefinition[Any], listen: Listen[Any]) -> None:
        def keep(session: Session, event: Any, message: IncomingMessage) -> None:
            self.flows.keep(flow, listen, session, event, message)

        self.subscribe(
            Subscription(listen.topic, listen.event_type, listen.model, f"listener of flow {flow.name}", keep)
        )

    def call(
        self, engine: Engine, operation: "Operation[Any, Q, R]", request: Q, *, key: str, ref: str | None = None
    ) -> R:
        """Call an operation of a provider, once, without a flow, and return its result.

        It blocks the thread until the provider has answered or the operation's timeout is over; in asynchronous code,
        `await asyncio.to_thread(payer.call, engine, ...)`. The same key again gives the same outcome and sends nothing.
        What is not settled yet, workers of this participant carry on with: a Worker has to run somewhere.

        Args:
            engine: of the participant's database. The call is recorded in transactions of its own, whatever the caller
                has open: ask for it after the commit of what it rests on, or from what may be repeated.
            operation: of one of the participant's providers.
            request: what is asked of it; the same for the same key.
            key: the business's name for this call, and the idempotency key: 1 to 255 printable ASCII characters
                without spaces.
            ref: business reference, by which people find the call.

        Raises:
            CallFailed: it is proven to have had no effect, and will have none.
            InDoubt: the outcome is not known yet; its `state` says why. Ask again later, under the same key.
            KeyConflict: the key is recorded with another request. Nothing was sent.
            Purged: it took effect long ago, and its result was removed since. Nothing was sent.
            ConfigError: key, request or reference is none that could be recorded. Nothing was sent.
        """
        from onceward.ledger import alone  # handlers alone need no ledger

        ledger = alone.ledger_of(self, engine)
        return alone.call(ledger, operation, request, key=key, ref=ref)

    def subscribe(self, subscription: Subscription) -> None:
        """Add what is to be done with one type of message in one topic.

        Raises:
            ConfigError: the topic's name is illegal or this type has a handler already.
        """
        if not is_topic(subscription.topic):
            raise ConfigError("topic", f"{subscription.topic[:80]!a} is not 1 to 249 characters of a-z A-Z 0-9 . _ -")
        key = subscription.topic, subscription.type
        if other := self._subscriptions.get(key):
            raise ConfigError("type", f"{key[1]!r} in topic {key[0]!r} is handled by {other.name} already")
        self._subscriptions[key] = subscription

    def handler_for(self, topic: str, type: str) -> Subscription | None:  # noqa: A002 -- the field's name
        """Return what is to be done with messages of `type` in `topic`, or None."""
        return self._subscriptions.get((topic, type))

    @property
    def topics(self) -> list[str]:
        """The topics to be consumed, sorted."""
        return sorted({topic for topic, _ in self._subscriptions})


class On(Generic[E]):
    """The decorator that `Participant.on` returns: accepts only functions that take its event."""

    def __init__(self, participant: Participant, topic: str, model: Model, event_type: str | None) -> None:
        self._participant = participant
        self._topic = topic
        self._model = _checked(model)
        self._type = event_type or _default_type(model)

    @overload
    def __call__(self, handler: Handler[E]) -> Handler[E]: ...
    @overload
    def __call__(self, handler: HandlerWithMessage[E]) -> HandlerWithMessage[E]: ...
    def __call__(self, handler: Callable[..., None]) -> Callable[..., None]:
        """Register `handler` and return it unchanged."""
        name = f"{handler.__module__}.{getattr(handler, '__qualname__', 'a ' + type(handler).__name__)}"
        run = handler if takes_message(handler, name) else lambda session, event, _: handler(session, event)
        self._participant.subscribe(Subscription(self._topic, self._type, self._model, name, run))
        return handler


def takes_message(handler: Callable[..., Any], name: str) -> bool:
    """Whether `handler` takes (session, event, message) rather than (session, event).

    Raises:
        ConfigError: it takes neither, or is asynchronous.
    """
    if iscoroutinefunction(handler):
        raise ConfigError("handler", f"{name} is asynchronous; handlers are plain functions")
    for count in (3, 2):
        try:
            signature(handler).bind(*[None] * count)
            return count == 3
        except TypeError:
            continue
    raise ConfigError("handler", f"{name} must take (session, event) or (session, event, message)")


def _flow_name(function: Callable[..., Any], model: object, name: str | None) -> str:
    """Return the name of a flow, if its function and its model can be a flow's."""
    if not isclass(model) or not issubclass(model, BaseModel):
        raise ConfigError("model", f"of a flow must be a pydantic model, is {model!r}")
    found = getattr(function, "__name__", "") if name is None else name
    if not 1 <= len(found) <= 100 or not found.isprintable():
        raise ConfigError("name", f"of a flow must be 1 to 100 printable characters, is {found[:80]!a}")
    if iscoroutinefunction(function):
        raise ConfigError("flow", f"{found} is asynchronous; flows are plain functions")
    try:
        signature(function).bind(None, None)
    except TypeError:
        raise ConfigError("flow", f"{found} must take (flow, event)") from None
    return found


def _check_undone(undone: Callable[..., Any] | None, name: str) -> None:
    """Refuse what cannot undo a flow's local changes."""
    if undone is None:
        return
    if iscoroutinefunction(undone):
        raise ConfigError("undone", f"of flow {name} is asynchronous; it must be a plain function")
    try:
        signature(undone).bind(None, None, None)
    except TypeError:
        raise ConfigError("undone", f"of flow {name} must take (session, event, reason)") from None


def _checked(model: Any) -> Model:
    if model is None or model is bytes or (isclass(model) and issubclass(model, BaseModel)):
        return model
    raise ConfigError("model", f"must be a pydantic model, bytes or None, is {model!r}")


def _default_type(model: Model) -> str:
    if model is None:
        return "tombstone"
    if issubclass(model, BaseModel):
        return type_name(model)
    raise ConfigError("type", "is needed where the model is bytes")
