"""The relay's one session with a source: the lease, the reads and the checkpoints together.

Whoever holds the advisory lock owns the source. The lock belongs to this session, and the session alone reads the
outbox and writes checkpoints; the server ends it when it falls silent. So an owner that has lost the lock has lost
the means to write as well, and needs no clock to find out.
"""

import math
import select
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from onceward.errors import ConfigError
from onceward.migrations import NEWEST
from onceward.sqlfiles import statement
from onceward_relay.config import SourceSettings
from onceward_relay.errors import SessionLost, SourceTrouble, StandBy
from onceward_relay.patience import LONG, SHORT, PatientConnection
from onceward_relay.position import START, Plan, Position, Snapshot

PING_EVERY = 3.0
"""Seconds of silence after which the session is pinged: far below its idle_session_timeout."""
LOST_AFTER = SHORT
"""Seconds without a sign of life after which the lease counts as lost: before the server gives it to another."""
PRUNE_EVERY = 1000
"""Checkpoints between two prunings."""
KEPT = 100
"""Newest checkpoints that are never pruned."""

NEEDED = "0002"
"""Oldest revision of the schema that this relay works with."""

FOREIGN: Mapping[str, str] = {
    "copied": "its checkpoint was copied from another database (a restored dump)",
    "ahead": "its checkpoint is ahead of the server's transactions",
    "outbox_ahead": "its outbox holds transactions that this server has yet to begin",
}
"""What shows another history's checkpoint or outbox, in words. `onceward.foreign_history()` finds the same."""

_CONNECT: Mapping[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": int(LOST_AFTER * 1000),
}

Row = tuple[Any, ...]


def sql(name: str) -> str:
    """Return the relay's SQL statement `name`."""
    return statement("onceward_relay", name)


class Answer:
    """The answer to a statement, which may be on its way."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[Row] | None = None
        """What came, once all of it has."""


class Session:
    """A session that owns its source. Any error on it is its end: close it and open another.

    Args:
        connection: holds the lease.
        relay: name of this instance.

    Raises:
        StandBy: another relay was quicker.
        SourceTrouble: the source cannot be relayed, with the reason.

    """

    def __init__(self, connection: PatientConnection, relay: str) -> None:
        self.connection = connection
        self._alive_at = time.monotonic()
        self._under_way: Iterator[None] | None = None
        self.newest_id = 0
        """Id of the newest outbox row when it was last looked at."""
        self._seq = 0
        self._pruned = 0
        self.page: int | None
        """Number of the last page in exactly-once mode; None if the source was relayed at least once."""
        self.plan: Plan | None
        """The plan of that page, unless it is known to be committed."""
        self.position, self._history = self._take_over(relay)

    def _take_over(self, relay: str) -> tuple[Position, Mapping[str, Any]]:
        """Check that the checkpoint belongs to this database, and fence off every owner before."""
        with self.connection.transaction():
            newest = self.connection.execute(sql("newest_checkpoint")).fetchone()
            refuse_foreign(self.connection, newest)
            position = START_POSITION if newest is None else _position(*newest[:3])
            self.page, self.plan = (None, None) if newest is None else _paging(newest)
            timeline, system_id = one(self.connection, "history")
            self.travelled = newest is not None and (newest[3], newest[4]) != (timeline, system_id)
            epoch = self.connection.execute(sql("take_over"), {"relay": relay}).fetchone()
            if epoch is None:
                raise StandBy("another relay has just taken this source over", 1)
            self.epoch = int(epoch[0])
            history = {"epoch": self.epoch, "timeline": timeline, "system_id": system_id}
            self._insert_checkpoint(position, self.page, self.plan, history, synchronous="on")
            self.connection.execute(sql("prune_all"))
        return position, history

    def query(
        self,
        text: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        binary: bool = False,
        patience: float = SHORT,
    ) -> list[Row]:
        """Run one statement of its own and return its rows. An answer is a sign of life."""
        self.finish()
        self.connection.patience = patience
        rows = self.connection.execute(text, parameters, binary=binary).fetchall()
        self._alive_at = time.monotonic()
        return rows

    @contextmanager
    def writing(self) -> Iterator[PatientConnection]:
        """Open a transaction whose commit does not wait for the disk, unless a durable checkpoint is written in it."""
        self.finish()
        self.connection.patience = LONG
        with self.connection.transaction():
            self.connection.execute("SET LOCAL synchronous_commit = off")
            yield self.connection
        self._alive_at = time.monotonic()

    def checkpoint(
        self, position: Position, page: int | None = None, plan: Plan | None = None, *, durable: bool = False
    ) -> None:
        """Insert the checkpoint of `position`: alone in one round trip, or inside `writing()`.

        In exactly-once mode with the last page, and with its plan unless it is known to be committed. Unless `durable`,
        the commit does not wait for the disk: losing it only repeats work.
        """
        self.finish()
        self.connection.patience = LONG
        self._seq += 1
        self._insert_checkpoint(position, page, plan, self._history, synchronous="on" if durable else "off")
        if self._seq - self._pruned >= PRUNE_EVERY:
            span = {"epoch": self.epoch, "from": self._pruned, "to": self._seq - KEPT + 1}
            self.connection.execute(sql("prune"), span)
            self._pruned = self._seq - KEPT + 1
        self._alive_at = time.monotonic()

    def _insert_checkpoint(
        self,
        position: Position,
        page: int | None,
        plan: Plan | None,
        history: Mapping[str, Any],
        *,
        synchronous: str,
    ) -> None:
        s1, s2, last_id = _columns(position)
        row = {"seq": self._seq, "s1": s1, "s2": s2, "last_id": last_id, "page": page, "synchronous": synchronous}
        row["confirmed"] = None if page is None else plan is None
        row |= dict.fromkeys(_PLAN) if plan is None else _planned(plan)
        self.connection.execute(sql("checkpoint"), {**history, **row})

    def ask(self, text: str) -> "Answer":
        """Hand a statement to the server and return at once; its rows come in while the session is kept alive."""
        self.finish()
        answer = Answer()
        self._under_way = self._asking(text, answer, LONG)
        next(self._under_way)
        return answer

    def wait_for(self, answer: "Answer") -> list[Row]:
        """Return the rows of an answer once they are there."""
        self.finish()
        assert answer.rows is not None
        return answer.rows

    def keep_alive(self) -> None:
        """Take in what has come. Ping the session if it was silent for long, without waiting for the answer.

        Raises:
            SessionLost: it has not answered for so long that another relay may own the source.

        """
        if self._under_way is None and time.monotonic() - self._alive_at >= PING_EVERY:
            self._under_way = self._pinging()
        if self._under_way is not None:
            next(self._under_way, None)

    def finish(self) -> None:
        """Wait for what is under way: the connection can do one thing at a time."""
        if self._under_way is None:
            return
        answer = select.poll()  # select() knows no descriptor from 1024 on
        answer.register(self.connection.fileno(), select.POLLIN)
        while self._under_way is not None:
            answer.poll(100)
            next(self._under_way, None)

    def _pinging(self) -> Iterator[None]:
        answer = Answer()
        yield from self._asking(sql("newest_id"), answer, self._alive_at + LOST_AFTER - time.monotonic())
        assert answer.rows is not None
        self.newest_id = int(answer.rows[0][0]) if answer.rows else 0

    def _asking(self, text: str, answer: "Answer", patience: float) -> Iterator[None]:
        """One statement, by libpq's asynchronous calls: a dead network must not keep us from purging in time."""
        pgconn, deadline = self.connection.pgconn, time.monotonic() + patience
        pgconn.send_query_params(text.encode(), None, result_format=Format.BINARY)
        while pgconn.flush() or pgconn.is_busy():
            if time.monotonic() >= deadline:
                raise SessionLost(f"the session has not answered for {patience:.0f} s")
            yield
            pgconn.consume_input()
        while (result := pgconn.get_result()) is not None:
            if result.status != ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(result)
            answer.rows = _loaded(result, self.connection)
        self._alive_at = time.monotonic()
        self._under_way = None

    def close(self) -> None:
        """End the session; the lease goes with it."""
        self.connection.close()


START_POSITION = Position(START)


def connect(source: SourceSettings, program: str = "relay", patience: float = 10) -> PatientConnection:
    """Connect to a source within `patience` seconds and set the session up, named after the program and the source.

    Raises:
        SourceTrouble: it cannot be reached, does not let us in, or a pooler stands between.

    """
    name = f"onceward-{program} {source.name}"
    with explained("unreachable"):
        connection = PatientConnection.connect(
            source.conninfo,
            autocommit=True,
            prepare_threshold=None,
            application_name=name,
            **{**_CONNECT, "connect_timeout": math.ceil(patience)},
        )
    try:
        with explained():
            _refuse_pooler(connection)
            connection.execute(sql("session"))
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_pooler(connection: PatientConnection) -> None:
    """Refuse before anything is set: behind a transaction pooler it would stay set, in participants' transactions."""
    if one(connection, "backend")[0] != connection.info.backend_pid:
        raise SourceTrouble(
            "pooled", "a connection pooler stands between; the lease needs a direct connection to PostgreSQL"
        )


def refuse_unfit(connection: PatientConnection) -> None:
    """Refuse a server on which the lease or the snapshots would mean nothing.

    Raises:
        SourceTrouble: a standby, a server that is too old, or a database without the schema.

    """
    standby, _, version, encoding, tables = one(connection, "server")
    if version < 140000:
        raise SourceTrouble("refused", f"PostgreSQL {version // 10000} is too old; 14 or later is needed")
    if encoding == "SQL_ASCII":
        raise SourceTrouble("refused", "the database's encoding is SQL_ASCII: what its bytes mean is not known")
    if standby:
        raise SourceTrouble("not_primary", "the server is a standby; an outbox can only be read on the primary")
    if tables < 6:
        raise SourceTrouble("schema", "the onceward schema is missing or too old; run `onceward schema install`")


def refuse_other_schema(connection: PatientConnection) -> str | None:
    """Refuse a schema that this relay cannot work with; return the revision if it is newer than this program knows.

    Raises:
        SourceTrouble: the schema is older than this relay needs, or newer and says that it needs another relay.

    """
    found: str = one(connection, "schema")[0]
    if found < NEEDED:
        text = f"the onceward schema is at revision {found}, this relay needs {NEEDED}; run `onceward schema upgrade`"
        raise SourceTrouble("schema", text)
    if found <= NEWEST:
        return None
    oldest = one(connection, "oldest_relay")[0]
    if oldest > NEWEST:
        text = (
            f"the onceward schema is at revision {found} and needs a relay that knows {oldest}, this one knows {NEWEST}"
        )
        raise SourceTrouble("schema", f"{text}; upgrade the relay")
    return found


def refuse_foreign(connection: PatientConnection, newest: Row | None) -> None:
    """Refuse a checkpoint or an outbox that comes from another history than this database's.

    Raises:
        SourceTrouble: kind halted. Only a person can say which messages were sent.

    """
    if newest is not None and newest[5]:
        found = "copied"
    elif newest is not None and newest[6]:
        found = "ahead"
    elif one(connection, "outbox_ahead")[0]:
        found = "outbox_ahead"
    else:
        return
    raise SourceTrouble(
        "halted",
        f"{FOREIGN[found]}: nobody can tell what was sent, so nothing is sent until a person reconciles it"
        " (onceward relay reconcile)",
    )


def _loaded(result: PGresult, connection: PatientConnection) -> list[Row]:
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


@contextmanager
def explained(kind: str = "database") -> Iterator[None]:
    """Turn the driver's errors, and those of secrets in files, into SourceTrouble."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SourceTrouble("rights", f"{_text(error)}; grant onceward_relay to the relay's role") from error
    except psycopg.errors.UndefinedTable as error:
        raise SourceTrouble("schema", f"{_text(error)}; run `onceward schema upgrade`") from error
    except psycopg.Error as error:
        raise SourceTrouble(kind, _text(error)) from error
    except ConfigError as error:  # a secret's file is not there, or half written
        raise SourceTrouble("secret", str(error)) from error


def _text(error: psycopg.Error) -> str:
    """Return what the server says, without its DETAIL, which repeats rows; or else what the client says."""
    return " ".join((error.diag.message_primary or str(error)).split())


def one(connection: PatientConnection, name: str) -> Row:
    """Run the statement `name` of a single row."""
    row = connection.execute(sql(name)).fetchone()
    assert row is not None
    return row


def _paging(row: Row) -> tuple[int | None, Plan | None]:
    page, s1, s2, last_id, aside, release, upto = row[7:]
    if s1 is None:
        return page, None
    return page, Plan(page, _position(s1, s2, last_id), frozenset(aside or ()), release, upto)


def _position(s1: str, s2: str | None, last_id: int | None) -> Position:
    return Position(Snapshot.parse(s1), None if s2 is None else Snapshot.parse(s2), last_id)


def _columns(position: Position) -> tuple[str, str | None, int | None]:
    return position.s1.text, None if position.s2 is None else position.s2.text, position.last_id


_PLAN = ("planned_s1", "planned_s2", "planned_last_id", "planned_aside", "release_hold", "release_to")


def _planned(plan: Plan) -> Mapping[str, Any]:
    return dict(zip(_PLAN, (*_columns(plan.after), sorted(plan.aside) or None, plan.release, plan.upto), strict=True))
