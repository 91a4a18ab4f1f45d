"""One slow provider is in nobody else's way: not of other flows, not of other providers' calls, not of the database."""

from collections.abc import Iterator
from threading import Event

import pytest
from sqlalchemy import create_engine, event

from onceward.database import sqlalchemy_url
from onceward.flows.flow import Flow
from onceward.providers import Operation, Provider, Sending
from onceward.worker import Worker
from tests.flows.support import NO_KAFKA, Payer, Transfer, book, request
from tests.flows.test_worker import running
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Paid, Pay
from tests.support import eventually

SLOW = range(100, 112)
"""Flows that need the slow provider."""
OTHERS = range(20)


class Slow:
    """A bank that does not answer until it is let."""

    def __init__(self, payer: Payer) -> None:
        self.bank = Bank()
        self.asked: list[str] = []
        self.go_on = Event()
        self.provider: Provider[Bank] = Provider("slow", lambda: self.bank, in_flight=3)
        self.pay: Operation[Bank, Pay, Paid] = self.provider.operation(repeat=DAY, name="pay")(self._pay)
        payer.participant.providers += (self.provider,)

    def _pay(self, client: Bank, request: Pay, call: Sending) -> Paid:
        self.asked.append(call.key)
        assert self.go_on.wait(60)
        return client.apply(call)


@pytest.fixture
def slow(payer: Payer) -> Iterator[Slow]:
    slow = Slow(payer)

    def code(flow: Flow, transfer: Transfer) -> None:
        flow.call(slow.pay if transfer.number in SLOW else payer.pay, request(transfer))
        flow.transact(book, transfer.number)

    payer.code = code
    yield slow
    slow.go_on.set()


def test_rule_17_a_provider_that_hangs_stops_no_flow_that_needs_another(payer: Payer, slow: Slow) -> None:
    """Twelve flows wait for a provider that is given three calls at a time; with two threads all others end meanwhile."""
    for number in SLOW:
        payer.start(number)
    with running(payer.worker(threads=2)):
        eventually(lambda: len(slow.asked) == 3)
        payer.bank.manners = [manners.be_unreachable]  # so that one call of theirs is left to the sweep
        for number in OTHERS:
            payer.start(number)
        eventually(lambda: payer.states.get("completed") == len(OTHERS), 30, lambda: (payer.states, payer.calls))
        assert sorted(payer.booked) == list(OTHERS)
        assert len(slow.asked) == 3
        slow.go_on.set()
        eventually(lambda: payer.states == {"completed": len(OTHERS) + len(SLOW)}, 30, lambda: payer.states)
    assert len(slow.asked) == len(SLOW)
    assert (payer.bank.worst, slow.bank.worst) == (1, 1)


def test_however_many_calls_are_under_way_connections_are_few(payer: Payer, slow: Slow) -> None:
    engine = create_engine(sqlalchemy_url(payer.url), pool_size=20)
    out = most = 0

    def taken(*_: object) -> None:
        nonlocal out, most
        out += 1
        most = max(out, most)

    def given_back(*_: object) -> None:
        nonlocal out
        out -= 1

    event.listen(engine, "checkout", taken)
    event.listen(engine, "checkin", given_back)
    for number in (*SLOW, *OTHERS):
        payer.start(number)
    with running(Worker(payer.participant, engine, {"bootstrap.servers": NO_KAFKA}, threads=2)):
        eventually(lambda: payer.states.get("completed") == len(OTHERS), 30, lambda: payer.states)
        slow.go_on.set()
        eventually(lambda: payer.states == {"completed": len(OTHERS) + len(SLOW)}, 30, lambda: payer.states)
    engine.dispose()
    assert most <= 2 * 2 + 8
