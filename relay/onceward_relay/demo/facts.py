"""Everything that the reckoning compares, each from its own source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from onceward.ids import derived
from onceward_relay.demo import books
from onceward_relay.demo.books import Account, Movement
from onceward_relay.demo.observer import Record
from onceward_relay.demo.progress import Databases
from onceward_relay.demo.workload import Entry, read_log


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer as the payer's database has it."""

    id: UUID
    account: str
    amount: Decimal
    currency: str
    state: str
    completions: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came in, as the payee's database has it."""

    transfer_id: UUID
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Call:
    """An external call as a participant's ledger has it."""

    id: UUID
    ref: str
    provider: str
    operation: str
    key: str
    state: str
    amount: Decimal
    currency: str
    difference: str | None
    """What the bank did other than asked."""
    given_up: bool
    """Nothing automatic is left."""
    error_text: str | None
    settled_by: str | None
    sends: int
    lookups: int
    sends_without_answer: int
    incident: str | None
    """Title of the incident in which it waits for a person."""
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A flow that stands still, as a participant's database has it."""

    id: UUID
    name: str
    key: str
    incident: str | None
    """Title of the incident in which it waits for a person."""
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What each witness says."""

    log: Sequence[Entry]
    """The workload's own log."""
    published: frozenset[UUID]
    """Ids of the messages that flows, and what undoes them, have published, from the databases."""
    records: Sequence[Record]
    """The topics, as a consumer of the demo's own has read them."""
    transfers: Sequence[Transfer]
    receipts: Sequence[Receipt]
    calls: Sequence[Call]
    movements: Sequence[Movement]
    """What the banks have really done, from their books."""
    accounts: Sequence[Account]
    blocked: Sequence[Blocked] = ()
    complete: bool = True
    """Whether nothing was under way any more: what is missing then is missing for good."""


def gather(
    log: Path, databases: Databases, records: Sequence[Record], bank_books: Iterable[Path], *, complete: bool
) -> Facts:
    """Ask every witness."""
    read = [books.read(path) for path in bank_books]
    return Facts(
        log=read_log(log),
        published=published(databases),
        records=tuple(records),
        transfers=[Transfer(**row) for row in databases.payer("transfers")],
        receipts=[Receipt(**row) for row in databases.payee("receipts")],
        calls=[
            *(Call(**row, participant="payer") for row in databases.payer("calls")),
            *(Call(**row, participant="payee") for row in databases.payee("calls")),
        ],
        movements=[movement for movements, _ in read for movement in movements],
        accounts=[account for _, accounts in read for account in accounts],
        blocked=[
            *(Blocked(**row, participant="payer") for row in databases.payer("blocked")),
            *(Blocked(**row, participant="payee") for row in databases.payee("blocked")),
        ],
        complete=complete,
    )


def published(databases: Databases) -> frozenset[UUID]:
    """Return the ids of the messages that flows, and what undoes them, have published."""
    steps = [*databases.payer("published"), *databases.payee("published")]
    by_steps = {derived(str(row["flow_id"]), row["step"]) for row in steps}
    return frozenset(by_steps | {row["told"] for row in databases.payer("told")})
