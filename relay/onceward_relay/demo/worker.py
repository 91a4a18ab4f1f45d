"""A participant's worker process: `python -m onceward_relay.demo.worker payer`."""

import logging
import sys
from datetime import timedelta
from importlib import import_module

from sqlalchemy import create_engine

from onceward.backoff import Backoff
from onceward.database import sqlalchemy_url
from onceward.participant import Participant
from onceward.worker import Worker
from onceward_relay.demo.settings import settings

LEASE = timedelta(seconds=5)
"""How long a killed worker's flows wait for the next one: short, because a demo has no time."""
RETRIES = Backoff(timedelta(milliseconds=200), timedelta(seconds=2))
"""Between runs of a flow whose code fails, for the same reason."""


def main(name: str) -> None:
    """Work for the participant `name`, payer or payee, until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    participant = getattr(import_module(f"onceward_relay.demo.{name}"), name)
    assert isinstance(participant, Participant)
    url = {"payer": settings().payer_database, "payee": settings().payee_database}[name]
    engine = create_engine(sqlalchemy_url(url), pool_size=10)
    kafka, release = settings().kafka_options, settings().release
    Worker(participant, engine, kafka, lease=LEASE, retries=RETRIES, code_version=release).run()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
