"""The demo's console: a line for each thing that is left, and a button that makes one more."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from onceward.database import sqlalchemy_url
from onceward_relay.demo.console import TITLES, lose_next_reply, tour_of
from onceward_relay.demo.guide import Guide
from onceward_relay.demo.models import Account, PayerTable
from onceward_relay.demo.workload import PAYERS, UNLUCKY
from tests.conftest import Database
from tests.demo.support import RunningBank


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(database.url))
    PayerTable.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Account(name=PAYERS[0]))
    yield engine
    engine.dispose()


def test_each_kind_of_what_is_left_has_a_line() -> None:
    guides = [asdict(Guide(kind, "what", uuid4(), "look", "settle", f"/calls/payer/{kind}", "how")) for kind in TITLES]
    tour = tour_of(guides)
    assert [(line.title, line.page) for line in tour.guides] == [
        (title, f"/calls/payer/{kind}") for kind, title in TITLES.items()
    ]
    assert [button.title for button in tour.buttons] == ["Make the bank lose the next reply"]


def test_the_button_makes_a_transfer_whose_reply_is_lost(engine: Engine, tmp_path: Path) -> None:
    with RunningBank(tmp_path / "books") as bank:
        order = lose_next_reply(engine, bank.address)
        with engine.connect() as connection:
            transfers = connection.execute(text("SELECT id, payee, way FROM transfer")).all()
            messages = connection.execute(text("SELECT topic FROM onceward.outbox")).all()
        assert [tuple(each) for each in transfers] == [(order.id, UNLUCKY, "gateway")]
        assert len(messages) == 1
        bank.post("gateway-credits", account="somebody else")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            bank.post("gateway-credits", account=UNLUCKY)
        assert len(bank.movements) == 2
