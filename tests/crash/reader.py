"""A consumer that writes down each message it takes: `python -m tests.crash.reader DATABASE KAFKA TOPIC MEMBER`."""

import json
import logging
import os
import signal
import sys
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from onceward import Participant
from onceward.cloudevents import IncomingMessage
from onceward.consumer import Consumer
from onceward.database import sqlalchemy_url
from onceward_relay.kafka_options import from_file

TAKEN = "CREATE TABLE IF NOT EXISTS taken (seq bigint GENERATED ALWAYS AS IDENTITY, message_id text)"


def main(database: str, kafka: str, topic: str, member: str) -> None:
    logging.basicConfig(level=logging.INFO)
    reader = Participant(f"reader of {topic}")

    @reader.on(topic, bytes, type="counted")
    def take(session: Session, event: bytes, message: IncomingMessage) -> None:
        session.execute(text("INSERT INTO taken (message_id) VALUES (:id)"), {"id": str(message.message_id)})

    # Without prepared statements, which a transaction pooler would not keep.
    engine = create_engine(sqlalchemy_url(database), connect_args={"prepare_threshold": None})
    # A static member that comes back has its partitions at once; another would wait for the dead one's session to end.
    client = {"bootstrap.servers": kafka, "group.instance.id": member, "session.timeout.ms": 6000, **more()}
    consumer = Consumer(reader, engine, client)
    signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
    consumer.run()
    engine.dispose()


def more() -> dict[str, Any]:
    """Return the options of Kafka that the environment has, with secrets in files where it says so."""
    given = json.loads(os.environ.get("READER_KAFKA", "{}"))
    return {name: from_file(value) for name, value in given.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
