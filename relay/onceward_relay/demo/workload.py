"""The workload: people who transfer money, and a log of what they did that is kept outside every database."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from onceward.ids import uuid7
from onceward.outbox import publish
from onceward_relay.demo.messages import TRANSFERS, TransferRequested, Way
from onceward_relay.demo.models import Account, Transfer

PAYERS = ("ada", "bela", "chen", "dora", "emil", "fatma", "goran", "hana", "igor", "jun", "kofi", "lena")
PAYEES = ("nadia", "omar", "pia", "quinn", "rosa", "sven", "tara", "udo", "vera", "wim")
CLOSED = "yusuf"
"""A payee whose account is closed: the money comes back."""
SPENDTHRIFT = "zeno"
"""A payer who soon has no money left: the bank refuses."""
CURRENCIES = ("EUR", "GBP", "USD")
SURPRISED = "xenia"
"""A payee whose bank keeps a fee that nobody was told of."""
UNLUCKY = "yann"
"""A payee for whom the old gateway loses its reply."""
TURNED_DOWN = "zita"
"""A payer whose bank does not let the money go that it holds: what was done is undone, at both banks."""
STAGED: Sequence[Mapping[str, str]] = (
    {"payee": UNLUCKY, "way": "gateway"},
    {"payee": SURPRISED, "way": "direct"},
    {"payee": PAYEES[0], "way": "direct", "currency": "CHF"},  # which the payee's program does not know
    {"payee": CLOSED, "way": "gateway"},
    {"payee": PAYEES[1], "way": "direct", "account": TURNED_DOWN},
)
"""What the first transfers are like, so that every demo has something of everything."""
BY_SPENDTHRIFT = 0.02
BY_GATEWAY = 0.04
TO_CLOSED = 0.01
CHANGED_THEIR_MIND = 0.02
"""Share of transactions that are rolled back after everything was written."""
SLOW = 0.01
"""Share of transactions that are open for a while before they commit, while later ones overtake them."""
OPEN_FOR = 0.3
THREADS = 4
HIGHEST = 10_000
"""Cents of the largest transfer, but for the spendthrift's, which are so many times larger."""
EXTRAVAGANCE = 15


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer that somebody wants to make."""

    id: UUID
    account: str
    payee: str
    amount: Decimal
    currency: str
    way: Way
    open_for: float
    """Seconds for which its transaction stays open before it ends."""
    kept: bool
    """False: it is rolled back."""


def orders(random: Random, count: int) -> Iterator[Order]:
    """Yield transfers until so many are to be kept, the same ones for the same seed; first those that are staged."""
    staged = iter(STAGED[:count])
    left = count
    while left > 0:
        order = _by_chance(random)
        left -= order.kept
        yield _staged(order, next(staged, {})) if order.kept else order


def _by_chance(random: Random) -> Order:
    kept = random.random() >= CHANGED_THEIR_MIND
    by_gateway = random.random() < BY_GATEWAY
    spendthrift = random.random() < BY_SPENDTHRIFT
    cents = random.randint(100, HIGHEST) * (EXTRAVAGANCE if spendthrift else 1)
    return Order(
        id=UUID(int=random.getrandbits(128), version=4),
        account=SPENDTHRIFT if spendthrift else random.choice(PAYERS),
        payee=CLOSED if random.random() < TO_CLOSED else random.choice(PAYEES),
        amount=Decimal(cents).scaleb(-2),
        currency=random.choice(CURRENCIES),
        way="gateway" if by_gateway else "direct",
        open_for=OPEN_FOR if random.random() < SLOW else 0,
        kept=kept,
    )


def _staged(order: Order, part: Mapping[str, Any]) -> Order:
    """Return the order as it plays a part."""
    if not part:
        return order
    return replace(order, **{"account": PAYERS[0], "amount": min(order.amount, Decimal("99.00")), **part})


def opening(count: int) -> int:
    """Return the cents that an account should hold at first: enough for its share of `count` transfers and more."""
    each = count / len(PAYERS) / len(CURRENCIES)
    return int(each * HIGHEST / 2 * 1.5) + HIGHEST


@dataclass(frozen=True, slots=True)
class Entry:
    """What the workload knows of one transfer."""

    id: UUID
    account: str
    number: int
    message_id: UUID
    amount: Decimal
    currency: str
    committed: bool


class Workload:
    """Makes transfers in a few threads, and writes down what became of each transaction.

    Args:
        engine: of the payer's database.
        log: file of the workload's own log, one JSON document a line.
        wanted: the transfers.
    """

    def __init__(self, engine: Engine, log: Path, wanted: Iterator[Order]) -> None:
        self.made = 0
        """Transfers committed."""
        self.room = True
        """Whether there is room for more; people wait while there is none."""
        self.log = log
        self._engine = engine
        self._file = log.open("a", encoding="utf-8", buffering=1)
        self._wanted = wanted
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"workload-{n}", daemon=True) for n in range(THREADS)]
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        with Session(self._engine) as session, session.begin():
            session.add_all(Account(name=name) for name in (*PAYERS, SPENDTHRIFT, TURNED_DOWN))
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether some of the work is still to be done."""
        if self._failure is not None:
            raise self._failure
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Make no more transfers, and close the log."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._file.close()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and (order := self._next()) is not None:
                while not self.room and not self._stopping.wait(0.02):
                    pass
                self._write_down(make(self._engine, order))
        except BaseException as error:  # noqa: BLE001 -- raised again by `running`, in the main thread
            self._failure = error

    def _next(self) -> Order | None:
        with self._lock:
            return next(self._wanted, None)

    def _write_down(self, entry: Entry) -> None:
        with self._lock:
            self._file.write(json.dumps(asdict(entry), default=str) + "\n")
            self.made += entry.committed


def make(engine: Engine, order: Order) -> Entry:
    """Make one transfer: the business row and its message in one transaction, or neither."""
    message_id = uuid7()
    with Session(engine) as session, session.begin() as transaction:
        account = session.get_one(Account, order.account, with_for_update=True)  # locked first: its order
        number = account.transfers = account.transfers + 1
        session.add(_row(order, number))
        session.flush()
        event = _event(order, number)
        session.execute(publish(event, topic=TRANSFERS, key=order.account, message_id=message_id))
        time.sleep(order.open_for)
        if not order.kept:
            transaction.rollback()
    return Entry(order.id, order.account, number, message_id, order.amount, order.currency, order.kept)


def _row(order: Order, number: int) -> Transfer:
    return Transfer(
        id=order.id,
        account=order.account,
        number=number,
        payee=order.payee,
        amount=order.amount,
        currency=order.currency,
        way=order.way,
    )


def _event(order: Order, number: int) -> TransferRequested:
    return TransferRequested(
        transfer_id=order.id,
        account=order.account,
        number=number,
        payee=order.payee,
        amount=order.amount,
        currency=order.currency,
        way=order.way,
    )


def read_log(path: Path) -> list[Entry]:
    """Return what the workload wrote down."""
    with path.open(encoding="utf-8") as lines:
        return [_entry(json.loads(line)) for line in lines]


def _entry(fields: dict[str, Any]) -> Entry:
    ids = {name: UUID(fields[name]) for name in ("id", "message_id")}
    return Entry(**fields | ids | {"amount": Decimal(fields["amount"])})
