"""The ledger without flows: a result, or an error that says what is known."""

import asyncio
from collections.abc import Iterator
from threading import Event

import pytest
from sqlalchemy import create_engine, text

from onceward.database import sqlalchemy_url
from onceward.errors import CallFailed, InDoubt, KeyConflict
from onceward.participant import Participant
from onceward.providers import Never, Operation, Sending
from tests.conftest import Database
from tests.ledger import bank as manners
from tests.ledger.bank import Bank, Paid, Pay, provider_of
from tests.ledger.conftest import Books


class Service:
    """A service that uses the ledger and nothing else, as the role that participants have."""

    def __init__(self, database: Database) -> None:
        self.bank = Bank(replays=False)
        provider, self.pay = provider_of(self.bank, Never(), in_flight=2)
        self.payer = Participant("payer", [provider])
        self.engine = create_engine(sqlalchemy_url(database.participant_url))
        self.books = Books(database)

    def call(self, key: str = "1", request: Pay | None = None) -> Paid:
        pay: Operation[Bank, Pay, Paid] = self.pay
        return self.payer.call(self.engine, pay, request or Pay(), key=key, ref=f"order {key}")


@pytest.fixture
def service(emptied: Database) -> Iterator[Service]:
    service = Service(emptied)
    yield service
    service.engine.dispose()


def test_it_returns_the_result_and_sends_nothing_a_second_time(service: Service) -> None:
    assert service.call().reference == "ref-1"
    assert service.call() == service.call()
    assert (len(service.bank.sent), service.books.call().ref) == (1, "order 1")


def test_a_refusal_raises_what_the_provider_said(service: Service) -> None:
    service.bank.manners = [manners.refuse]
    for _ in range(2):
        with pytest.raises(CallFailed, match="no funds") as raised:
            service.call()
        assert raised.value.code == "no_funds"


def test_a_call_in_doubt_raises_and_is_never_made_again(service: Service) -> None:
    service.bank.manners = [manners.lose_the_reply]
    for _ in range(2):
        with pytest.raises(InDoubt, match="bank/pay is in_doubt") as raised:
            service.call()
        assert raised.value.state == "in_doubt"
    assert service.bank.worst == 1


def test_a_call_that_waits_raises_and_says_that_it_has_had_no_effect_yet(service: Service) -> None:
    service.bank.manners = [manners.throttle]
    with pytest.raises(InDoubt, match="bank/pay is pending: too many") as raised:
        service.call()
    assert (raised.value.state, raised.value.call_id) == ("pending", service.books.call().id)


def test_the_same_key_with_another_request_is_refused(service: Service) -> None:
    service.call()
    with pytest.raises(KeyConflict):
        service.call(request=Pay(to="Bob"))
    assert len(service.bank.sent) == 1


def test_what_the_caller_has_open_is_neither_needed_nor_waited_for(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        service.call()
        connection.rollback()
    assert service.books.call().state == "succeeded"


def test_asynchronous_code_calls_in_threads_and_is_not_held_up(service: Service) -> None:
    together = Event()
    inside: list[str] = []

    def wait_for_the_other(bank: Bank, sending: Sending) -> Paid:
        inside.append(sending.key)
        if len(inside) == 2:
            together.set()
        assert together.wait(30)
        return bank.apply(sending)

    service.bank.manners = [wait_for_the_other] * 2

    async def main() -> list[Paid]:
        return await asyncio.gather(*(asyncio.to_thread(service.call, key) for key in ("a", "b")))

    assert [paid.reference for paid in asyncio.run(main())] == ["ref-a", "ref-b"]
