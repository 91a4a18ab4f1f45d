"""What a flow is declared to be, and the statement that starts one."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from onceward import tracing
from onceward.errors import StartError
from onceward.flows.keys import FlowKey, key_text
from onceward.flows.listening import Listen
from onceward.ids import derived
from onceward.json_text import NoJsonNumber, json_of
from onceward.sqlfiles import statement

if TYPE_CHECKING:  # participants import this module, and what a flow uses imports participants
    from onceward.flows.flow import Flow

M = TypeVar("M", bound=BaseModel)

Undone = Callable[[Session, M, str], None]
"""Reverses what a flow did in its own database: takes a session, the flow's event and the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowDefinition(Generic[M]):
    """A flow: its identity, the message that starts it, and its code. What `@participant.flow` makes of a function."""

    participant: str
    name: str
    model: type[M]
    key: Callable[[M], FlowKey]
    function: "Callable[[Flow, M], None]"
    listen: Sequence[Listen[Any]] = ()
    """What it waits for."""
    undone: Undone[M] | None = None
    """Runs once its calls are undone."""

    def __call__(self, flow: "Flow", event: M) -> None:
        """Run the function itself."""
        self.function(flow, event)

    def row(self, event: M, message_id: UUID | None = None) -> Mapping[str, object]:
        """Return what is stored when `event` starts the flow.

        Raises:
            StartError: the event is not of the flow's model, or gives no key.
        """
        if not isinstance(event, self.model):
            raise StartError("event", f"of flow {self.name} must be {self.model.__name__}, is {type(event).__name__}")
        key = key_text(self.key(event), self.name)
        return {
            "id": derived(self.participant, self.name, key),
            "name": self.name,
            "key": key,
            "message_id": message_id,
            "input": self._input(event),
            "trace": json.dumps(place) if (place := tracing.carrier()) else None,
        }

    def _input(self, event: M) -> bytes:
        try:
            stored = json_of(event)
            self.model.model_validate_json(stored)
        except (NoJsonNumber, PydanticSerializationError, ValidationError) as error:
            raise StartError("event", f"{self.model.__name__} cannot be written as JSON and read again") from error
        return stored.encode()


def start(flow: FlowDefinition[M], event: M) -> TextClause:
    """Return the statement that starts `flow`, for any Session or Connection, synchronous or not.

    It returns the flow's id. A flow runs once per key: where one of this key was started before, the statement changes
    nothing, whatever `event` says, and returns no row.

    Raises:
        StartError: the event is not of the flow's model, or gives no key.
    """
    return starting(flow.row(event))


def starting(row: Mapping[str, object]) -> TextClause:
    """Return the statement that inserts `row` unless there is one of its name and key."""
    return text(statement("onceward.flows", "start")).bindparams(**row)
