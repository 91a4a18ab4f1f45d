"""The payee: has the money credited at its bank, and tells the payer."""

from sqlalchemy.orm import Session

from onceward.errors import CallFailed
from onceward.flows.flow import Flow
from onceward.participant import Participant
from onceward_relay.demo.banks import Moved, Movement, bank_b, credit, gateway_credit, old_gateway
from onceward_relay.demo.messages import CREDITS, OUTCOMES, CreditRequested, TransferCompleted, TransferRejected
from onceward_relay.demo.models import Receipt
from onceward_relay.demo.settings import run_name

payee = Participant(f"{run_name()}.payee", providers=[bank_b, old_gateway])


@payee.flow(CREDITS, CreditRequested, key=lambda event: event.transfer_id)
def receive(flow: Flow, event: CreditRequested) -> None:
    """Have the money credited, by the way that the payee's bank has."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.payee, amount=event.amount, currency=event.currency)
    try:
        moved = flow.call(gateway_credit if event.way == "gateway" else credit, order, step="credit", ref=reference)
    except CallFailed as refusal:  # proven: the bank has given nothing
        rejected = TransferRejected(
            transfer_id=event.transfer_id,
            account=event.account,
            amount=event.amount,
            currency=event.currency,
            code=refusal.code,
        )
        flow.publish(rejected, topic=OUTCOMES, key=event.transfer_id)
        return
    flow.transact(note, event, moved)
    completed = TransferCompleted(transfer_id=event.transfer_id, reference=moved.id)
    flow.publish(completed, topic=OUTCOMES, key=event.transfer_id)


def note(session: Session, event: CreditRequested, moved: Moved) -> None:
    """Note the money that came in."""
    session.add(
        Receipt(
            transfer_id=event.transfer_id,
            payee=event.payee,
            amount=moved.amount,
            currency=moved.currency,
            reference=moved.id,
        )
    )
