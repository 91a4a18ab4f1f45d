"""A participant that pays at the fake bank, as a process: `python -m tests.crash.payer`, told by its environment."""

import json
import logging
import os
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from onceward import Flow, Money, Never, Participant, Provider, SameKey, Sending
from onceward.database import sqlalchemy_url
from onceward.http import Client
from onceward.worker import Worker

TIMEOUT = timedelta(seconds=float(os.environ.get("PAYER_TIMEOUT", "2")))


class Movement(BaseModel):
    reference: str
    account: str
    amount: str
    currency: str


class Moved(BaseModel):
    id: str


class Order(BaseModel):
    """`by` is the operation that is to pay it."""

    event_type: ClassVar[str] = "order"
    number: str
    by: str


class Paid(BaseModel):
    event_type: ClassVar[str] = "paid"
    number: str


bank = Provider("bank", lambda: Client(os.environ["PAYER_BANK"]))


@bank.operation(
    repeat=SameKey(timedelta(hours=24)), timeout=TIMEOUT, value=lambda r: Money(Decimal(r.amount), r.currency)
)
def debits(client: Client, request: Movement, call: Sending) -> Moved:
    return client.post("/debits", call, returns=Moved, rejects={402, 422})


@bank.operation(repeat=Never(), timeout=TIMEOUT)
def credits(client: Client, request: Movement, call: Sending) -> Moved:  # noqa: A001 -- the bank's name for it
    return client.post("/credits", call, returns=Moved, rejects={402, 422})


@credits.lookup(authoritative=True, settle=timedelta(seconds=1))
def find_credit(client: Client, request: Movement, call: Sending) -> Moved | None:
    return client.get(f"/credits/by-reference/{request.reference}", call, returns=Moved, absent={404})


@bank.operation(repeat=Never(), timeout=TIMEOUT)
def gateway_credits(client: Client, request: Movement, call: Sending) -> Moved:
    return client.post("/gateway-credits", call, returns=Moved, rejects={402, 422})


OPERATIONS = {"debits": debits, "credits": credits, "gateway-credits": gateway_credits}
TOPIC = os.environ.get("PAYER_TOPIC", "orders")
payer = Participant(f"payer of {TOPIC}", providers=[bank])


@payer.flow(TOPIC, Order, key=lambda order: order.number)
def pay(flow: Flow, order: Order) -> None:
    movement = Movement(reference=order.number, account="ada", amount="5.00", currency="EUR")
    flow.call(OPERATIONS[order.by], movement, ref=order.number)
    flow.transact(note, order.number)
    flow.publish(Paid(number=order.number), topic="paid", key=order.number)


def note(session: Session, number: str) -> None:
    session.connection().exec_driver_sql("INSERT INTO public.paid (number) VALUES (%s)", (number,))


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    engine = create_engine(sqlalchemy_url(os.environ["PAYER_DATABASE"]))
    # A static member that comes back has its partitions at once; another would wait for the dead one's session to end.
    member = os.environ.get("PAYER_MEMBER", "payer-1")
    kafka: dict[str, str | int] = {"bootstrap.servers": os.environ["PAYER_KAFKA"], "group.instance.id": member}
    kafka |= json.loads(os.environ.get("PAYER_OPTIONS", "{}"))
    Worker(payer, engine, kafka, threads=1, lease=timedelta(seconds=3)).run()


if __name__ == "__main__":
    main()
