"""Lines that lead somebody new through the worklist, as the demo shows them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guide:
    """One thing to look at, and how it is settled."""

    title: str
    text: str
    hint: str
    page: str
    """Its address in the console."""


@dataclass(frozen=True, slots=True)
class Button:
    """Something that somebody may let happen."""

    title: str
    text: str
    """What it does."""
    path: str
    """Where its form is sent to; the routes that are given with it answer there."""


@dataclass(frozen=True, slots=True)
class Tour:
    """What the worklist begins with."""

    guides: tuple[Guide, ...] = ()
    buttons: tuple[Button, ...] = ()
