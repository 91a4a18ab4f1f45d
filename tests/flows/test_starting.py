"""Flows start in somebody's transaction, once per key."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from onceward.database import sqlalchemy_url
from onceward.errors import ConfigError, StartError
from onceward.flows.definition import start
from onceward.flows.flow import Flow
from onceward.ids import uuid7
from onceward.inbox import Inbox, Record
from onceward.participant import Participant
from tests.consumer.support import AT_ONCE, NEVER, record
from tests.flows.support import TOPIC, Payer, Transfer, flow_id
from tests.support import eventually


def test_a_flow_starts_with_its_transaction(payer: Payer) -> None:
    with Session(payer.engine) as session, session.begin():
        assert session.scalar(start(payer.transfer, Transfer(number=1))) == flow_id(1)
    with payer.engine.begin() as connection:
        connection.execute(start(payer.transfer, Transfer(number=2)))
    assert payer.states == {"running": 2}
    assert payer.flow(2).key == "2"


def test_a_flow_goes_with_its_transaction(payer: Payer) -> None:
    with Session(payer.engine) as session:
        session.execute(start(payer.transfer, Transfer(number=1)))
    assert payer.states == {}


@asynccontextmanager
async def asynchronous(payer: Payer) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(sqlalchemy_url(payer.url))
    yield engine
    await engine.dispose()


def test_a_flow_starts_in_asynchronous_transactions(payer: Payer) -> None:
    async def starts() -> None:
        async with asynchronous(payer) as engine:
            async with AsyncSession(engine) as session, session.begin():
                await session.execute(start(payer.transfer, Transfer(number=1)))
            connection: AsyncConnection
            async with engine.begin() as connection:
                await connection.execute(start(payer.transfer, Transfer(number=2)))

    asyncio.run(starts())
    assert payer.states == {"running": 2}
    assert payer.run_due() == 2
    assert payer.states == {"completed": 2}


def test_the_first_start_of_a_key_stands(payer: Payer) -> None:
    payer.start(1, amount="5.00")
    payer.run_due()
    with payer.engine.begin() as connection:
        assert connection.execute(start(payer.transfer, Transfer(number=1, amount="6.00"))).first() is None
    assert payer.run_due() == 0
    assert b"5.00" in bytes(payer.flow().input)


def test_two_starts_at_a_time_are_one(payer: Payer) -> None:
    """Named interleaving: the second start waits for the first, which has not committed, and then changes nothing."""
    started: list[UUID | None] = []

    def second() -> None:
        with payer.engine.begin() as connection:
            started.append(connection.scalar(start(payer.transfer, Transfer(number=1, amount="6.00"))))

    with payer.engine.begin() as connection:
        connection.execute(start(payer.transfer, Transfer(number=1)))
        other = Thread(target=second)
        other.start()
        eventually(lambda: payer.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    other.join(10)
    assert started == [None]
    assert b"5.00" in bytes(payer.flow().input)


@pytest.fixture
def inbox(payer: Payer) -> Inbox:
    return Inbox(payer.participant, payer.engine, "payer", retries=AT_ONCE)


def incoming(number: int, value: bytes, message_id: UUID | None = None) -> Record:
    return replace(record(number, value=value, message_id=message_id, type="Transfer"), topic=TOPIC)


def message(number: int, amount: str = "5.00", message_id: UUID | None = None) -> Record:
    return incoming(number, Transfer(number=number, amount=amount).model_dump_json().encode(), message_id)


def test_a_message_starts_a_flow_in_the_transaction_of_the_inbox(payer: Payer, inbox: Inbox) -> None:
    message_id = uuid7()
    inbox.take([message(1, message_id=message_id)], NEVER)
    assert payer.flow().message_id == message_id
    assert payer.rows("SELECT state FROM onceward.inbox") == ["done"]
    assert payer.runs == 0, "a flow never runs in the consumer's transaction"
    assert payer.participant.flows.started.rings == 1
    payer.run_due()
    assert payer.flow().state == "completed"


def test_a_message_that_comes_twice_starts_one_flow(payer: Payer, inbox: Inbox) -> None:
    message_id = uuid7()
    for _ in range(2):
        inbox.take([message(1, message_id=message_id)], NEVER)
    assert payer.states == {"running": 1}


@pytest.mark.parametrize(("amount", "warned"), [("5.00", False), ("6.00", True)])
def test_another_message_of_the_same_key_changes_nothing(
    payer: Payer, inbox: Inbox, caplog: pytest.LogCaptureFixture, amount: str, warned: bool
) -> None:
    inbox.take([message(1)], NEVER)
    with caplog.at_level(logging.WARNING, "onceward.flows"):
        inbox.take([message(1, amount)], NEVER)
    assert ("the first one stands" in caplog.text) is warned
    assert "6.00" not in caplog.text
    assert payer.states == {"running": 1}
    assert b"5.00" in bytes(payer.flow().input)
    assert payer.rows("SELECT state FROM onceward.inbox") == ["done", "done"]


@pytest.mark.parametrize("number", ["no", "1e400"])
def test_a_message_that_is_no_start_is_parked(payer: Payer, inbox: Inbox, number: str) -> None:
    inbox.take([incoming(1, b'{"number": "%s"}' % number.encode())], NEVER)
    assert payer.states == {}
    assert payer.rows("SELECT state FROM onceward.inbox") == ["parked"]


class Keyed(BaseModel):
    key: Any


@pytest.fixture
def keyed() -> Any:
    participant = Participant("keyed")

    @participant.flow("keyed", Keyed, key=lambda event: event.key)
    def keyed(flow: Flow, event: Keyed) -> None: ...

    return keyed


@pytest.mark.parametrize("key", [None, "", "a\0b", "x" * 256, b"bytes", 1.5, True, "two\nlines"])
def test_a_key_that_is_none_is_refused(keyed: Any, key: Any) -> None:
    with pytest.raises(StartError, match="key"):
        start(keyed, Keyed(key=key))


@pytest.mark.parametrize("key", ["a", 0, -5, uuid4(), "ключ", "x" * 255])
def test_keys_are_text_numbers_and_uuids(keyed: Any, key: Any) -> None:
    row = keyed.row(Keyed(key=key))
    assert row["key"] == str(key)
    assert row["id"] == keyed.row(Keyed(key=key))["id"]


def test_an_event_of_another_model_is_refused(payer: Payer) -> None:
    with pytest.raises(StartError, match="must be Transfer, is Keyed"):
        start(payer.transfer, Keyed(key=1))  # type: ignore[misc]  # what is under test


class Aliased(BaseModel):
    number: int = Field(alias="theNumber")


class OneWay(BaseModel):
    number: int = Field(validation_alias="in", serialization_alias="out")


def test_an_event_is_stored_as_its_model_reads_it_again() -> None:
    participant = Participant("aliased")
    aliased = participant.flow("a", Aliased, key=lambda event: event.number)(lambda flow, event: None)
    assert aliased.row(Aliased(theNumber=1))["input"] == b'{"theNumber":1}'
    one_way = participant.flow("b", OneWay, key=lambda event: event.number, name="b")(lambda flow, event: None)
    with pytest.raises(StartError, match="read again"):
        start(one_way, OneWay.model_validate({"in": 1}))


def test_declarations_that_cannot_be_are_refused() -> None:
    participant = Participant("declared")

    def code(flow: Flow, event: Transfer) -> None: ...

    async def asynchronous(flow: Flow, event: Transfer) -> None: ...

    participant.flow("a", Transfer, key=lambda event: event.number)(code)
    with pytest.raises(ConfigError, match="is handled by flow code already"):
        participant.flow("a", Transfer, key=lambda event: event.number, name="b")(code)
    with pytest.raises(ConfigError, match="'code' is the name of two flows"):
        participant.flow("b", Transfer, key=lambda event: event.number)(code)
    with pytest.raises(ConfigError, match="is asynchronous"):
        participant.flow("c", Transfer, key=lambda event: event.number)(asynchronous)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must take"):
        participant.flow("d", Transfer, key=lambda event: event.number)(lambda flow: None)  # type: ignore[arg-type, misc]
    with pytest.raises(ConfigError, match="must be a pydantic model"):
        participant.flow("e", bytes, key=lambda event: 1, name="e")(code)  # type: ignore[type-var, arg-type]
    with pytest.raises(ConfigError, match="topic"):
        participant.flow("a b", Transfer, key=lambda event: event.number, name="f")(code)


def test_a_flow_is_still_its_function(payer: Payer) -> None:
    called: list[Any] = []
    participant = Participant("callable")
    flow = participant.flow("a", Transfer, key=lambda event: event.number, name="a")(
        lambda flow, event: called.append(event)
    )
    flow(None, Transfer(number=1))  # type: ignore[arg-type]  # it is not used
    assert called == [Transfer(number=1)]
    assert flow_id(1) != flow.row(Transfer(number=1))["id"]


def test_other_participants_and_flows_have_other_ids() -> None:
    ids = set()
    for participant in ("a", "b"):
        for name in ("x", "y"):
            flow = Participant(participant).flow("t", Transfer, key=lambda event: event.number, name=name)(
                lambda flow, event: None
            )
            ids |= {flow.row(Transfer(number=number))["id"] for number in (1, 2)}
    assert len(ids) == 8


def test_the_bell_wakes_those_that_wait_and_is_not_missed(payer: Payer) -> None:
    bell = payer.participant.flows.started
    heard = bell.rings
    assert not bell.wait(heard, 0)
    bell.ring()
    assert bell.wait(heard, 0), "it rang between the look and the wait"
    heard = bell.rings
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bell.wait, heard, 30)
        bell.ring()
        assert waiting.result(10)
