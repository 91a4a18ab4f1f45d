"""The payer: takes money at its bank, asks the payee to have it credited, and gives it back where that is refused."""

from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from onceward.errors import CallFailed
from onceward.flows.flow import Flow
from onceward.participant import Participant
from onceward_relay.demo.banks import Movement, bank_a, debit, refund
from onceward_relay.demo.messages import (
    CREDITS,
    OUTCOMES,
    TRANSFERS,
    CreditRequested,
    TransferCompleted,
    TransferRejected,
    TransferRequested,
)
from onceward_relay.demo.models import Transfer
from onceward_relay.demo.settings import run_name

payer = Participant(f"{run_name()}.payer", providers=[bank_a])


@payer.flow(TRANSFERS, TransferRequested, key=lambda event: event.transfer_id)
def transfer(flow: Flow, event: TransferRequested) -> None:
    """Take the money, then ask for its credit."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.account, amount=event.amount, currency=event.currency)
    try:
        flow.call(debit, order, ref=reference)
    except CallFailed:  # proven: the bank has taken nothing
        flow.transact(mark, event.transfer_id, "refused", step="refused")
        return
    flow.transact(mark, event.transfer_id, "debited", step="debited")
    request = CreditRequested(**event.model_dump(exclude={"number"}))
    flow.publish(request, topic=CREDITS, key=event.transfer_id)


@payer.on(OUTCOMES, TransferCompleted)
def completed(session: Session, event: TransferCompleted) -> None:
    """Note that the payee has got it."""
    found = session.get_one(Transfer, event.transfer_id, with_for_update=True)
    found.state = "completed"
    found.completions += 1


@payer.flow(OUTCOMES, TransferRejected, key=lambda event: event.transfer_id)
def give_back(flow: Flow, event: TransferRejected) -> None:
    """Give the money back."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.account, amount=event.amount, currency=event.currency)
    flow.call(refund, order, ref=reference)
    flow.transact(mark, event.transfer_id, "refunded", step="refunded")


def mark(session: Session, transfer_id: UUID, state: str) -> None:
    """Note how far a transfer has got."""
    session.execute(update(Transfer).where(Transfer.id == transfer_id).values(state=state))
