"""What the witnesses say of a world in which every promise was kept: the ground on which bugs are planted."""

from decimal import Decimal
from uuid import UUID

from onceward_relay.demo.books import Account, Movement
from onceward_relay.demo.facts import Call, Facts, Receipt, Transfer
from onceward_relay.demo.messages import CREDITS, OUTCOMES, TRANSFERS
from onceward_relay.demo.observer import Record
from onceward_relay.demo.workload import Entry

FIVE = Decimal("5.00")
COMPLETED, REFUNDED, REFUSED, DOUBTED = 1, 2, 3, 4
"""The numbers of ada's transfers, by what became of them."""
OPENING = 10_000


def transfer_id(number: int) -> UUID:
    return UUID(int=number, version=4)


def message_id(kind: int, number: int) -> UUID:
    return UUID(int=kind << 64 | number, version=4)


def world() -> Facts:
    """Four transfers of one account: completed, refunded, refused, and in doubt; and a fifth that was rolled back."""
    return Facts(
        log=[_entry(number, committed=number < 5) for number in range(1, 6)],
        published=frozenset(
            [message_id(2, n) for n in (COMPLETED, REFUNDED, DOUBTED)]
            + [message_id(3, n) for n in (COMPLETED, REFUNDED)]
        ),
        records=[
            *(_record(TRANSFERS, 1, n, "ada", number=n) for n in range(1, 5)),
            *(_record(CREDITS, 2, n, str(transfer_id(n))) for n in (COMPLETED, REFUNDED, DOUBTED)),
            _record(OUTCOMES, 3, COMPLETED, str(transfer_id(COMPLETED)), reference="credits-1"),
            _record(OUTCOMES, 3, REFUNDED, str(transfer_id(REFUNDED)), code="account_closed"),
            _record(TRANSFERS, 1, 4, "ada", number=4),  # a relay that was killed sends again
        ],
        transfers=[
            _transfer(COMPLETED, "completed", 1),
            _transfer(REFUNDED, "refunded"),
            _transfer(REFUSED, "refused"),
            _transfer(DOUBTED, "debited"),
        ],
        receipts=[Receipt(transfer_id(COMPLETED), FIVE, "EUR")],
        calls=[
            *(_call("bank-a", "debit", n, "failed" if n == REFUSED else "succeeded") for n in range(1, 5)),
            _call("bank-a", "refund", REFUNDED, "succeeded"),
            _call("bank-b", "credit", COMPLETED, "succeeded"),
            _call("bank-b", "credit", REFUNDED, "failed"),
            _call("old-gateway", "gateway_credit", DOUBTED, "in_doubt", incident="nobody can know"),
        ],
        movements=[
            *(_movement(n, "debits", "debit", n, -500) for n in (COMPLETED, REFUNDED, DOUBTED)),
            _movement(5, "refunds", "refund", REFUNDED, 500),
            _movement(1, "credits", "credit", COMPLETED, 500, account="bob"),
        ],
        accounts=[
            Account("ada", "EUR", OPENING, OPENING - 1000),
            Account("bob", "EUR", OPENING, OPENING + 500),
        ],
    )


def _entry(number: int, *, committed: bool) -> Entry:
    return Entry(transfer_id(number), "ada", number, message_id(1, number), FIVE, "EUR", committed)


def _record(topic: str, kind: int, of: int, key: str, **payload: object) -> Record:
    return Record(topic, 0, message_id(kind, of), key, {"transfer_id": str(transfer_id(of)), **payload})


def _transfer(number: int, state: str, completions: int = 0) -> Transfer:
    return Transfer(transfer_id(number), "ada", FIVE, "EUR", state, completions)


def _call(provider: str, operation: str, number: int, state: str, incident: str | None = None) -> Call:
    return Call(
        id=message_id(9, number),
        ref=str(transfer_id(number)),
        provider=provider,
        operation=operation,
        key=key(operation, number),
        state=state,
        amount=FIVE,
        currency="EUR",
        given_up=incident is not None,
        error_text=None,
        settled_by="answer",
        sends=1,
        lookups=0,
        sends_without_answer=0,
        incident=incident,
        participant="payer" if provider == "bank-a" else "payee",
    )


def key(operation: str, number: int) -> str:
    """Return the idempotency key of a call."""
    return f"{operation}-{number}"


def _movement(no: int, books_name: str, operation: str, number: int, cents: int, account: str = "ada") -> Movement:
    return Movement(no, books_name, key(operation, number), str(transfer_id(number)), account, "EUR", cents)
