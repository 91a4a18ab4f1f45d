"""What a route is: where, what it needs, and who answers. Everything that the console serves stands in such a table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]
Permission = Literal["look", "reveal", "act", "approve", "manage"]


@dataclass(frozen=True, slots=True)
class Route:
    """One page, or one thing that a form does.

    A path that names `{participant}` needs the permission there; any other needs it at some participant at least, and
    its endpoint asks only those at which the person has it.
    """

    method: Literal["GET", "POST"]
    path: str
    endpoint: Endpoint
    permission: Permission | None
    """None: somebody who is logged in."""
    public: bool = False
    """Whether it needs no log-in: the log-in itself, static files, health."""
    everywhere: bool = False
    """Whether the permission at one participant is not enough: it is about what belongs to none, such as people."""
    most_bytes: int | None = None
    """Of a body, once session and permission are checked; None: what the guard takes of any."""
