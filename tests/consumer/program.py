"""A consumer as a process of its own, to be killed: `program.py DATABASE BOOTSTRAP TOPIC GROUP [SETTING=VALUE ...]`."""

import logging
import signal
import sys
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from onceward.consumer import Consumer
from onceward.database import sqlalchemy_url
from onceward.participant import Participant


class Paid(BaseModel):
    number: int


def main(database: str, bootstrap: str, topic: str, group: str, *settings: str) -> None:
    logging.basicConfig(level=logging.INFO)
    participant = Participant("books")

    @participant.on(topic, Paid)
    def pay(session: Session, event: Paid) -> None:
        session.execute(text("INSERT INTO paid (number) VALUES (:number)"), {"number": event.number})
        print(f"paying {event.number}")

    engine = create_engine(sqlalchemy_url(database))
    kafka = {"bootstrap.servers": bootstrap, **dict(setting.split("=", 1) for setting in settings)}
    consumer = Consumer(participant, engine, kafka, group=group, idle_limit=timedelta(seconds=2))
    signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
    consumer.run()
    engine.dispose()
    print(f"stopped {consumer.counts}")


if __name__ == "__main__":
    main(*sys.argv[1:])
