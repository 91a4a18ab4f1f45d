"""The steps of one run: their names, and whether the code still asks what it asked before.

A run repeats the code from its first line. That is only safe while the code asks the same questions again, so every
question has a fingerprint, and a run that asks otherwise is ended before it has another effect.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from onceward.errors import BadStep, DuplicateStep, FlowDiverged

Kind = Literal["call", "publish", "sleep", "transact", "value", "wait"]

LONGEST_NAME = 255
"""Characters."""
RESERVED = ("undo ", "refund ")
"""Beginnings of the names of steps that undo calls."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a step asks for."""

    kind: Kind
    fingerprint: bytes
    """SHA-256 of it."""

    @classmethod
    def of(cls, kind: Kind, *parts: str | bytes | None) -> "Question":
        """Return the question that `parts` make up."""
        digest = hashlib.sha256(kind.encode())
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update((-1 if data is None else len(data)).to_bytes(8, signed=True))
            digest.update(data or b"")
        return cls(kind, digest.digest())


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step that an earlier run recorded."""

    question: Question
    result: str | None = None
    """JSON. None for calls, whose results stand in the ledger, and for a wait that still waits."""
    until: datetime | None = None
    """When a sleep is over or a wait is late."""
    over: bool = False
    """Whether that moment had come when this run began."""


class Steps:
    """The steps that earlier runs recorded and those that this one has asked for."""

    def __init__(self, recorded: Mapping[str, Recorded]) -> None:
        self._recorded = recorded
        self._asked: set[str] = set()

    @property
    def number(self) -> int:
        """How many this run has asked for."""
        return len(self._asked)

    def ask(self, name: str, question: Question) -> Recorded | None:
        """Take note of a step and return what is recorded of it; None for a new one.

        Raises:
            BadStep: it has no usable name.
            DuplicateStep: this run has had a step of that name.
            FlowDiverged: earlier runs asked something else under this name, or the same under another one.
        """
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise BadStep(f"a step's name must be 1 to {LONGEST_NAME} printable characters, is {name[:80]!a}")
        if name.startswith(RESERVED):
            raise BadStep(f"a step's name may not begin as {name[:80]!a} does: such names are for what undoes calls")
        if name in self._asked:
            raise DuplicateStep(f"two steps are named {name!r}; give each its own name with step=")
        self._asked.add(name)
        known = self._recorded.get(name)
        if known is None:
            self._refuse_renamed(name, question)
        elif known.question != question:
            raise FlowDiverged(
                f"step {name!r} is recorded as a {known.question.kind} that asked something else; a flow must ask the"
                " same in every run"
            )
        return known

    def finish(self) -> None:
        """Check that everything recorded was asked for again.

        Raises:
            FlowDiverged: it was not.
        """
        if left := self._left():
            raise FlowDiverged(f"the code came to its end without the recorded steps {', '.join(map(repr, left))}")

    def _refuse_renamed(self, name: str, question: Question) -> None:
        """Refuse to do again under a new name what is done: a step was renamed, or its order is left to chance."""
        same = [other for other in self._left() if self._recorded[other].question == question]
        if same:
            raise FlowDiverged(
                f"step {name!r} is new and asks the same as the recorded step {same[0]!r}, which has not come"
                " before it: it would be done twice"
            )

    def _left(self) -> Iterable[str]:
        return [name for name in self._recorded if name not in self._asked]
