"""What a crash at each named point of a call, a flow, a decision or a report leaves when all is over: the crash table, as a function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onceward.failpoint import NAMES
from tests.crash.mortal import KINDS, Kind, undo_of

POINTS = (
    "flow.claimed",
    "call.recorded",
    "call.answered",
    "call.settled",
    "flow.step_recorded",
    "flow.step_recorded:2",
)
"""In the sequence of a flow that pays, notes and publishes."""
POINTS_OF_UNDO = (
    "flow.undoing",
    "flow.claimed:2",
    "call.recorded:2",
    "call.answered:2",
    "call.settled:2",
    "flow.step_recorded:2",
)
"""In the sequence of one that pays, notes, and gives back."""
Story = Literal["", "lost", "unsent", "accepted", "answered", "decided", "reported"]
"""What comes in the way of a flow that pays: nothing; the bank loses the first answer or request, or accepts and tells
the outcome later; the flow waits for an answer; the bank's answer is lost, and a person says what it was, or the bank
reports it."""
POINTS_OF_STORIES: Mapping[tuple[Story, Kind], Sequence[str]] = {
    ("lost", "lookup"): ("call.looked_up",),
    ("unsent", "lookup"): ("call.looked_up",),
    ("accepted", "later"): ("call.accepted", "call.looked_up"),
    ("answered", "key"): ("flow.signal_taken", "flow.step_recorded:3"),
    ("decided", "neither"): ("decision.carried_out", "decision.committed"),
    ("reported", "neither"): ("report.handled", "report.committed"),
}
MANNERS: Mapping[Story, str] = {
    "lost": "lose_reply",
    "unsent": "lose_request",
    "accepted": "accept",
    "decided": "lose_reply",
    "reported": "lose_reply",
}
"""What the bank does with the first request."""


@dataclass(frozen=True)
class Death:
    """A payer that stops at a point of its first flow, at a bank that offers so much."""

    point: str
    """The failpoint, with the number of its pass."""
    kind: Kind
    regretted: bool = False
    """The flow is undone when it has paid."""
    story: Story = ""

    @property
    def number(self) -> str:
        """The order's, and the name of the flow and the provider."""
        return f"{'undone ' if self.regretted else self.story and f'{self.story} '}{self.point} {self.kind}"

    @property
    def in_transaction(self) -> bool:
        """Whether it stops in the middle of a transaction, which PostgreSQL ends after a while."""
        return self.point in ("flow.signal_taken", "decision.carried_out", "report.handled")

    @property
    def struck(self) -> str | None:
        """Reference of the call that was under way."""
        if self.story or not self.point.startswith("call."):
            return None
        return undo_of(self.number) if self.point.endswith(":2") else self.number

    def doubtful(self, *, wakes: bool = False) -> set[str]:
        """Return the reference of the call that nobody but a person can settle, if one is left.

        `wakes`: whoever stopped goes on later; an answer that it had got is a proof still.
        """
        unanswered = self.point.startswith("call.recorded")
        open_ended = unanswered or (self.point.startswith("call.answered") and not wakes)
        return {self.struck} if self.struck and self.kind == "neither" and open_ended else set()

    def flow(self, *, wakes: bool = False) -> str:
        """Return the state in which the flow ends or waits for a person."""
        if self.doubtful(wakes=wakes):
            return "waiting"
        return "undone" if self.regretted else "completed"

    def effects(self) -> dict[str, int]:
        """Return how many effects the bank has under each reference, in the end."""
        unsent = self.struck if self.kind == "neither" and self.point.startswith("call.recorded") else None
        known = [self.number] + [undo_of(self.number)] * (self.regretted and unsent != self.number)
        return {reference: int(reference != unsent) for reference in known}


DEATHS = [Death(point, kind) for point in POINTS for kind in KINDS] + [
    Death(point, kind, regretted=True) for point in POINTS_OF_UNDO for kind in KINDS
]
DEATHS_IN_STORIES = [
    Death(point, kind, story=story) for (story, kind), points in POINTS_OF_STORIES.items() for point in points
]


def untried() -> set[str]:
    """Return the named points of these that no death is for."""
    tried = {death.point.partition(":")[0] for death in DEATHS + DEATHS_IN_STORIES}
    return {name for name in NAMES if name.startswith(("call.", "flow.", "decision.", "report."))} ^ tried
