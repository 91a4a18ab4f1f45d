"""`onceward.testing`: what a team writes to see its flow crash everywhere, and what it finds when the flow is wrong."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.errors import ConfigError, Rejected, UndoFlow
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.participant import Participant
from onceward.providers import Money, Never, Provider, SameKey, Sending
from onceward.testing import Bench, lost_reply, lost_request
from tests.conftest import Database, fresh_database
from tests.servers.postgres import TestServer

DAY = SameKey(timedelta(hours=24))


class Ask(BaseModel):
    amount: Decimal = Decimal(5)


class Done(BaseModel):
    reference: str


class TransferRequested(BaseModel):
    number: int


class Decided(BaseModel):
    number: int
    accepted: bool


def never_in_a_test() -> None:
    raise RuntimeError("the real client was made")


bank = Provider("bank", never_in_a_test)


@bank.operation(repeat=DAY, value=lambda request: Money(request.amount, "EUR"))
def release(client: None, request: Ask, call: Sending) -> Done:
    raise RuntimeError("the real bank was called")


@bank.operation(repeat=DAY, value=lambda request: Money(request.amount, "EUR"))
def hold(client: None, request: Ask, call: Sending) -> Done:
    raise RuntimeError("the real bank was called")


@bank.operation(repeat=DAY)
def capture(client: None, request: Ask, call: Sending) -> Done:
    raise RuntimeError("the real bank was called")


@bank.operation(repeat=Never())
def wire(client: None, request: Ask, call: Sending) -> Done:
    raise RuntimeError("the real bank was called")


hold.undone_by(release, lambda request, _: request)
payer = Participant("payer", [bank])
LISTEN = [Listen("decisions", Decided, key=lambda event: event.number)]


@payer.flow("transfers", TransferRequested, key=lambda event: event.number, listen=LISTEN)
def transfer(flow: Flow, event: TransferRequested) -> None:
    flow.call(hold, Ask())
    flow.publish(event, topic="credits", key=event.number)
    if not flow.wait(Decided, expect_within=timedelta(hours=2)).accepted:
        raise UndoFlow("the other side refused")
    done = flow.call(capture, Ask(), pivot=True)
    flow.transact(book, event.number, done.reference)


@payer.flow("wires", TransferRequested, key=lambda event: event.number)
def wired(flow: Flow, event: TransferRequested) -> None:
    flow.call(wire, Ask())


kept: list[int] = []


@payer.flow("careless", TransferRequested, key=lambda event: event.number)
def careless(flow: Flow, event: TransferRequested) -> None:
    """Asks something else once it has been run before: what no flow may do."""
    kept.append(event.number)
    flow.call(hold, Ask(), step=f"hold-{len(kept)}")


def book(session: Session, number: int, reference: str) -> None:
    session.execute(text("INSERT INTO booked VALUES (:number, :reference)"), {"number": number, "reference": reference})


EVENT = TransferRequested(number=1)
YES, NO = (Decided(number=1, accepted=accepted) for accepted in (True, False))


@pytest.fixture(scope="module")
def original(postgres: TestServer) -> Iterator[Database]:
    with fresh_database(postgres, installed=True) as database:
        with database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE booked (number bigint PRIMARY KEY, reference text)"))
        database.engine.dispose()
        yield database


@pytest.fixture
def bench(original: Database) -> Iterator[Bench]:
    with Bench(payer, original.url) as bench:
        bench.answer(hold, Done(reference="h"))
        bench.answer(release, Done(reference="r"))
        bench.answer(capture, Done(reference="c"))
        yield bench


@pytest.mark.long
def test_it_pays_once_wherever_it_crashes(bench: Bench) -> None:
    bench.answer(hold, lost_reply(), Done(reference="h"))
    end = bench.run(transfer, EVENT, signals=[YES], crash_everywhere=True)
    assert end.state == "completed"
    assert end.crashes > 20
    assert (bench.effects(hold), bench.effects(capture), bench.effects(release)) == (1, 1, 0)
    with bench.session() as session:
        assert session.execute(text("SELECT * FROM booked")).all() == [(1, "c")]


def test_an_undo_is_an_effect_of_its_own(bench: Bench) -> None:
    assert bench.run(transfer, EVENT, signals=[NO]).state == "undone"
    assert (bench.effects(hold), bench.effects(release), bench.effects(capture)) == (1, 1, 0)


def test_time_passes_by_itself(bench: Bench) -> None:
    bench.answer(hold, lost_request(), lost_request(), Done(reference="h"))
    end = bench.run(transfer, EVENT)
    assert end.state == "waiting"
    assert "has waited for" in end.incidents[0]
    assert (bench.requests(hold), bench.effects(hold)) == (3, 1)


def test_a_flow_is_taken_step_by_step(bench: Bench) -> None:
    bench.start(transfer, EVENT)
    bench.work()
    assert (bench.effects(hold), bench.effects(capture)) == (1, 0)
    bench.signal(transfer, YES)
    bench.work()
    assert bench.effects(capture) == 1


def test_a_refusal_has_no_effect_and_ends_the_flow(bench: Bench) -> None:
    bench.answer(hold, Rejected("no funds", code="no_funds"))
    assert bench.run(transfer, EVENT).state == "undone"
    assert bench.effects(hold) == 0


def test_a_provider_without_keys_is_in_doubt_after_some_crashes_and_never_acts_twice(bench: Bench) -> None:
    bench.answer(wire, Done(reference="w"))
    end = bench.run(wired, EVENT, crash_everywhere=True)
    assert end.state == "completed"
    assert "after bank/wire has acted" in end.in_doubt
    assert len(end.in_doubt) < end.crashes


def test_a_flow_that_asks_otherwise_after_a_crash_is_found(bench: Bench) -> None:
    with pytest.raises(AssertionError, match=r"after a crash .* the flow is .*, not completed"):
        bench.run(careless, EVENT, crash_everywhere=True)


def test_an_answer_that_the_script_lacks_is_the_test_s_mistake_and_not_a_doubt(original: Database) -> None:
    with Bench(payer, original.url) as bench, pytest.raises(AssertionError, match="bank/hold was called"):
        bench.run(transfer, EVENT)


def test_the_operations_are_the_participant_s_own_again_afterwards(original: Database) -> None:
    before = hold.run
    with Bench(payer, original.url):
        assert hold.run is not before
    assert hold.run is before


def test_a_database_with_connections_is_refused_with_what_to_do(original: Database, bench: Bench) -> None:
    with original.engine.connect(), pytest.raises(ConfigError, match="dispose of your engine first"):
        bench.run(transfer, EVENT)
    original.engine.dispose()
