"""Orders that flows pay at the bank: placed while the campaign runs, with a log of them outside PostgreSQL."""

import threading
from contextlib import suppress
from itertools import count

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from onceward.database import sqlalchemy_url
from onceward.flows.definition import start
from tests.campaign.payer import PARTS
from tests.crash.mortal import Order, participant_of

PAUSE = 0.4
"""Seconds between two orders."""
REGRETTED = 5
"""Every so many orders one is undone when it is paid."""
BAD_MANNERS = (
    "lose_request=0.04,lose_reply=0.04,error_after=0.04,cut_reply=0.03,drip:5=0.02,bomb=0.01,"
    "refuse=0.03,throttle=0.03,busy=0.03,slow=0.1,slow_reply=0.1,down:2=0.01"
)
"""What the bank does by chance."""
PLENTY = 1_000_000_000
"""Cents: nobody's money comes to an end."""


class Orders:
    """Places orders in one database."""

    def __init__(self, database: str) -> None:
        self.committed: set[str] = set()
        """Numbers of those that are there; of others nobody knows."""
        self._engine = create_engine(sqlalchemy_url(database), poolclass=NullPool, connect_args={"connect_timeout": 5})
        self._flows = participant_of(PARTS, "http://127.0.0.1:1").flows
        self._numbers = count(1)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, seconds: float) -> None:
        """Place orders for so long."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._work, args=(seconds,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Place no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self, seconds: float) -> None:
        for _ in range(int(seconds / PAUSE)):
            number = next(self._numbers)
            with suppress(DBAPIError):  # the server is away, and may have committed
                self._place(number)
            if self._stopped.wait(PAUSE):
                return

    def _place(self, number: int) -> None:
        name = list(PARTS)[number % len(PARTS)]
        order = Order(number=f"{name} {number}", regretted=number % REGRETTED == 0)
        with self._engine.begin() as connection:
            connection.execute(start(self._flows[name], order))
        self.committed.add(order.number)
