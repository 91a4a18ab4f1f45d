"""The payer: holds money at its bank, lets it go once the payee will take it, and releases it where that is refused."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from onceward.errors import UndoFlow
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.ids import uuid7
from onceward.outbox import publish
from onceward.participant import Participant
from onceward_relay.demo.banks import Movement, bank_a, capture, hold, refund
from onceward_relay.demo.messages import (
    CREDITS,
    DECISIONS,
    OUTCOMES,
    TRANSFERS,
    CreditDecided,
    CreditRequested,
    TransferCompleted,
    TransferRequested,
    TransferReturned,
    TransferSettled,
)
from onceward_relay.demo.models import Transfer
from onceward_relay.demo.settings import run_name

payer = Participant(f"{run_name()}.payer", providers=[bank_a])


def refused(session: Session, event: TransferRequested, reason: str) -> None:
    """Note that the transfer came to nothing; if the payee was asked, let it know."""
    found = session.get_one(Transfer, event.transfer_id, with_for_update=True)
    if found.state == "held":
        found.told = uuid7()
        settled = TransferSettled(transfer_id=event.transfer_id, captured=False)
        session.execute(publish(settled, topic=CREDITS, key=event.transfer_id, message_id=found.told))
    found.state, found.reason = "refused", reason


@payer.flow(
    TRANSFERS,
    TransferRequested,
    key=lambda event: event.transfer_id,
    undone=refused,
    listen=[Listen(DECISIONS, CreditDecided, key=lambda event: event.transfer_id)],
)
def transfer(flow: Flow, event: TransferRequested) -> None:
    """Hold the money, ask whether the payee takes it, and let it go; a refusal on the way releases it."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.account, amount=event.amount, currency=event.currency)
    flow.call(hold, order, ref=reference)
    flow.transact(mark, event.transfer_id, "held", step="held")
    flow.publish(CreditRequested(**event.model_dump(exclude={"number"})), topic=CREDITS, key=event.transfer_id)
    credit = flow.wait(CreditDecided, expect_within=timedelta(hours=1))
    if not credit.accepted:
        raise UndoFlow(credit.reason)
    flow.call(capture, order, ref=reference, pivot=True)  # from here it only goes forward
    flow.transact(mark, event.transfer_id, "captured", step="captured")
    settled = TransferSettled(transfer_id=event.transfer_id, captured=True)
    flow.publish(settled, topic=CREDITS, key=event.transfer_id)


@payer.on(OUTCOMES, TransferCompleted)
def completed(session: Session, event: TransferCompleted) -> None:
    """Note that the payee has got it."""
    found = session.get_one(Transfer, event.transfer_id, with_for_update=True)
    found.state = "completed"
    found.completions += 1


@payer.flow(OUTCOMES, TransferReturned, key=lambda event: event.transfer_id)
def give_back(flow: Flow, event: TransferReturned) -> None:
    """Give the money back."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.account, amount=event.amount, currency=event.currency)
    flow.call(refund, order, ref=reference)
    flow.transact(mark, event.transfer_id, "refunded", step="refunded")


def mark(session: Session, transfer_id: UUID, state: str) -> None:
    """Note how far a transfer has got."""
    session.execute(update(Transfer).where(Transfer.id == transfer_id).values(state=state))
