"""Looks at one source. Every count ends after so many rows, so that a look costs little however much there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from onceward.sqlfiles import statement
from onceward_relay.config import SourceSettings
from onceward_relay.errors import SourceTrouble
from onceward_relay.growth import OVER
from onceward_relay.outbox import filled_in
from onceward_relay.patience import PatientConnection
from onceward_relay.position import START, Position, Snapshot, Window
from onceward_relay.session import Row, connect, explained, refuse_foreign, refuse_unfit, sql
from onceward_relay.status.model import LONG_IN_USE, Count, Lag, Owner, SourceStatus

MOST_ROWS = 100_000
"""Outbox rows that a count looks at."""
MOST_OTHERS = 10_000
"""Rows of other tables that a count looks at."""
GROWTH_OVER, LEAST_OVER = int(OVER), 60
"""Seconds over which the outbox's growth is measured, and the fewest: what is emptied is gone, and tells nothing."""
RATE_OVER = 60.0
"""Seconds that the rate is an average of."""
PACKAGE = "onceward_relay.status"


def look(source: SourceSettings, patience: float) -> SourceStatus:
    """Return how a source stands, with the reason where it cannot be seen. Each of its statements has `patience` s."""
    status = SourceStatus(source.name, source.place, outbox_limit=source.outbox_limit)
    try:
        with connect(source, "status", patience) as connection, explained():
            connection.patience = patience
            refuse_unfit(connection)
            connection.execute(statement(PACKAGE, "session"))
            look_through(connection, status)
    except SourceTrouble as error:
        status.state, status.reason = "broken", str(error)
    return status


def look_through(connection: PatientConnection, status: SourceStatus) -> None:
    """Fill `status` with all that the connection's role may see."""
    with _seen(status, "owner"):
        _owner(connection, status)
    with _seen(status, "lag"):
        _halted(connection, status)
        _progress(connection, status)
    with _seen(status, "holds"):
        keys, topics, messages = _row(connection, "holds", limit=MOST_OTHERS)
        status.held_keys, status.held_topics, status.held_messages = _few(keys), _few(topics), _few(messages)
    with _seen(status, "outbox"):
        status.outbox_bytes = _row(connection, "outbox_size")[0]
        status.slot_users = _row(connection, "slot_users", seconds=int(LONG_IN_USE))[0]
        bounds = {"bytes": status.outbox_bytes, "most": GROWTH_OVER, "least": LEAST_OVER}
        rate = _row(connection, "outbox_growth", **bounds)[0]
        status.outbox_growth_per_hour = None if rate is None else rate * 3600
    for name in ("parked", "in_doubt", "incidents"):
        with _seen(status, name):
            setattr(status, name, _few(_row(connection, name, limit=MOST_OTHERS)[0]))
    with _seen(status, "audit_head"):
        status.audit_head = _row(connection, "audit_head")[0]


@contextmanager
def _seen(status: SourceStatus, part: str) -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):  # or of an older schema
        status.unseen.append(part)


def _owner(connection: PatientConnection, status: SourceStatus) -> None:
    relay, since, epoch, held = _row(connection, "owner")
    status.owner = None if relay is None else Owner(relay, since, epoch, held)
    status.state = "owned" if held else "free"


def _halted(connection: PatientConnection, status: SourceStatus) -> None:
    try:
        refuse_foreign(connection, connection.execute(sql("newest_checkpoint")).fetchone())
    except SourceTrouble as error:
        status.state, status.reason = error.kind, str(error)


@dataclass(frozen=True, slots=True)
class _Checkpoints:
    """The newest checkpoint, and the one that the rate is measured from."""

    newest: Position
    written_at: datetime
    base: Position | None
    base_written_at: datetime | None


def _progress(connection: PatientConnection, status: SourceStatus) -> None:
    """See how far the source has got: one moment's snapshot against the newest checkpoint."""
    found = connection.execute(statement(PACKAGE, "checkpoints")).fetchone()
    text, now, may_measure = _row(connection, "now")
    kept = None if found is None else _checkpoints(found)
    position = Position(START) if kept is None else kept.newest
    status.open_window = position.s2 is not None
    if found is not None:
        status.page, status.page_confirmed = found[7:]
    if kept is not None:
        status.checkpoint_age = max(0.0, (now - kept.written_at).total_seconds())
    if status.state == "halted":
        return  # its snapshots mean nothing here
    status.lag = _lag(connection, position, Snapshot.parse(text), now, may_measure=may_measure)
    if kept is not None:
        _rate(connection, status, kept, now)


def _lag(
    connection: PatientConnection, position: Position, present: Snapshot, now: datetime, *, may_measure: bool
) -> Lag:

    def part(name: str, **literals: Any) -> Row:
        text = statement(PACKAGE, name)
        unmeasured = text.replace("octet_length(payload)", "NULL::integer")  # to name the column needs the right to it
        return _one(connection, text if may_measure else unmeasured, limit=MOST_ROWS, **literals)

    if position.s2 is None:
        parts = [part("waiting", window=Window(position.s1, present))]
    else:
        parts = [
            part("waiting_behind", s1=position.s1, last_id=position.last_id),
            part("waiting_before", window=Window(position.s2, present), last_id=position.last_id),
        ]
    number = sum(part[0] for part in parts)
    oldest = min((part[2] for part in parts if part[2] is not None), default=now)
    size = sum(part[1] or 0 for part in parts) if may_measure else None
    capped = any(part[3] for part in parts)
    return Lag(Count(number, capped), size, max(0.0, (now - oldest).total_seconds()))


def _rate(connection: PatientConnection, status: SourceStatus, kept: _Checkpoints, now: datetime) -> None:
    """Measure how much was settled between two checkpoints; the newest of all at a take-over alone tells nothing."""
    if kept.base is None or kept.base_written_at is None:
        return
    if (now - kept.written_at).total_seconds() > RATE_OVER:
        status.rate = 0.0
        return
    if kept.newest.s2 is None:
        window = Window(kept.base.s1, kept.newest.s1)
        settled = _row(connection, "settled", window=window, limit=MOST_ROWS)[0]
    else:
        bounds = {"first_id": kept.base.last_id, "last_id": kept.newest.last_id}
        snapshots = {"s1": kept.newest.s1, "s2": kept.newest.s2}
        settled = _row(connection, "settled_in_window", **bounds, **snapshots, limit=MOST_ROWS)[0]
    seconds = min(RATE_OVER, (now - kept.base_written_at).total_seconds())
    status.rate, status.rate_capped = settled / max(seconds, 0.001), settled >= MOST_ROWS


def _checkpoints(row: Row) -> _Checkpoints:
    s1, s2, last_id, written_at, base_s1, base_last_id, base_written_at = row[:7]
    after = None if s2 is None else Snapshot.parse(s2)
    base = None if base_s1 is None else Position(Snapshot.parse(base_s1), after, base_last_id)
    return _Checkpoints(Position(Snapshot.parse(s1), after, last_id), written_at, base, base_written_at)


def _few(number: int) -> Count:
    return Count(number, number >= MOST_OTHERS)


def _row(connection: PatientConnection, name: str, **literals: Any) -> Row:
    return _one(connection, statement(PACKAGE, name), **literals)


def _one(connection: PatientConnection, text: str, **literals: Any) -> Row:
    """Run a statement whose bounds are literals: the planner must see them to choose the index."""
    row = connection.execute(filled_in(text, **literals) if literals else text).fetchone()
    assert row is not None
    return row
