"""Messages that flows wait for: kept as signals when they come, whether or not their flow is there or waits yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from onceward.cloudevents import IncomingMessage
from onceward.errors import BadStep, ConfigError
from onceward.flows.keys import FlowKey, key_text
from onceward.messages import type_name
from onceward.sqlfiles import statement
from onceward.wordless import server_words

M = TypeVar("M", bound=BaseModel)

_KEEP = text(statement("onceward.flows", "keep_signal"))


@dataclass(frozen=True, slots=True)
class Listen(Generic[M]):
    """Messages of one type in one topic, which a flow waits for with `flow.wait(model)`."""

    topic: str
    """Kafka topic."""
    model: type[M]
    """Pydantic model of the message."""
    key: Callable[[M], FlowKey] = field(kw_only=True)
    """The business key of the flow that it is for."""
    type: str | None = field(default=None, kw_only=True)
    """CloudEvents type; that of the model by default."""

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return self.type or type_name(self.model)


def check(listen: Sequence[Listen[Any]], flow: str) -> None:
    """Refuse what `flow.wait` could not tell apart.

    Raises:
        ConfigError: it is no pydantic model, or one model stands for two types, or one type for two models.
    """
    models: dict[str, type[BaseModel]] = {}
    types: dict[type[BaseModel], str] = {}
    for each in listen:
        model: object = each.model
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise ConfigError("listen", f"of flow {flow}: the model must be a pydantic model, is {model!r}")
        if (
            models.setdefault(each.event_type, each.model) is not each.model
            or types.setdefault(each.model, each.event_type) != each.event_type
        ):
            raise ConfigError("listen", f"of flow {flow}: type {each.event_type!r} and {model.__name__} are not a pair")


def type_of(listen: Sequence[Listen[Any]], model: type[BaseModel]) -> str:
    """Return the type of the messages that are read as `model`.

    Raises:
        BadStep: the flow does not listen to them.
    """
    for each in listen:
        if each.model is model:
            return each.event_type
    raise BadStep(
        f"the flow does not listen to {model.__name__}: declare it with listen=[Listen(topic, model, key=...)]"
    )


def keep(listen: Listen[Any], flow: str, session: Session, event: BaseModel, message: IncomingMessage) -> bool:
    """Keep a message for the flow it is for, in its transaction; return whether the flow was told.

    Raises:
        StartError: the message gives no key.
        ValueError: it holds what cannot be kept as JSON.
    """
    place = {"flow_name": flow, "flow_key": key_text(listen.key(event), flow), "type": listen.event_type}
    what = {"message_id": message.message_id, "topic": message.topic, "body": message.payload}
    try:
        return bool(session.scalar(_KEEP, place | what))
    except DataError as error:
        raise ValueError(f"payload: cannot be kept as JSON: {server_words(error.orig)}") from error
