"""What a route of the API is: the same words as for pages, so that the same test looks at who may use which."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from onceward_relay.console.routes import Permission

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One thing that a program can read or do. Its path stands below `PREFIX`."""

    method: Literal["GET", "POST"]
    below: str
    endpoint: Callable[..., Awaitable[Any]]
    """Its arguments and its answer are typed: the description of the API is made of them."""
    permission: Permission | None
    """At the `{participant}` of the path, or somewhere at least; None: whoever has a token."""
    tag: str
    public: bool = False

    @property
    def path(self) -> str:
        """The whole path."""
        return f"{PREFIX}{self.below}"
