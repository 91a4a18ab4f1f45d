"""The demo's processes: started, killed, started again, and ended whatever happens, also to the demo itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from onceward.errors import OncewardError
from onceward_relay.embedded.guard import Guard

GRACE = 8.0
"""Seconds that a process has to end by itself when it is asked to."""


class Child:
    """A Python program in a process of its own, with its output in a file."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.environment = {**os.environ, **environment}
        """Of its next life."""
        self._arguments = [sys.executable, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self.started_at = 0.0

    def start(self, failpoint: str | None = None) -> None:
        """Start it, again if it has ended; with `failpoint` it will kill itself there."""
        self._unguard()
        environment = self.environment | ({"ONCEWARD_FAILPOINT": failpoint} if failpoint else {})
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is for the demo, which then ends its children
            )
        self._guard = Guard(self._process.pid, signal.SIGKILL)
        self.started_at = time.monotonic()

    @property
    def ended_with(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._unguard()

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait for its end until `deadline` of the monotonic clock, then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            self._unguard()
        except subprocess.TimeoutExpired:
            self.kill()

    def _unguard(self) -> None:
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    def line(self, beginning: str, timeout: float) -> str:
        """Wait for a line of its output that begins so, and return it.

        Raises:
            OncewardError: it ended first, or did not say it in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.ended_with is not None
            lines = self.log.read_text(errors="replace").splitlines(keepends=True)
            if found := [line for line in lines if line.startswith(beginning) and line.endswith("\n")]:
                return found[0].rstrip("\n")
            if ended or time.monotonic() > deadline:
                raise OncewardError(f"{self.name} did not start:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, characters: int = 2000) -> str:
        """Return the end of its output."""
        return self.log.read_text(errors="replace")[-characters:]


def end_all(children: Sequence[Child]) -> None:
    """End all of them: first asked, then killed."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + GRACE
    for child in children:
        child.end(deadline)
