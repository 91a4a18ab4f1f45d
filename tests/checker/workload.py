"""Writers that keep their own log of what they committed, outside PostgreSQL.

Each transaction locks the rows of some keys, counts them up, and publishes the new counts: by these the order is known.
Transactions commit out of the order of their ids; some stay open long, some are prepared, some have savepoints, some
are rolled back. What each writer does follows from the seed; how they interleave does not.
"""

import itertools
import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import psycopg

from onceward.ids import uuid7
from tests.support import eventually

KEYS = 20
LONG, PREPARED, WITH_SAVEPOINT, ROLLED_BACK = 0.01, 0.05, 0.2, 0.1
"""How many of the transactions are so."""
LONG_FOR = (0.3, 1.5)
SHORT = 0.02
"""Seconds that transactions stay open; without them they would commit in the order of their ids."""
TABLES = (
    "CREATE TABLE IF NOT EXISTS account (key text PRIMARY KEY, n int NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS published (message_id uuid PRIMARY KEY)"
)
"""`published` is what a participant's own table would tell of a transaction whose COMMIT was not answered."""
LOCK = "SELECT key FROM account WHERE key = ANY(%s) ORDER BY key FOR UPDATE"
COUNT = "UPDATE account SET n = n + 1 WHERE key = %s RETURNING n"
COUNT_ALL = "UPDATE account SET n = n + %s WHERE key = ANY(%s) RETURNING key, n"
NOTE = "INSERT INTO published SELECT unnest(%s::uuid[])"
NOTED = "SELECT message_id::text FROM published WHERE message_id = ANY(%s::uuid[])"
PUBLISH = "SELECT onceward.publish(%s, %s, 'counted', %s, '{}', %s)"
PUBLISH_MANY = (
    "SELECT onceward.publish(%s, key, 'counted', payload, '{}', message_id)"
    " FROM unnest(%s::bytea[], %s::bytea[], %s::uuid[]) AS m (key, payload, message_id)"
)


class Outcome(Enum):
    """How a transaction ended, as far as its writer knows."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Sent:
    """A message that was published, and the fate of its transaction."""

    message_id: str
    key: str
    n: int
    outcome: Outcome
    transaction: int = 0
    """Number of its transaction, or of the savepoint with which it was rolled back."""

    @property
    def payload(self) -> bytes:
        return f"{self.key}:{self.n}".encode()


class Log:
    """The workload's log: in memory, and as lines of JSON in a file, each written before and after a commit."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.sent: list[Sent] = []

    def about_to_end(self, messages: list[Sent]) -> None:
        """Note the messages of a transaction whose end is asked for now: from here its fate may be unknown."""
        number = next(self._numbers)
        for message in messages:
            message.transaction = number
        self._write(messages)
        with self._lock:
            self.sent += messages

    def ended(self, messages: list[Sent], outcome: Outcome) -> None:
        """Note the fate of a transaction."""
        for message in messages:
            message.outcome = outcome
        self._write(messages)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, messages: list[Sent]) -> None:
        lines = [json.dumps([m.transaction, m.message_id, m.key, m.n, m.outcome.value]) for m in messages]
        with self._lock:
            self._file.write("".join(f"{line}\n" for line in lines))


def read_log(path: Path) -> list[Sent]:
    """Return what a log's file says of each message. Of a writer that was killed, the last line may be torn."""
    found: dict[str, Sent] = {}
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                transaction, message_id, key, n, outcome = json.loads(line)
                found[message_id] = Sent(message_id, key, n, Outcome(outcome), transaction)
    return list(found.values())


def resolve(url: str, sent: Iterable[Sent]) -> None:
    """Ask the participant's own table what became of transactions whose end nobody was told."""
    unknown = [message for message in sent if message.outcome is Outcome.UNKNOWN]
    with psycopg.connect(url) as connection:
        noted = connection.execute(NOTED, ([message.message_id for message in unknown],)).fetchall()
    kept = {row[0] for row in noted}
    for message in unknown:
        message.outcome = Outcome.COMMITTED if message.message_id in kept else Outcome.ROLLED_BACK


@dataclass(frozen=True)
class Manner:
    """How writers behave."""

    keys: int = KEYS
    """How many keys they share."""
    asynchronous: float = 0
    """How many of the commits do not wait for the disk; what becomes of those is unknown."""
    pause: float = 0
    """Seconds, at most, between two transactions of a writer."""


class Workload:
    """Writes messages of `topic` into the outbox of the database at `url`. `name` is that of its prepared transactions."""

    def __init__(
        self, url: str, topic: str, log: Log, seed: int | str = 1, manner: Manner = Manner(), name: str = "workload"
    ) -> None:
        self._url = url
        self._topic = topic
        self._log = log
        self._seed = seed
        self._manner = manner
        self._keys = keys(manner.keys)
        self._name = name
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._prepared: dict[str, list[Sent]] = {}
        """Messages of transactions that may be prepared and not ended."""
        with psycopg.connect(url) as connection:
            connection.execute(TABLES)
            connection.cursor().executemany(
                "INSERT INTO account VALUES (%s) ON CONFLICT DO NOTHING", [(key,) for key in self._keys]
            )

    @property
    def committed(self) -> int:
        """How many messages are known to be committed."""
        return sum(message.outcome is Outcome.COMMITTED for message in self._log.sent)

    def wait_for(self, more: int) -> None:
        """Wait until so many more messages are committed."""
        wanted = self.committed + more
        eventually(lambda: self.committed >= wanted, describe=lambda: f"{self.committed} of {wanted}")

    def start(self, writers: int = 4) -> None:
        """Let so many writers work, each on its own, until `stop`."""
        for writer in range(writers):
            thread = threading.Thread(target=self._work, args=(random.Random(f"{self._seed}/{writer}"),))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let the writers end their transactions and stop; once the server is there, nothing stays prepared."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._prepared:
            with psycopg.connect(self._url) as connection:
                self._end_prepared(connection, list(self._prepared))

    def end_what_is_left(self) -> None:
        """Commit what an earlier process of this name left prepared: its log has those messages."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for transaction in connection.tpc_recover():
                if transaction.gtrid.startswith(f"{self._name} "):
                    connection.tpc_commit(transaction)

    def write(self, connection: "psycopg.Connection[Any]", wanted: list[str]) -> list[Sent]:
        """Count up the keys `wanted` and publish the counts in the transaction that is open."""
        connection.execute(LOCK, (sorted(wanted),))
        messages = []
        for key in wanted:
            row = connection.execute(COUNT, (key,)).fetchone()
            assert row is not None
            message = Sent(str(uuid7()), key, row[0], Outcome.UNKNOWN)
            connection.execute(PUBLISH, (self._topic, key.encode(), message.payload, message.message_id))
            messages.append(message)
        connection.execute(NOTE, ([message.message_id for message in messages],))
        return messages

    def write_many(self, count: int) -> None:
        """Commit `count` messages in one transaction, as many for each shared key."""
        times, rest = divmod(count, len(self._keys))
        assert not rest
        with psycopg.connect(self._url) as connection:
            connection.execute(LOCK, (sorted(self._keys),))
            ends = connection.execute(COUNT_ALL, (times, self._keys)).fetchall()
            messages = [
                Sent(str(uuid7()), key, end - left, Outcome.UNKNOWN)
                for left in reversed(range(times))
                for key, end in ends
            ]
            connection.execute(
                PUBLISH_MANY,
                (
                    self._topic,
                    [m.key.encode() for m in messages],
                    [m.payload for m in messages],
                    [m.message_id for m in messages],
                ),
            )
            connection.execute(NOTE, ([m.message_id for m in messages],))
            self.commit(connection, messages)

    def commit(self, connection: "psycopg.Connection[Any]", messages: list[Sent]) -> None:
        """End the transaction, with its messages in the log before and after."""
        self._log.about_to_end(messages)
        connection.commit()
        self._log.ended(messages, Outcome.COMMITTED)

    def commit_asynchronously(self, connection: "psycopg.Connection[Any]", messages: list[Sent]) -> None:
        """End the transaction without waiting for the disk: a crash may take it back, so its fate stays unknown."""
        connection.execute("SET LOCAL synchronous_commit = off")
        self._log.about_to_end(messages)
        connection.commit()

    def roll_back(self, connection: "psycopg.Connection[Any]", messages: list[Sent]) -> None:
        """Undo the transaction, with its messages in the log."""
        self._log.about_to_end(messages)
        connection.rollback()
        self._log.ended(messages, Outcome.ROLLED_BACK)

    def _work(self, chance: random.Random) -> None:
        prepared: list[str] = []
        while not self._stopping.is_set():
            try:
                for connection in self._connections():
                    self._end_prepared(connection, prepared)
                    self._transaction(connection, chance, prepared)
                    self._stopping.wait(chance.random() * self._manner.pause)
            except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.Rollback):
                # The server is away; what was under way stays unknown. In a savepoint's rollback psycopg lets Rollback out.
                self._stopping.wait(0.02)

    def _connections(self) -> Iterator["psycopg.Connection[Any]"]:
        # Without prepared statements, which a transaction pooler would not keep.
        with psycopg.connect(self._url, connect_timeout=2, prepare_threshold=None) as connection:
            while not self._stopping.is_set():
                yield connection

    def _transaction(self, connection: "psycopg.Connection[Any]", chance: random.Random, prepared: list[str]) -> None:
        kind = chance.random()
        if kind < LONG:
            messages = self.write(connection, [self._own_key(connection)])
            self._stopping.wait(chance.uniform(*LONG_FOR))
        elif kind < LONG + PREPARED:
            self._prepare(connection, chance, prepared)
            return
        else:
            messages = self.write(connection, chance.sample(self._keys, chance.randint(1, 3)))
        if chance.random() < WITH_SAVEPOINT:
            messages += self._savepoint(connection, chance)
        self._stopping.wait(chance.random() * SHORT)
        if chance.random() < ROLLED_BACK:
            self.roll_back(connection, messages)
        elif chance.random() < self._manner.asynchronous:
            self.commit_asynchronously(connection, messages)
        else:
            self.commit(connection, messages)

    def _prepare(self, connection: "psycopg.Connection[Any]", chance: random.Random, prepared: list[str]) -> None:
        """Commit in two steps, with keys of its own: their locks outlive the connection, and the server too."""
        name = f"{self._name} {uuid7()}"
        connection.tpc_begin(name)
        messages = self.write(connection, [self._own_key(connection), self._own_key(connection)])
        self._log.about_to_end(messages)
        self._prepared[name] = messages
        prepared.append(name)
        connection.tpc_prepare()
        self._stopping.wait(chance.random() * SHORT)
        connection.tpc_commit()
        self._forget(name, prepared)
        self._log.ended(messages, Outcome.COMMITTED)

    def _end_prepared(self, connection: "psycopg.Connection[Any]", names: list[str]) -> None:
        """Commit those of the transactions that are still prepared. What became of the others nobody knows."""
        if not names:
            return
        there = {transaction.gtrid for transaction in connection.tpc_recover()}
        connection.rollback()
        for name in list(names):
            if name in there:
                connection.tpc_commit(name)
                self._log.ended(self._prepared[name], Outcome.COMMITTED)
            self._forget(name, names)

    def _forget(self, name: str, names: list[str]) -> None:
        del self._prepared[name]
        names.remove(name)

    def _own_key(self, connection: "psycopg.Connection[Any]") -> str:
        """Make a key that nobody else locks."""
        key = f"own-{uuid7()}"
        connection.execute("INSERT INTO account VALUES (%s)", (key,))
        return key

    def _savepoint(self, connection: "psycopg.Connection[Any]", chance: random.Random) -> list[Sent]:
        """Publish within a savepoint a message of a key of its own, and sometimes take it back."""
        with connection.transaction() as savepoint:
            messages = self.write(connection, [self._own_key(connection)])
            if chance.random() < 0.5:
                self._log.about_to_end(messages)
                self._log.ended(messages, Outcome.ROLLED_BACK)
                raise psycopg.Rollback(savepoint)
        return [message for message in messages if message.outcome is Outcome.UNKNOWN]


def commit_marker(url: str, topic: str, log: Log) -> None:
    """Commit one message of a key of its own: whoever has settled it has seen all that was committed before."""
    marker = Sent(str(uuid7()), f"marker-{uuid7()}", 1, Outcome.UNKNOWN)
    with psycopg.connect(url) as connection:
        connection.execute(PUBLISH, (topic, marker.key.encode(), marker.payload, marker.message_id))
        log.about_to_end([marker])
        connection.commit()
    log.ended([marker], Outcome.COMMITTED)


def keys(count: int = KEYS) -> list[str]:
    """The keys that writers share."""
    return [f"key-{number}" for number in range(count)]


@contextmanager
def deadlocks(
    connect: Callable[[], AbstractContextManager[psycopg.Connection[Any]]], keys: Iterable[str], nap: float
) -> Iterator[None]:
    """Count some keys up in the order in which no writer does, `nap` seconds apart, and roll back, again and again."""
    backwards = sorted(keys, reverse=True)[::4]
    ended = threading.Event()

    def lock() -> None:
        while not ended.is_set():
            with suppress(psycopg.OperationalError, psycopg.InterfaceError, TimeoutError), connect() as rude:
                for key in backwards:
                    rude.execute(COUNT, (key,))
                    ended.wait(nap)
                rude.rollback()

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
