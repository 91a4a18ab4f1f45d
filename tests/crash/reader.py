"""A consumer that writes down each message it takes: `python -m tests.crash.reader DATABASE KAFKA TOPIC MEMBER`."""

import logging
import signal
import sys

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from onceward import Participant
from onceward.cloudevents import IncomingMessage
from onceward.consumer import Consumer
from onceward.database import sqlalchemy_url

TAKEN = "CREATE TABLE IF NOT EXISTS taken (seq bigint GENERATED ALWAYS AS IDENTITY, message_id text)"


def main(database: str, kafka: str, topic: str, member: str) -> None:
    logging.basicConfig(level=logging.INFO)
    reader = Participant(f"reader of {topic}")

    @reader.on(topic, bytes, type="counted")
    def take(session: Session, event: bytes, message: IncomingMessage) -> None:
        session.execute(text("INSERT INTO taken (message_id) VALUES (:id)"), {"id": str(message.message_id)})

    engine = create_engine(sqlalchemy_url(database))
    # A static member that comes back has its partitions at once; another would wait for the dead one's session to end.
    client: dict[str, str | int] = {"bootstrap.servers": kafka, "group.instance.id": member, "session.timeout.ms": 6000}
    consumer = Consumer(reader, engine, client)
    signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
    consumer.run()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
