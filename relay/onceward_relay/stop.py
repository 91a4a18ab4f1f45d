"""The request to end, and how long things may still take."""

import time
from threading import Event

from onceward_relay.errors import Stopping


class Stop:
    """Asks everything to end, and ends what takes too long."""

    def __init__(self, timeout: float) -> None:
        self._event = Event()
        self._timeout = timeout
        self._asked_at = 0.0

    def ask(self) -> None:
        """Ask everything to end; the time counts from the first asking."""
        if not self._event.is_set():
            self._asked_at = time.monotonic()
            self._event.set()

    @property
    def asked(self) -> bool:
        """Whether everything is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Give up what is under way once it has had its time.

        Raises:
            Stopping: the time is over.

        """
        if self._event.is_set() and time.monotonic() - self._asked_at > self._timeout:
            raise Stopping("what was on its way to Kafka is left to the next owner")
