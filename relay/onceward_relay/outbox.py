"""Reads the outbox: what is visible now, and the rows of a window, page by page.

Each read is a short statement of its own: no cursor, so that no snapshot is ever held.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from onceward_relay.patience import LONG
from onceward_relay.position import Position, Snapshot, Window
from onceward_relay.session import Answer, Row, Session, sql

PAGE_ROWS = 5000
"""Most rows of a page."""
PAGE_BYTES = 16 * 2**20
"""Most bytes of payload that a page of several rows may have."""
FEW_ROWS = 500
"""Most rows of a window that is read at one go, without asking first how much it holds."""
OTHERS_FLUSH = timedelta(milliseconds=5)
"""How long the commits of others may take to make a window durable, before the relay has WAL flushed itself: each
flush of its own would be one more that participants wait behind."""

ID, MESSAGE_ID, TOPIC, KEY, TYPE, PAYLOAD, HEADERS, CREATED_AT, TOO_LARGE, DURABLE = range(10)
"""Columns of a row. created_at is in PostgreSQL's binary form: microseconds since 2000."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What is visible now."""

    snapshot: Snapshot
    written: str
    """WAL position up to which all that is visible was written. It is durable once WAL is flushed up to here."""
    barren: bool = False
    """The server has seen that no new row is visible."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How the server waits for new rows."""

    seconds: float
    """At most so long."""
    nap: float
    """Seconds between two looks of its own."""


class Outbox:
    """The outbox of one source, read through its session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._page_rows = PAGE_ROWS
        self._ahead: tuple[Position, Answer] | None = None
        """The page that is being read ahead, and where it begins."""

    def probe(self, since: Snapshot, wait: Wait) -> Probe:
        """Return what is visible now; if there are no new rows `since`, once there are or the wait is over."""
        question = {"since": since.text, "patience": max(0.0, wait.seconds), "nap": wait.nap}
        text, written, news = self._session.query(sql("probe"), question)[0]
        return Probe(Snapshot.parse(text), written, barren=news is False)

    def wait_durable(self, probe: Probe) -> None:
        """Wait until all that was visible at `probe` is flushed to disk: the flush gate.

        A transaction with synchronous_commit = off is visible before it is durable. What was sent of it would be a
        phantom after a crash.
        """
        self._session.query(sql("wait_durable"), (probe.written, OTHERS_FLUSH), patience=LONG)

    def few(self, window: Window, probe: Probe) -> list[Row] | None:
        """Return all rows of a small window once they are durable, by id; None if it is not small."""
        largest = PAGE_BYTES // FEW_ROWS
        rows = self._query("few", window=window, limit=FEW_ROWS + 1, largest=largest, written=probe.written)
        if len(rows) > FEW_ROWS or any(row[TOO_LARGE] for row in rows):
            return None
        if rows and not rows[0][DURABLE]:
            self.wait_durable(probe)
        return [row[:DURABLE] for row in rows]

    def fits_page(self, window: Window) -> bool | None:
        """Return whether the window fits into one page; None if it is empty."""
        rows, size = self._query("count", window=window, limit=PAGE_ROWS + 1)[0]
        return None if rows == 0 else rows <= PAGE_ROWS and size <= PAGE_BYTES

    def rows(self, window: Window) -> list[Row]:
        """Return all rows of a window that fits into one page, by id."""
        return self._query("window", window=window)

    def start_of(self, window: Window) -> int:
        """Return the id before the first row of the window."""
        return int(self._query("window_start", window=window)[0][0])

    def page(self, position: Position) -> list[Row]:
        """Return the next rows of the open window of `position`, by id; none if there are no more.

        A row that is too large for a page of so many rows ends the page, and the next page asks for fewer rows.
        """
        while True:
            rows = self._read(position)
            large = next((i for i, row in enumerate(rows) if row[TOO_LARGE]), None)
            if large is None:
                self._page_rows = min(PAGE_ROWS, self._page_rows * 2)
                return rows
            self._page_rows = max(1, self._page_rows // 10)
            if large:
                return rows[:large]

    def again(self, before: Position, after: Position) -> list[Row]:
        """Return the rows between two positions that were written down: always the same, by id."""
        if after.s2 is None:
            return self.rows(Window(before.s1, after.s1))
        return self._query("page_again", last_id=before.last_id, upto=after.last_id, **after.bounds())

    def read_ahead(self, position: Position) -> None:
        """Let the server read the page after `position` while the one before it is sent, if there is an open window."""
        if position.s2 is not None:
            self._ahead = position, self._session.ask(self._page(position))

    def _read(self, position: Position) -> list[Row]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == position:
            return self._session.wait_for(ahead[1])
        return self._session.query(self._page(position), binary=True, patience=LONG)

    def _page(self, position: Position) -> str:
        largest = PAGE_BYTES // self._page_rows
        return compose("page", last_id=position.last_id, limit=self._page_rows, largest=largest, **position.bounds())

    def newest_id(self) -> int:
        """Return the id of the newest visible row, 0 if there is none."""
        return int(self._session.query(sql("newest_id"))[0][0])

    def _query(self, name: str, **literals: Any) -> list[Row]:
        return self._session.query(compose(name, **literals), binary=True, patience=LONG)


def compose(name: str, **literals: Any) -> str:
    """Return the statement `name` with its bounds as literals: the planner must see them to choose the index."""
    return filled_in(sql(name), **literals)


def filled_in(template: str, **literals: Any) -> str:
    """Return `template` with windows, snapshots and numbers in its places."""
    texts = {
        key: value.condition() if isinstance(value, Window) else _literal(value) for key, value in literals.items()
    }
    return template.format(**texts)


def _literal(value: int | str | Snapshot) -> str:
    if isinstance(value, str):
        return f"'{value}'"  # as PostgreSQL wrote it: digits and punctuation
    return f"'{value.text}'" if isinstance(value, Snapshot) else str(int(value))
