"""A flow that calls, waits and is undone, whose worker dies at every point where it can, one after the other."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.errors import Accepted, UndoFlow
from onceward.failpoint import NAMES
from onceward.flows.flow import Flow
from onceward.providers import Operation, Provider, Sending
from tests.flows.support import Answer, Payer, Release, Transfer, book
from tests.ledger.bank import DAY, Bank, Paid, Pay

MODULES = ("ledger.making", "flows.flow", "flows.run", "flows.runner")
"""Those with points of calls and flows."""


class Death:
    """Ends the run at one of the points that it passes, as if its process were killed: nothing more is written."""

    def __init__(self) -> None:
        self.at = 0
        """Which pass is the last."""
        self.passed: list[str] = []

    def pass_by(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def death(monkeypatch: pytest.MonkeyPatch) -> Death:
    death = Death()
    for module in MODULES:
        monkeypatch.setattr(f"onceward.{module}.failpoint", death.pass_by)
    return death


def undone(session: Session, event: Transfer, reason: str) -> None:
    session.execute(text("INSERT INTO booked (number) VALUES (:number)"), {"number": -event.number})


def carry_on(waiter: Payer, number: int) -> None:
    """Do what other workers do, until nothing is left to do."""
    for _ in range(20):
        waiter.expire_leases()
        with waiter.admin.begin() as connection:  # also those of lookups
            connection.execute(text("UPDATE onceward.call SET due_at = clock_timestamp() WHERE state = 'accepted'"))
        if waiter.run_due() + waiter.ledger.sweep() == 0:
            return
    raise AssertionError(f"flow {number} has come to no end: {waiter.flow(number)}, {waiter.calls}")


def accepted_at(waiter: Payer) -> Operation[Bank, Pay, Paid]:
    """Declare an operation of the bank that accepts, and says the outcome to who asks."""
    bank: Provider[Bank] = waiter.participant.providers[0]

    @bank.operation(repeat=DAY, timeout=timedelta(seconds=1), expect_within=timedelta(hours=1), value=waiter.pay.value)
    def transfer(client: Bank, request: Pay, call: Sending) -> Paid:
        client.take(call)
        raise Accepted("it will be done", http_status=202)

    @transfer.lookup(authoritative=False)
    def find(client: Bank, request: Pay, call: Sending) -> Paid | None:
        return client.ask(call)

    transfer.undone_by(waiter.release, lambda request, paid: Release(reference=f"{paid.reference} of {request.to}"))
    waiter.ledger.declare()
    return transfer


def test_a_flow_is_undone_once_wherever_its_workers_die(waiter: Payer, death: Death) -> None:
    transfer = accepted_at(waiter)

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(waiter.pay, Pay(), step="first")
        flow.transact(book, event.number)
        answer = flow.wait(Answer, expect_within=timedelta(hours=1))
        flow.call(transfer, Pay(), step="second")
        if not answer.accepted:
            raise UndoFlow("no")

    waiter.code, waiter.undone, waiter.bank.replays = code, undone, True
    points: set[str] = set()
    for number in range(1, 100):
        waiter.bank.effects.clear()
        waiter.start(number)
        death.passed, death.at = [], number
        died = False
        for _ in range(2):
            try:
                carry_on(waiter, number)
            except KeyboardInterrupt:
                died, death.at = True, 0
                carry_on(waiter, number)
            if waiter.flow(number).state == "waiting":
                waiter.deliver(Answer(number=number, accepted=False))
        assert waiter.flow(number).state == "undone"
        assert [booked for booked in waiter.booked if abs(booked) == number] == [number, -number]
        assert sorted(waiter.bank.effects.values()) == [1, 1, 1, 1], "two calls and what undoes them"
        assert waiter.open_incidents == []
        points |= set(death.passed)
        if not died:
            break
    assert not died, "it never came to its end alive"
    assert points == {name for name in NAMES if name.startswith(("call.", "flow."))}
