"""Where a worker can die: before every transaction, before every commit, before and after a provider acts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


class Crash(BaseException):
    """Stands for the death of the process: no code may catch it, and the database hears nothing more."""


class Crashes:
    """Counts the points that a run passes, and lets it die at one of them.

    A dead worker can neither begin nor commit anything until it is `restarted`.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.where = ""
        """The point at which it died, in words."""
        self._at = 0
        self._dead = False
        self._aside = False

    def arm(self, at: int) -> None:
        """Die at the point of this number; 0 for never."""
        self.passed, self.where, self._at, self._dead = 0, "", at, False

    def restarted(self) -> None:
        """Begin another life, which lasts."""
        self._at, self._dead = 0, False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Surround what is no worker's doing: no point of it counts."""
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    def point(self, where: str) -> None:
        """Pass a point.

        Raises:
            Crash: the worker dies here, or is dead.
        """
        if self._aside:
            return
        self._refuse_the_dead()
        self.passed += 1
        if self.passed == self._at:
            self._dead, self.where = True, where
            raise Crash

    def watch(self, engine: Engine) -> None:
        """Make a point of every beginning and every commit of a transaction over `engine`."""
        event.listen(engine, "begin", lambda _: self.point("before a transaction"))
        event.listen(engine, "commit", lambda _: self.point("before a commit"))
        event.listen(engine, "before_cursor_execute", self._refuse_the_dead)

    def _refuse_the_dead(self, *_: Any) -> None:
        if self._dead and not self._aside:
            raise Crash
