"""How many threads work at a time, however many there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Permits:
    """So many threads work at a time. One that waits for the outside lends its permit to another meanwhile.

    Who comes back from there goes first: an answer is worth more than new work.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._returning = 0
        self._closed = False
        self._changed = Condition()

    @property
    def returning(self) -> int:
        """How many threads are back from the outside and wait for a permit."""
        return self._returning

    def close(self) -> None:
        """Let nobody begin to work any more; who waits to begin is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Work with a permit, once one is free; False: there is none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free > self._returning)
            held = not self._closed
            self._free -= held
        try:
            yield held
        finally:
            if held:
                self._give_back()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Work without the permit that this thread holds, and take one again at the end."""
        self._give_back()
        try:
            yield
        finally:
            with self._changed:
                self._returning += 1
                self._changed.wait_for(lambda: self._free > 0)
                self._returning -= 1
                self._free -= 1
                self._changed.notify_all()

    def _give_back(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
