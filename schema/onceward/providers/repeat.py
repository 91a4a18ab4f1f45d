"""Whether a request may be sent again while nobody knows whether it took effect."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from onceward.errors import ConfigError

Replays = Literal["successes", "everything"]


@dataclass(frozen=True, slots=True)
class Never:
    """The provider knows no idempotency keys: a request is sent again only if it is proven to have had no effect."""


@dataclass(frozen=True, slots=True)
class SameKey:
    """The provider remembers an idempotency key for `lifetime`: within it the same request may be sent again.

    `replays="everything"` declares that it also replays errors, so that a second resend teaches nothing new.

    Raises:
        ConfigError: the lifetime is not positive, or there is no such way to replay.
    """

    lifetime: timedelta
    replays: Replays = "successes"

    def __post_init__(self) -> None:
        if self.lifetime <= timedelta(0):
            raise ConfigError("lifetime", "of an idempotency key must be positive")
        if self.replays not in ("successes", "everything"):
            raise ConfigError("replays", f"must be 'successes' or 'everything', is {self.replays!r}")


@dataclass(frozen=True, slots=True)
class Always:
    """A request may be sent any number of times in one scope: it does no more than it did the first time."""


Repeat = Never | SameKey | Always
