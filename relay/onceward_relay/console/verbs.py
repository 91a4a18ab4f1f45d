"""What people may do, in words: on buttons, and what will happen, before it does."""

from dataclasses import dataclass
from typing import Literal

from onceward_relay.console.deciding import Kind
from onceward_relay.console.routes import Permission

Asks = Literal["result", "evidence", "says", "refund", "until", "text", "why"]


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a person may do with a call, a flow or an incident."""

    name: str
    """As the schema and addresses name it."""
    kind: Kind
    title: str
    """On its button."""
    happens: str
    """What will happen, in a few sentences."""
    proposes: bool = False
    """Whether it is a decision: others may have to agree, and a worker carries it out."""
    permission: Permission = "act"
    asks: tuple[Asks, ...] = ()
    """What its form asks for beside a reason."""
    danger: bool = False
    """Whether a mistake cannot be taken back."""
    many: bool = False
    """Whether it can be done for many at once."""


_NOTE = "The note is kept in the audit with your name, for everybody who looks here. Write no personal data into it."
_ALL = (
    Verb(
        "lookup", "call", "Ask the provider",
        "A worker asks the provider what became of it, now. That moves no money, and settles only what the answer"
        " proves.",
        many=True,
    ),
    Verb(
        "resend", "call", "Send it now",
        "A worker sends the stored request once more under the same key, if the provider still knows the key and"
        " is reached in the same scope. It sends nothing that could take effect twice.",
        many=True,
    ),
    Verb(
        "applied", "call", "It took effect",
        "A worker settles the call as succeeded, with the result that you give, as if the provider had answered"
        " so. What would undo it is computed, and its flow goes on. This cannot be taken back once it is done.",
        proposes=True, asks=("result", "evidence"), danger=True,
    ),
    Verb(
        "not_applied", "call", "It took no effect",
        "A worker settles the call as failed. Its flow is told so, and goes another way or undoes what it did. If"
        " the provider carries it out after all, nothing here will know: be sure. This cannot be taken back once"
        " it is done.",
        proposes=True, danger=True, many=True,
    ),
    Verb(
        "new_key", "call", "Make it again",
        "A worker records the same request under another key and sends it: for the provider it is a new one. The"
        " call that has failed stays as it is.",
        proposes=True, danger=True, many=True,
    ),
    Verb(
        "refund", "call", "Refund",
        "A worker makes the call that reverses this one, for all of it or for a part. Refunds together never"
        " exceed it.",
        proposes=True, asks=("refund",), danger=True, many=True,
    ),
    Verb(
        "accept_difference", "call", "Accept the difference",
        "What the provider did is taken as it is, and the flow goes on with it.",
        proposes=True, many=True,
    ),
    Verb(
        "evidence", "call", "Add evidence",
        "It is kept with the call, and a decision may rest on it. It settles nothing by itself; if it contradicts"
        " how the call is settled, an incident says so.",
        asks=("says", "evidence"),
    ),
    Verb("note", "call", "Write a note", _NOTE, asks=("text",)),
    Verb(
        "reveal", "call", "Show contents",
        "What was sent and answered, and the evidence, is shown unmasked, once. The audit keeps that you looked,"
        " and why.",
        permission="reveal",
    ),
    Verb(
        "resume", "flow", "Resume",
        "A worker takes the flow up where it stands. What succeeded is skipped.",
        many=True,
    ),
    Verb(
        "pause", "flow", "Pause",
        "No worker takes the flow up until somebody resumes it. A run that is under way ends first.",
        many=True,
    ),
    Verb(
        "undo", "flow", "Undo",
        "Its code is run no more. What succeeded is reversed, the last first, as planned.",
        proposes=True, danger=True, many=True,
    ),
    Verb(
        "close", "flow", "Close",
        "The flow is given up as it stands: what waits to be sent is cancelled, and nothing more is done or"
        " undone. What is in doubt stays to be settled.",
        proposes=True, danger=True, many=True,
    ),
    Verb("note", "flow", "Write a note", _NOTE, asks=("text",)),
    Verb("claim", "incident", "Take it", "Others see that you are at it."),
    Verb("unclaim", "incident", "Let go", "Nobody has it then."),
    Verb(
        "snooze", "incident", "Set aside",
        "The worklist leaves it out for a while: at most 30 days, and not past the moment before which it needs"
        " an act.",
        asks=("until",),
    ),
    Verb("note", "incident", "Write a note", _NOTE, asks=("text",)),
    Verb(
        "close", "incident", "Close it",
        "Nothing else ends it: you have seen what it says, and done what had to be done. The audit keeps your"
        " reason. Nothing is changed about call, flow or message.",
        asks=("why",),
    ),
)  # fmt: skip
VERBS: dict[tuple[str, str], Verb] = {(verb.kind, verb.name): verb for verb in _ALL}
"""All verbs, by what they are done to and their name."""
ALWAYS = {"call": ("evidence", "note", "reveal"), "flow": ("note",)}
"""What is possible in every state."""


def verbs_of(kind: Kind) -> list[Verb]:
    """Return the verbs of calls, flows or incidents, in the order in which they are shown."""
    return [verb for verb in _ALL if verb.kind == kind]
