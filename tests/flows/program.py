"""A worker as a process of its own, to be killed: `program.py DATABASE BANK [BOOTSTRAP [TOPIC]]`."""

import logging
import sys
from datetime import timedelta

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from onceward.backoff import Backoff
from onceward.database import sqlalchemy_url
from onceward.flows.flow import Flow
from onceward.http import Client
from onceward.participant import Participant
from onceward.providers import Provider, SameKey, Sending
from onceward.worker import Worker
from tests.flows.support import NO_KAFKA, TOPIC, Noted, PaymentRequest, Receipt, Transfer


def participant_of(bank: str, topic: str = TOPIC) -> Participant:
    provider = Provider("bank", lambda: Client(bank))
    participant = Participant("payer", [provider])

    @provider.operation(repeat=SameKey(timedelta(hours=24)), timeout=timedelta(seconds=10))
    def pay(client: Client, request: PaymentRequest, call: Sending) -> Receipt:
        return client.post("/pay", call, returns=Receipt)

    def book(session: Session, number: int) -> int:
        session.execute(text("INSERT INTO booked (number) VALUES (:number)"), {"number": number})
        return number

    @participant.flow(topic, Transfer, key=lambda event: event.number)
    def transfer(flow: Flow, event: Transfer) -> None:
        flow.call(pay, PaymentRequest(number=event.number))
        number = flow.transact(book, event.number)
        flow.publish(Noted(number=number), topic="noted", key=number)

    return participant


def main(database: str, bank: str, bootstrap: str = NO_KAFKA, topic: str = TOPIC) -> None:
    logging.basicConfig(level=logging.INFO)
    engine = create_engine(sqlalchemy_url(database))
    kafka: dict[str, str | int] = {
        "bootstrap.servers": bootstrap,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 200,
    }
    waits = Backoff(timedelta(milliseconds=100), timedelta(seconds=1))
    worker = Worker(
        participant_of(bank, topic),
        engine,
        kafka,
        lease=timedelta(seconds=2),
        retries=waits,
        grace=timedelta(seconds=1),
    )
    worker.run()
    engine.dispose()
    print("ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
