"""What may be done by code with a call that is in doubt, and why nothing else. The rules of promise P4 in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from onceward.providers import Never, Operation, SameKey

SAFETY = timedelta(seconds=60)
"""Taken off a key's lifetime: the provider's clock is not ours."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the provider promises for an operation, from its declaration or from the table `operation`."""

    repeat: Literal["never", "same_key", "always"]
    key_lifetime: timedelta | None
    replays: Literal["successes", "everything"]
    lookup: Literal["none", "positive", "authoritative"]
    settle_delay: timedelta
    timeout: timedelta

    @classmethod
    def of(cls, operation: Operation[Any, Any, Any]) -> "Terms":
        """Return the terms that the code declares."""
        repeat, found = operation.repeat, operation.found
        keyed = isinstance(repeat, SameKey)
        return cls(
            "same_key" if keyed else "never" if isinstance(repeat, Never) else "always",
            repeat.lifetime if isinstance(repeat, SameKey) else None,
            repeat.replays if isinstance(repeat, SameKey) else "successes",
            "none" if found is None else "authoritative" if found.authoritative else "positive",
            found.settle if found else timedelta(0),
            operation.timeout,
        )

    @classmethod
    def stored(cls, row: Mapping[str, Any]) -> "Terms":
        """Return the terms in a row of the table `operation`, for programs that do not have the code."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is recorded of a call in doubt."""

    now: datetime
    """With the others in UTC: where clocks go back, a day of theirs has 25 hours."""
    first_sent_at: datetime
    scope: str
    sends: int
    """Attempts that may have been carried out and were not answered with a proof."""
    refused_now: bool = False
    """The last answer was a rejection, which a resend would only meet again."""
    asked: Literal["lookup", "resend"] | None = None
    """What a person, or a provider's report, gives reason to do next."""


@dataclass(frozen=True, slots=True)
class Way:
    """What code may do next."""

    move: Literal["resend", "ask", "nothing"]
    why: str
    """In words: why this, or why nothing was sent again."""


def way_out(terms: Terms, facts: Facts, scope: str) -> Way:
    """Return what may be done with a call in doubt, if the provider's scope is now `scope`.

    A resend needs proof that it cannot be a second effect: the same key, in the same scope, inside its lifetime. A
    lookup can do no harm. Else a person settles the call. Who asks for a resend gets one that may teach nothing new,
    but none that could be a second effect.
    """
    if facts.asked == "lookup" and terms.lookup != "none":
        return Way("ask", "the provider is asked what became of it, as somebody wished")
    obstacle = _danger_of_resend(terms, facts, scope)
    if obstacle is None and facts.asked != "resend":
        obstacle = _futility_of_resend(terms, facts)
    if obstacle is None and terms.repeat == "always":
        return Way("resend", "it is sent again, which does no more than sending it once")
    if obstacle is None:
        return Way("resend", "it is sent again under the same key, which the provider still remembers")
    if terms.lookup == "none":
        return Way("nothing", f"{obstacle}, and it offers no lookup")
    if scope != facts.scope:
        return Way("ask", f"{obstacle}; the provider is asked, but in another scope only what is found is a proof")
    return Way("ask", f"{obstacle}; the provider is asked what became of it")


def _danger_of_resend(terms: Terms, facts: Facts, scope: str) -> str | None:
    if terms.repeat == "never":
        return "nothing was sent again: the provider takes no idempotency key, so it could take effect twice"
    if scope != facts.scope:
        return f"nothing was sent again: it was sent in the scope {facts.scope!r}, and ours is now {scope!r}"
    if terms.repeat == "always":
        return None
    assert terms.key_lifetime is not None
    if facts.now + terms.timeout + SAFETY >= facts.first_sent_at + terms.key_lifetime:
        return "nothing was sent again: the provider may have forgotten the key"
    return None


def _futility_of_resend(terms: Terms, facts: Facts) -> str | None:
    if terms.repeat == "always":
        return None
    if facts.refused_now:
        return "nothing was sent again: the last answer was a refusal, which says nothing of the attempt before"
    if terms.replays == "everything" and facts.sends >= 2:
        return "nothing was sent a third time: the provider replays what it stored, errors too"
    return None
