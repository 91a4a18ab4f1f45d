"""Programs that use the console's API with a token."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from onceward_relay.console.api.routes import PREFIX
from onceward_relay.console.home import tokens
from onceward_relay.console.home.store import Home
from onceward_relay.console.participants import pool_of
from tests.console.running import RunningConsole


class Program:
    """An HTTP client with a token."""

    def __init__(self, address: str, token: str, name: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=30, headers={"Authorization": f"Bearer {token}"})
        self.address = address
        self.token = token
        self.name = name

    def get(self, path: str, **parameters: Any) -> Any:
        """Read something."""
        return self._ok(self.http.get(f"{PREFIX}{path}", params=parameters))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Do something."""
        return self._ok(self.http.post(f"{PREFIX}{path}", json=body))

    def refused(self, method: str, path: str, status: int, body: Any = None, **parameters: Any) -> Any:
        """Try something that is refused, and return the problem."""
        answer = self.http.request(
            method, f"{PREFIX}{path}", params=parameters, **({} if body is None else {"json": body})
        )
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        return answer.json()

    def _ok(self, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()


@contextmanager
def program_of(console: RunningConsole, role: str = "admin", participant: str = "*") -> Iterator[Program]:
    """Let a program in, with a token that somebody at this machine has made."""

    async def made() -> tuple[str, str]:
        async with pool_of(console.settings.console.home_database, 1) as pool:
            home = Home(pool)
            person = await home.someone_here()
            token = await tokens.create(home, person, "a program", participant, role, timedelta(days=1))
            assert token is not None
            visit = await home.visit_by_token(token, [])
            assert visit is not None
            return token, visit.person

    program = Program(console.address, *asyncio.run(made()))
    with program.http:
        yield program
