"""`onceward console run`: the home database is brought up to date, then pages are served until SIGTERM."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from onceward_relay.console.app import application
from onceward_relay.console.config import Settings
from onceward_relay.console.guides import Tour
from onceward_relay.console.home.store import upgrade
from onceward_relay.console.routes import Route

BACKLOG = 512
STOP_TIMEOUT = 10
"""Seconds that requests under way have when the console is to end."""


def serve(settings: Settings, tour: Tour = Tour(), more: Sequence[Route] = ()) -> None:  # noqa: B008 -- frozen
    """Serve until SIGTERM or Ctrl-C; with a `tour` as `application` takes it.

    Raises:
        psycopg.Error: the home database cannot be reached, or not be brought up to date.
        OSError: the address is taken.

    """
    upgrade(settings.console.home_database.conninfo)
    with listening(settings) as (listener, bound):
        print(f"console: {bound.address}", flush=True)  # what a person who starts it looks for
        server_of(bound, tour, more).run(sockets=[listener])


@contextmanager
def listening(settings: Settings) -> Iterator[tuple[socket.socket, Settings]]:
    """Listen, and return the settings with the port that was bound."""
    host, port = settings.console.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=BACKLOG) as listener:
        port = listener.getsockname()[1]
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        console = settings.console.model_copy(update={"listen": where})
        yield listener, settings.model_copy(update={"console": console})


class Server(uvicorn.Server):
    """A server that lets go of open pages when it is to end, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, console: Starlette) -> None:
        super().__init__(config)
        self.console = console
        """The application."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        self.console.state.live.end_all()
        await super().shutdown(sockets)


def server_of(settings: Settings, tour: Tour = Tour(), more: Sequence[Route] = ()) -> Server:  # noqa: B008 -- frozen
    """Return a server of the console's pages."""
    console = application(settings, tour, more)
    return Server(
        uvicorn.Config(
            console,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=STOP_TIMEOUT,
        ),
        console,
    )
