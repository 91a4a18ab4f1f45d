"""A console at work in this process, behind a real socket, and people who use it without a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from onceward_relay.console.config import ConsoleSettings, Settings
from onceward_relay.console.home.store import upgrade
from onceward_relay.console.serve import listening, server_of
from tests.conftest import Database
from tests.support import eventually

FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


class Person:
    """Somebody who uses the console: an HTTP client with a session."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, follow_redirects=True, timeout=30)

    def look(self, path: str, **parameters: Any) -> httpx.Response:
        """Open a page."""
        return self.http.get(path, params=parameters or None)

    def send(self, path: str, page: httpx.Response, **fields: Any) -> httpx.Response:
        """Send a form of a page that was opened before."""
        found = FORM_TOKEN.search(page.text)
        assert found is not None, "the page has no form"
        return self.http.post(path, data={"form_token": found[1], **fields})


class RunningConsole:
    """A console that serves."""

    def __init__(self, address: str, settings: Settings, app: Starlette) -> None:
        self.address = address
        self.settings = settings
        self.app = app

    @contextmanager
    def person(self) -> Iterator[Person]:
        """Let somebody in."""
        person = Person(self.address)
        with person.http:
            yield person


def settings_of(
    home: Database, participants: dict[str, str], oidc: dict[str, Any] | None = None, **console: Any
) -> Settings:
    """Return a configuration on a free port; `participants` by name, each with its database's URL."""
    given = {"listen": "127.0.0.1:0", "home": SecretStr(home.url), "deadline": 5.0, **console}
    return Settings.model_validate(
        {
            "console": ConsoleSettings(**given),
            "oidc": oidc,
            "participant": [{"name": name, "database": SecretStr(url)} for name, url in participants.items()],
        }
    )


@contextmanager
def running(settings: Settings) -> Iterator[RunningConsole]:
    """Serve in a thread until the end."""
    upgrade(settings.console.home_database.conninfo)
    with listening(settings) as (socket, bound):
        server = server_of(bound)
        thread = Thread(target=server.run, kwargs={"sockets": [socket]}, name="console", daemon=True)
        thread.start()
        eventually(lambda: server.started)
        try:
            yield RunningConsole(bound.address, bound, server.console)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
