"""A certified OpenID provider (npm's oidc-provider), run by node, and a person who logs in at it as a browser would."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from onceward_relay.embedded.guard import Guard
from tests.servers.maven import Unavailable
from tests.support import eventually

HERE = Path(__file__).parent / "oidc"
MODULES = HERE / "node_modules"
SECRET = "a secret: of & the test"


def installed() -> None:
    """Have npm install what package-lock.json names, once for a checkout."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Unavailable(f"no {program} on this machine")
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (MODULES / ".package-lock.json").exists():
            return
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"npm could not get oidc-provider: {done.stderr[-500:]}")


class OidcProvider:
    """The provider. Each start has a new signing key, at the same address."""

    def __init__(self, folder: Path, callback: str, *, claims_apart: bool = False) -> None:
        installed()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._callback = callback
        self._claims_apart = claims_apart
        self._folder = folder
        self.people: dict[str, dict[str, Any]] = {}
        self.start()

    def know(self, **people: dict[str, Any]) -> None:
        """Know people by their subjects, with their claims."""
        self.people |= people
        self._file.write_text(json.dumps(self.people))

    def start(self) -> None:
        self._file = self._folder / "people.json"
        self.know()
        self._log = self._folder / "provider.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["node", "server.js", str(self._port), self._callback, self._file],
                cwd=HERE,
                env={**os.environ, "CLAIMS_APART": "1" if self._claims_apart else "0"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._guard = Guard(self._process.pid, signal.SIGKILL)
        eventually(lambda: "ready" in self._log.read_text() or self._process.poll() is not None)
        assert self._process.poll() is None, self._log.read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._guard.release()


@contextmanager
def oidc_provider(folder: Path, callback: str, *, claims_apart: bool = False) -> Iterator[OidcProvider]:
    provider = OidcProvider(folder, callback, claims_apart=claims_apart)
    try:
        yield provider
    finally:
        provider.stop()


def to_callback(http: httpx.Client, at: httpx.Response, subject: str) -> str:
    """Log in at the provider, whose log-in page was reached, and return the address that it sends the browser back to."""
    page = at
    for _ in range(10):
        if page.is_redirect:
            there = urljoin(str(page.url), page.headers["location"])
            if "/login/oidc/callback" in there:
                return there
            page = http.get(there, follow_redirects=False)
        else:
            form = re.search(r'action="([^"]+)"', page.text)
            assert form is not None, page.text
            fields = {"prompt": "login", "login": subject, "password": "any"}
            page = http.post(urljoin(str(page.url), form[1]), data=fields, follow_redirects=False)
    raise AssertionError(page.text)
