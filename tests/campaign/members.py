"""Processes that are kept running, and killed, frozen and started again on purpose."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support import Process

KILLED = -signal.SIGKILL


class Member:
    """A process under a name. Its output goes to one file, whatever the number of its lives."""

    def __init__(self, name: str, arguments: Callable[[int], list[str]], output: Path) -> None:
        self.name = name
        self.output = output
        self._arguments = arguments
        self._lives = 0
        self._lock = threading.RLock()
        self._process: Process | None = None
        self._read = self._born = 0
        self.down = False
        """Whether it is down on purpose."""

    def start(self, failpoint: str = "") -> None:
        """Start it, or start it again."""
        with self._lock:
            self._end()
            self._lives += 1
            self._born = self.output.stat().st_size if self.output.exists() else 0
            environment = {"ONCEWARD_FAILPOINT": failpoint}
            self._process = Process(["-m", *self._arguments(self._lives)], environment, self.output)
            self.down = bool(failpoint)

    def kill(self) -> None:
        """Kill it; it stays down until it is started."""
        with self._lock:
            self.down = True
            self._end()

    def stop(self, timeout: float = 60) -> None:
        """Ask it to end, and wait until it has."""
        with self._lock:
            self.down = True
            if self._process is not None and self._process.running:
                self._process.terminate(timeout)
            self._end()

    def suspend(self) -> None:
        """Freeze it."""
        assert self._process is not None
        self._process.suspend()

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.resume()

    @property
    def died(self) -> bool:
        """Whether it was killed, by itself or by another."""
        return self._process is not None and not self._process.running

    def ended_by_itself(self) -> bool:
        """Return whether it ended without anybody's wish; if so, start it again."""
        with self._lock:
            if self.down or not self.died:
                return False
            self.start()
            return True

    def says(self, text: str) -> bool:
        """Whether it has printed `text` in this life."""
        with self.output.open("rb") as file:
            file.seek(self._born)
            return text.encode() in file.read()

    def news(self) -> str:
        """Return what it has printed since the last call."""
        with self.output.open("rb") as file:
            file.seek(self._read)
            printed = file.read()
        self._read += len(printed)
        return printed.decode(errors="replace")

    def _end(self) -> None:
        if self._process is not None:
            self._process.__exit__()
            self._process = None
