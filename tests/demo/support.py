"""The fake bank as tests run it: a process of its own."""

from pathlib import Path

import httpx

from onceward_relay.demo import books
from onceward_relay.demo.books import Movement
from tests.support import Process

FIVE = {"reference": "r-1", "account": "ada", "amount": "5.00", "currency": "EUR"}


class RunningBank(Process):
    """A bank with its books at `path`."""

    def __init__(self, path: Path, *options: str) -> None:
        super().__init__(["-m", "onceward_relay.demo.bank", "--books", str(path), *options])
        self._path = path
        self.address = self.wait_for_output("http://")
        self._client = httpx.Client(base_url=self.address, trust_env=False)

    def post(self, operation: str, key: str | None = None, **fields: str) -> httpx.Response:
        """Ask for a movement of 5.00 EUR, with these fields changed."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._client.post(f"/{operation}", json=FIVE | fields, headers=headers, timeout=10)

    def get(self, path: str) -> httpx.Response:
        """Look something up."""
        return self._client.get(path)

    def next(
        self, *manners: str, operation: str | None = None, reference: str | None = None, account: str | None = None
    ) -> None:
        """Queue manners for the next requests."""
        told = {"next": manners, "operation": operation, "reference": reference, "account": account}
        self._client.post("/control/manners", json=told).raise_for_status()

    @property
    def held(self) -> int:
        """How many requests are held."""
        return int(self._client.get("/control/held").json())

    def release(self) -> None:
        """Let requests go on that are held."""
        self._client.post("/control/release", json={}).raise_for_status()

    @property
    def movements(self) -> list[Movement]:
        """What the books say, read from the file."""
        return books.read(self._path)[0]

    def __exit__(self, *_: object) -> None:
        self._client.close()
        super().__exit__(*_)
