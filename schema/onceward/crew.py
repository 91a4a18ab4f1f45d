"""Threads that live and die together."""

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from onceward.errors import WorkerFailed
from onceward.wordless import server_words, trace

log = logging.getLogger("onceward.worker")


class Crew:
    """Threads of one process. The first that dies of an error is remembered, for the process has to end then.

    They are daemons: one that hangs does not keep the process from ending.
    """

    def __init__(self) -> None:
        self.failed = Event()
        """Set when a thread has died."""
        self._threads: list[Thread] = []
        self._starting = Lock()
        self._failure: tuple[str, BaseException] | None = None

    def start(self, name: str, body: Callable[[], object]) -> None:
        """Run `body` in a thread."""
        thread = Thread(target=self.guarded, args=(name, body), name=f"onceward-{name}", daemon=True)
        with self._starting:
            thread.start()
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def guarded(self, name: str, body: Callable[[], object]) -> None:
        """Run `body` in this thread; what it raises ends the crew."""
        try:
            body()
        except BaseException as error:  # noqa: BLE001 -- raised again by check, in the thread that can end the process
            log.critical("thread %s died: %s\n%s", name, in_words(error), trace(error))
            self._failure = self._failure or (name, error)
            self.failed.set()

    def join(self, seconds: float) -> list[str]:
        """Wait for the end of all, at most so long; return the names of those that have not ended."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def check(self) -> None:
        """Raise what a thread died of.

        Raises:
            WorkerFailed: one died. It stands for the error, which may hold what should not be printed.
        """
        if self._failure is not None:
            name, error = self._failure
            raise WorkerFailed(f"thread {name} died: {in_words(error)}") from None


def in_words(error: BaseException) -> str:
    """Describe an error without the data that it met: no statement's parameters, no rejected input."""
    words = "" if isinstance(error, ValidationError) else str(error)
    if isinstance(error, DBAPIError):
        words = server_words(error.orig)
    first = words.partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
