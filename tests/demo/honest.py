"""What the witnesses say of a world in which every promise was kept: the ground on which bugs are planted."""

from decimal import Decimal
from uuid import UUID

from onceward.ids import derived
from onceward_relay.demo.books import Account, Movement
from onceward_relay.demo.facts import Blocked, Call, Facts, Receipt, Transfer
from onceward_relay.demo.messages import CREDITS, DECISIONS, OUTCOMES, TRANSFERS
from onceward_relay.demo.observer import Record
from onceward_relay.demo.workload import Entry

FIVE = Decimal("5.00")
COMPLETED, REFUNDED, REFUSED, DOUBTED, RELEASED, BLOCKED = 1, 2, 3, 4, 5, 6
"""The numbers of ada's transfers, by what became of them."""
ROLLED_BACK = 7
OPENING = 10_000
REQUESTED, ASKED, ENDED, DECIDED, SETTLED = 1, 2, 3, 4, 5
"""Kinds of messages."""


def transfer_id(number: int) -> UUID:
    return UUID(int=number, version=4)


def message_id(kind: int, number: int) -> UUID:
    return UUID(int=kind << 64 | number, version=4)


def world() -> Facts:
    """Six transfers of one account, and a seventh that was rolled back.

    Completed; refunded, since the gateway refused it in the end; refused by the payer's bank; in doubt at the gateway;
    released, since the payee's bank refused it; and one whose payee's code has a bug.
    """
    asked = (COMPLETED, REFUNDED, DOUBTED, RELEASED, BLOCKED)
    direct = (COMPLETED, BLOCKED)
    gone = (COMPLETED, REFUNDED, DOUBTED, BLOCKED)
    return Facts(
        log=[_entry(number, committed=number < ROLLED_BACK) for number in range(1, ROLLED_BACK + 1)],
        published=frozenset(
            [message_id(kind, n) for kind in (ASKED, DECIDED, SETTLED) for n in asked]
            + [message_id(ENDED, n) for n in (COMPLETED, REFUNDED)]
        ),
        records=[
            *(_record(TRANSFERS, REQUESTED, n, "ada", number=n) for n in range(1, ROLLED_BACK)),
            *(_record(CREDITS, ASKED, n, str(transfer_id(n))) for n in asked),
            *(_record(DECISIONS, DECIDED, n, str(transfer_id(n)), accepted=n != RELEASED, reason="") for n in asked),
            *(_record(CREDITS, SETTLED, n, str(transfer_id(n)), captured=n != RELEASED) for n in asked),
            _record(OUTCOMES, ENDED, COMPLETED, str(transfer_id(COMPLETED)), reference="credits-1"),
            _record(OUTCOMES, ENDED, REFUNDED, str(transfer_id(REFUNDED)), reason="account_closed"),
            _record(TRANSFERS, REQUESTED, 4, "ada", number=4),  # a relay that was killed sends again
        ],
        transfers=[
            _transfer(COMPLETED, "completed", 1),
            _transfer(REFUNDED, "refunded"),
            _transfer(REFUSED, "refused"),
            _transfer(DOUBTED, "captured"),
            _transfer(RELEASED, "refused"),
            _transfer(BLOCKED, "captured"),
        ],
        receipts=[Receipt(transfer_id(COMPLETED), FIVE, "EUR")],
        calls=[
            *(_call("bank-a", "hold", n, "failed" if n == REFUSED else "succeeded") for n in range(1, ROLLED_BACK)),
            *(_call("bank-a", "capture", n, "succeeded") for n in gone),
            _call("bank-a", "release", RELEASED, "succeeded"),
            _call("bank-a", "refund", REFUNDED, "succeeded"),
            *(_call("bank-b", "reserve", n, "succeeded") for n in direct),
            _call("bank-b", "reserve", RELEASED, "failed"),
            *(_call("bank-b", "credit", n, "succeeded") for n in direct),
            _call("old-gateway", "gateway_credit", REFUNDED, "failed"),
            _call("old-gateway", "gateway_credit", DOUBTED, "in_doubt", incident="nobody can know"),
        ],
        movements=[
            *(_movement(n, "holds", "hold", n, -500) for n in asked),
            *(_movement(10 + n, "captures", "capture", n, 0) for n in gone),
            _movement(20, "releases", "release", RELEASED, 500),
            _movement(21, "refunds", "refund", REFUNDED, 500),
            *(_movement(n, "reservations", "reserve", n, 0, account="bob") for n in direct),
            *(_movement(10 + n, "credits", "credit", n, 500, account="bob") for n in direct),
        ],
        accounts=[
            Account("ada", "EUR", OPENING, OPENING - 1500),
            Account("bob", "EUR", OPENING, OPENING + 1000),
        ],
        blocked=[Blocked(message_id(8, BLOCKED), "receive", str(transfer_id(BLOCKED)), "a bug", "payee")],
    )


def _entry(number: int, *, committed: bool) -> Entry:
    return Entry(transfer_id(number), "ada", number, message_id(1, number), FIVE, "EUR", committed)


def _record(topic: str, kind: int, of: int, key: str, **payload: object) -> Record:
    return Record(topic, 0, message_id(kind, of), key, {"transfer_id": str(transfer_id(of)), **payload})


def _transfer(number: int, state: str, completions: int = 0) -> Transfer:
    return Transfer(transfer_id(number), "ada", FIVE, "EUR", state, completions)


def _call(provider: str, operation: str, number: int, state: str, incident: str | None = None) -> Call:
    return Call(
        id=derived(operation, str(number)),
        ref=str(transfer_id(number)),
        provider=provider,
        operation=operation,
        key=key(operation, number),
        state=state,
        amount=FIVE,
        currency="EUR",
        difference=None,
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
    return Movement(no, books_name, key(operation, number), str(transfer_id(number)), account, "EUR", cents, 500)
