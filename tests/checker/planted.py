"""The relay with a bug planted: `python -m tests.checker.planted BUG relay run ...`. The product has no such switch."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from onceward_relay import outbox, session
from onceward_relay.cli import main
from onceward_relay.outbox import ID, Outbox
from onceward_relay.position import Position, Snapshot, Window
from onceward_relay.session import Row, Session


def forget_who_was_running() -> None:
    """Transactions that outlived a window are never looked for again."""
    Window.late = property(lambda _: frozenset())  # type: ignore[assignment,method-assign]


def send_in_the_order_of_transactions() -> None:
    """A window is not sorted by id."""
    setattr(outbox, "sql", lambda name: session.sql(name).replace("ORDER BY id", "ORDER BY xid"))  # noqa: B010 -- a plant


def take_the_window_anew() -> None:
    """After a crash inside an open window its end is taken again."""
    take_over = Session._take_over

    def take_over_wrongly(self: Session, relay: str) -> tuple[Position, Mapping[str, Any]]:
        position, history = take_over(self, relay)
        if position.s2 is not None:
            now = self.connection.execute("SELECT pg_current_snapshot()::text").fetchone()
            assert now is not None
            position = replace(position, s2=Snapshot.parse(now[0]))
        return position, history

    session.Session._take_over = take_over_wrongly  # type: ignore[method-assign]


def send_what_is_not_durable() -> None:
    """The flush gate is left out."""
    Outbox.wait_durable = lambda *_: None  # type: ignore[method-assign]


def read_what_has_a_greater_id() -> None:
    """A window is what has an id above the last one: what every outbox does first."""
    last = [0]
    rows = Outbox.rows

    def rows_after(self: Outbox, window: Window) -> list[Row]:
        found = rows(self, window)
        last[0] = found[-1][ID] if found else last[0]
        return found

    Outbox.rows = rows_after  # type: ignore[method-assign]
    Window.condition = lambda self: f"id > {last[0]}"  # type: ignore[method-assign]


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        forget_who_was_running,
        send_in_the_order_of_transactions,
        take_the_window_anew,
        send_what_is_not_durable,
        read_what_has_a_greater_id,
    )
}

if __name__ == "__main__":
    bug = sys.argv.pop(1)
    if bug != "none":
        BUGS[bug]()
    main()
