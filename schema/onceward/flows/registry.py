"""The flows of a participant, and the bell that rings when one of them is started in this process."""

import logging
from collections.abc import Iterator
from threading import Condition
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.cloudevents import IncomingMessage
from onceward.errors import ConfigError
from onceward.flows import listening
from onceward.flows.definition import FlowDefinition, starting
from onceward.flows.listening import Listen

log = logging.getLogger("onceward.flows")

_INPUT = text("SELECT input FROM onceward.flow WHERE name = :name AND key = :key")


class Bell:
    """Wakes threads that wait for work."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it has rung."""
        return self._rings

    def ring(self) -> None:
        """Wake all that wait."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def wait(self, heard: int, seconds: float) -> bool:
        """Wait until it has rung more than `heard` times, at most so long; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rings > heard, seconds)


class Flows:
    """The flows of one participant, by name."""

    def __init__(self) -> None:
        self.started = Bell()
        """Rings when the consumer of this process starts or wakes a flow, a moment before its transaction commits."""
        self._by_name: dict[str, FlowDefinition[Any]] = {}

    def add(self, flow: FlowDefinition[Any]) -> None:
        """Add a flow.

        Raises:
            ConfigError: there is one of its name.
        """
        if flow.name in self._by_name:
            raise ConfigError("name", f"{flow.name!r} is the name of two flows; give one another with name=")
        self._by_name[flow.name] = flow

    def __getitem__(self, name: str) -> FlowDefinition[Any]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def listening(self) -> bool:
        """Whether a flow waits for messages."""
        return any(flow.listen for flow in self._by_name.values())

    def keep(
        self, flow: FlowDefinition[Any], listen: Listen[Any], session: Session, event: Any, message: IncomingMessage
    ) -> None:
        """Keep a message for one of the flows `flow`, in its transaction."""
        if listening.keep(listen, flow.name, session, event, message):
            self.started.ring()

    def start(self, flow: FlowDefinition[Any], session: Session, event: Any, message: IncomingMessage) -> None:
        """Start `flow` in the transaction of the message that asks for it; the first message of a key wins."""
        row = flow.row(event, message.message_id)
        if session.scalar(starting(row)):
            self.started.ring()
        elif bytes(session.scalars(_INPUT, row).one()) != row["input"]:
            log.warning(
                "message %s asks for flow %s with a key that runs with another input; the first one stands",
                message.message_id,
                flow.name,
            )
