"""The payee: has its bank promise to take the money, has it credited once it has been let go, and tells the payer."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from onceward.errors import CallFailed, UndoFlow
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.participant import Participant
from onceward_relay.demo.banks import Moved, Movement, bank_b, credit, gateway_credit, old_gateway, reserve
from onceward_relay.demo.messages import (
    CREDITS,
    DECISIONS,
    OUTCOMES,
    CreditDecided,
    CreditRequested,
    TransferCompleted,
    TransferReturned,
    TransferSettled,
)
from onceward_relay.demo.models import Receipt
from onceward_relay.demo.settings import run_name, settings

payee = Participant(f"{run_name()}.payee", providers=[bank_b, old_gateway])

BOOKED_TO: Mapping[str, Mapping[str, int]] = {
    "1": {"EUR": 1200, "GBP": 1210, "USD": 1220},
    "2": {"EUR": 1200, "GBP": 1210, "USD": 1220, "CHF": 1230},
}
"""For each release of this program, the account to which what comes in is booked. The first one has a bug."""


@payee.flow(
    CREDITS,
    CreditRequested,
    key=lambda event: event.transfer_id,
    listen=[Listen(CREDITS, TransferSettled, key=lambda event: event.transfer_id)],
)
def receive(flow: Flow, event: CreditRequested) -> None:
    """Say whether the money will be taken, and have it credited, by the way that the payee's bank has."""
    reference = str(event.transfer_id)
    order = Movement(reference=reference, account=event.payee, amount=event.amount, currency=event.currency)
    decided = CreditDecided(transfer_id=event.transfer_id, accepted=True, reason="")
    if event.way == "direct":  # the gateway promises nothing
        try:
            flow.call(reserve, order, ref=reference)
        except CallFailed as refusal:  # proven: the bank has promised nothing
            decided = CreditDecided(transfer_id=event.transfer_id, accepted=False, reason=refusal.text)
    flow.publish(decided, topic=DECISIONS, key=event.transfer_id)
    settled = flow.wait(TransferSettled, expect_within=timedelta(hours=1))
    if not settled.captured:
        raise UndoFlow("no money will come")
    try:
        by_way = gateway_credit if event.way == "gateway" else credit
        moved = flow.call(by_way, order, step="credit", ref=reference, pivot=True)
    except CallFailed as refusal:  # proven: the bank has given nothing
        details = event.model_dump(include={"transfer_id", "account", "amount", "currency"})
        flow.publish(TransferReturned(**details, reason=refusal.text), topic=OUTCOMES, key=event.transfer_id)
        raise UndoFlow(refusal.text) from refusal
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
            booked_to=BOOKED_TO[settings().release][moved.currency],
        )
    )
