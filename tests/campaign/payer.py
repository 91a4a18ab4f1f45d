"""A worker whose flows pay at the campaign's bank: `python -m tests.campaign.payer NAME DATABASE BANK`."""

import logging
import sys
from datetime import timedelta

from sqlalchemy import create_engine

from onceward.database import sqlalchemy_url
from onceward.worker import Worker
from tests.crash.mortal import KINDS, NO_KAFKA, Kind, participant_of

PARTS: dict[str, Kind] = {kind: kind for kind in KINDS}
"""A flow and a provider for each kind of bank, under its name."""
TRIES = 50
"""No flow is to be left to a person because servers were away often."""


def main(name: str, database: str, bank: str) -> None:
    logging.basicConfig(level=logging.INFO)
    print("payer started", flush=True)
    engine = create_engine(sqlalchemy_url(database))
    kafka = {"bootstrap.servers": NO_KAFKA}
    Worker(
        participant_of(PARTS, bank),
        engine,
        kafka,
        threads=2,
        name=name,
        lease=timedelta(seconds=5),
        tries=TRIES,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
