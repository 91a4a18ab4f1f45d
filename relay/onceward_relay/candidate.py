"""A session that would own a source: it tries for the lease again and again, for a connection costs more than a try."""

import time

from onceward_relay.config import SourceSettings
from onceward_relay.errors import StandBy
from onceward_relay.session import Session, connect, explained, one, refuse_other_schema, refuse_unfit, sql
from onceward_relay.shares import Share

OWNED_AGAIN = 2.0
"""Seconds between two tries for the lease while another relay has it."""
UNOWNED_AGAIN = 1.0
"""The same while nobody has it and others come first."""
CLAIMED_AGAIN = 0.5
"""The same while it is claimed."""


class Candidate:
    """A try for a source that lasts. Any error is its end: close it and open another.

    Raises:
        SourceTrouble: the source cannot be relayed, with the reason.

    """

    def __init__(self, source: SourceSettings, share: Share) -> None:
        self._share = share
        self._unowned_since: float | None = None
        self._claims = False
        self._connection = connect(source)
        try:
            with explained():
                refuse_unfit(self._connection)
                self.newer_schema = refuse_other_schema(self._connection)
                """Its revision, if it is newer than this program knows and says that this relay may go on."""
        except BaseException:
            self.close()
            raise

    def win(self, relay: str, *, may_claim: bool = False) -> Session:
        """Take the source over. The session is the winner's then, and this object done with.

        Raises:
            StandBy: not now; says when to try again.
            SourceTrouble: the source cannot be relayed, with the reason.

        """
        with explained():
            if not one(self._connection, "try_lock")[0]:
                self._unowned_since = None
                self._claim(may_claim=may_claim)
            self._let_others_first()
            self._end_claim()
            return Session(self._connection, relay)

    def _claim(self, *, may_claim: bool) -> None:
        """Ask an owner that comes later to let go; take that back once one that comes before owns the source."""
        owner = self._connection.execute(sql("newest_owner")).fetchone()
        comes_before = owner is not None and self._share.comes_before(owner[0])
        if self._claims and not comes_before:
            self._end_claim()
        elif not self._claims and comes_before and may_claim:
            self._claims = bool(one(self._connection, "claim")[0])
        if self._claims:
            raise StandBy("another relay owns this source and was asked to let go: this one comes first", CLAIMED_AGAIN)
        raise StandBy("another relay owns this source; waiting for it to let go", OWNED_AGAIN)

    def _end_claim(self) -> None:
        if self._claims:
            one(self._connection, "end_claim")
            self._claims = False

    def _let_others_first(self) -> None:
        now = time.monotonic()
        if self._unowned_since is None:
            self._unowned_since = now
        if now - self._unowned_since < self._share.patience:
            one(self._connection, "unlock")
            raise StandBy("no relay owns this source; it is left to one that comes before this one", UNOWNED_AGAIN)

    def close(self) -> None:
        """End the session, with its claim."""
        self._connection.close()
