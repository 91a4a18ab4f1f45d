"""What is done while the database may have lost calls: promise P4 holds for what is written down, and rows can be lost.

After a failover to a standby that lagged behind, a recovery to a point in time or a restored dump, calls may have been
made that the database does not know. Their ids and keys are made of what they are for, so a flow that is run again asks
for the same call under the same key. What is not safe by that waits until a person has looked (`onceward recover`).
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Engine

from onceward.ledger import store
from onceward.ledger.terms import Terms

log = logging.getLogger("onceward.ledger")

UNSEEN = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time since which calls may be lost, until a worker has looked."""
EVERY = timedelta(minutes=1)
"""Between looks."""


class History:
    """Looks whether the database is still the one it was."""

    def __init__(self, engine: Engine, worker: str, send_window: timedelta) -> None:
        self._engine = engine
        self._look = {"worker": worker, "send_window": send_window}
        self._next = float("-inf")

    def look(self) -> bool:
        """Look, at most once a minute, and open an incident if it is another one. There is never more to look at."""
        if time.monotonic() >= self._next:
            with self._engine.begin() as connection:
                known = connection.scalar(store.sql("look_at_history"), self._look)
            self._next = time.monotonic() + EVERY.total_seconds()
            if not known:
                log.error("the database may have lost calls; those that are not safe are held: onceward recover")
        return False


def caution(terms: Terms, lost_since: datetime | None) -> Literal["send", "doubt", "hold"]:
    """Return what is done with a call that is to be sent, if calls may be lost since then.

    `doubt` treats it as one in doubt: the provider is asked, or it is sent under its key while that is remembered.
    """
    if lost_since is None or terms.repeat == "always":
        return "send"
    if lost_since == UNSEEN or (terms.repeat == "never" and terms.lookup != "authoritative"):
        return "hold"
    return "doubt"
