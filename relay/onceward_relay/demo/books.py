"""The fake bank's books: an SQLite file that survives the bank and that others can read without asking it."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Lock

_MOVEMENTS = "SELECT no, operation, key, reference, account, currency, cents, moved FROM movement"
_BY_NO = f"{_MOVEMENTS} WHERE no = ?"
_BY_REFERENCE = f"{_MOVEMENTS} WHERE operation = ? AND reference = ? ORDER BY no"
_BY_KEY = f"{_MOVEMENTS} WHERE operation = ? AND key = ? ORDER BY no"


@dataclass(frozen=True, slots=True)
class Movement:
    """One effect: money that was taken from an account, given to one, or promised."""

    no: int
    operation: str
    key: str | None
    """Idempotency key of the request, whether the bank looks at it or not."""
    reference: str
    """The client's reference."""
    account: str
    currency: str
    cents: int
    """By how much the account's balance changed: negative where it was taken, 0 where nothing moved on the account."""
    moved: int
    """The cents that it is about, without sign."""

    @property
    def id(self) -> str:
        """The bank's name for it."""
        return f"{self.operation}-{self.no}"

    @property
    def amount(self) -> Decimal:
        """How much, without sign, in units of the currency."""
        return Decimal(self.moved).scaleb(-2)


@dataclass(frozen=True, slots=True)
class Account:
    """An account, with what it held at first and holds now."""

    name: str
    currency: str
    opening: int
    balance: int


class Refused(Exception):
    """The bank's rules forbid the movement."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Books:
    """The books, open for writing. Every effect is on disk before it is answered."""

    def __init__(self, path: Path, *, opening: int = 100_000, closed: Collection[str] = ()) -> None:
        self._opening = opening
        self._closed = frozenset(closed)
        self._lock = Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript((Path(__file__).parent / "sql" / "books.sql").read_text(encoding="utf-8"))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def answered(self, operation: str, key: str) -> tuple[bytes, Movement] | None:
        """Return the request that was answered under `key`, and its effect."""
        query = "SELECT request, no FROM answer WHERE operation = ? AND key = ?"
        with self._lock:
            row = self._connection.execute(query, (operation, key)).fetchone()
            if row is None:
                return None
            effect = self._one(_BY_NO, row[1])
        assert effect is not None
        return row[0], effect

    def find(self, operation: str, *, reference: str | None = None, key: str | None = None) -> Movement | None:
        """Return the first effect of this reference, or of this key."""
        with self._lock:
            if key is None:
                return self._one(_BY_REFERENCE, operation, reference)
            return self._one(_BY_KEY, operation, key)

    def move(self, movement: Movement, *, remember: bytes | None = None) -> Movement:
        """Do it, and return it with its number. `remember` is the request to be kept under the movement's key.

        Raises:
            Refused: the account is closed or holds too little.
        """
        if movement.account in self._closed:
            raise Refused("account_closed")
        with self._transaction() as connection:
            account = (movement.account, movement.currency)
            connection.execute(
                "INSERT OR IGNORE INTO account (name, currency, opening, balance) VALUES (?, ?, ?, ?)",
                (*account, self._opening, self._opening),
            )
            changed = connection.execute(
                "UPDATE account SET balance = balance + ? WHERE name = ? AND currency = ? AND balance + ? >= 0",
                (movement.cents, *account, movement.cents),
            )
            if changed.rowcount == 0:
                raise Refused("insufficient_funds")
            values = (movement.operation, movement.key, movement.reference, *account, movement.cents, movement.moved)
            no = connection.execute(
                "INSERT INTO movement (operation, key, reference, account, currency, cents, moved)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            assert no is not None
            if remember is not None:
                connection.execute(
                    "INSERT INTO answer VALUES (?, ?, ?, ?)", (movement.operation, movement.key, remember, no)
                )
        return Movement(no, *values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _one(self, query: str, *values: object) -> Movement | None:
        row = self._connection.execute(query, values).fetchone()
        return Movement(*row) if row else None


def read(path: Path) -> tuple[list[Movement], list[Account]]:
    """Return all effects and accounts in the books at `path`, whether the bank runs or not."""
    with closing(sqlite3.connect(path)) as connection:
        accounts = connection.execute("SELECT name, currency, opening, balance FROM account").fetchall()
        movements = connection.execute(f"{_MOVEMENTS} ORDER BY no").fetchall()
    return [Movement(*row) for row in movements], [Account(*row) for row in accounts]
