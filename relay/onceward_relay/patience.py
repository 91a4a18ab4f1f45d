"""A PostgreSQL connection that does not wait for ever for an answer."""

import select
import time
from collections.abc import Generator
from typing import Any

import psycopg

from onceward_relay.errors import SessionLost

SHORT = 10.0
"""Seconds for a statement that touches little: after so long the lease counts as lost."""
LONG = 70.0
"""Seconds for any other: above the server's own statement_timeout."""
_READ, _WRITE = 1, 2  # psycopg's generators ask for, and are told, readiness in these bits


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose every wait ends: a dead network, or a server that is stuck, must not hang the relay."""

    patience = LONG
    """Seconds for the statements that follow."""

    def wait(self, gen: Generator[int, int, Any], *_: object, **__: object) -> Any:
        """Run a generator of psycopg's until it is done.

        Raises:
            SessionLost: it was not, within `patience`. The connection is closed.

        """
        deadline = time.monotonic() + self.patience
        poll = select.poll()
        try:
            wanted = next(gen)
            while True:
                poll.register(
                    self.pgconn.socket, (wanted & _READ and select.POLLIN) | (wanted & _WRITE and select.POLLOUT)
                )
                events = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
                if not events:
                    self.close()
                    raise SessionLost(f"the server has not answered for {self.patience:.0f} s")
                seen = events[0][1]
                readable = seen & (select.POLLIN | select.POLLERR | select.POLLHUP)
                wanted = gen.send((_READ if readable else 0) | (_WRITE if seen & select.POLLOUT else 0))
        except StopIteration as end:
            return end.value
