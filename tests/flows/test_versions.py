"""The way from a message through a call to the outbox, on each version of PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from onceward.errors import UndoFlow
from onceward.flows.flow import Flow
from onceward.inbox import Inbox
from tests.conftest import fresh_database
from tests.consumer.support import NEVER, record
from tests.flows.support import ANSWERS, TOPIC, Answer, Noted, Payer, Transfer, book, request
from tests.ledger import bank as manners
from tests.servers.postgres import TestServer


@pytest.fixture
def payer(postgres_of_each_version: TestServer) -> Iterator[Payer]:
    with fresh_database(postgres_of_each_version, installed=True) as database:
        payer = Payer(database, listen=[ANSWERS])
        yield payer
        payer.engine.dispose()


def test_a_message_leads_to_one_call_and_to_messages(payer: Payer) -> None:
    """The bank's first reply is lost, a message that cannot be read is parked, and each message comes twice.

    A second flow is undone after an answer that it has waited for.
    """

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        if event.number > 1 and not flow.wait(Answer, expect_within=timedelta(hours=1)).accepted:
            raise UndoFlow("no")
        flow.transact(book, event.number)
        flow.publish(Noted(number=1), topic="noted", key=event.number)

    payer.code, payer.bank.manners, payer.bank.replays = code, [manners.lose_the_reply], True
    messages = [record(1, type="Transfer"), record(2, key=b"other", type=None)]
    inbox = Inbox(payer.participant, payer.engine, "payer")
    for _ in range(2):
        inbox.take([replace(each, topic=TOPIC) for each in messages], NEVER)
    while payer.run_due() or payer.ledger.sweep():
        pass
    assert payer.states == {"completed": 1}
    assert payer.calls == [("pay", "succeeded")]
    assert (payer.bank.worst, len(payer.bank.sent), payer.booked) == (1, 2, [1])
    assert [row[1:] for row in payer.outbox] == [("noted", "1", "Noted")]
    assert payer.rows("SELECT state FROM onceward.inbox_parked") == ["parked"]

    payer.start(2)
    payer.run_due()
    payer.deliver(Answer(number=2, accepted=False))
    payer.run_due()
    assert (payer.flow(2).state, payer.bank.worst, len(payer.bank.sent)) == ("undone", 1, 4)
    payer.deliver(Answer(number=2))
    assert (payer.runner().notice(), payer.open_incidents[-1]) == (1, "late_signal")
