"""Times that a flow lets pass, and what it reads from outside: both are kept, so that each run sees the same."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from onceward.flows.flow import Flow
from tests.flows.support import Noted, Payer, Transfer, book, request
from tests.ledger.bank import Pay

HOUR = timedelta(hours=1)


def test_a_flow_sleeps_for_its_time_and_no_longer(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        flow.transact(book, 1)
        flow.sleep(2 * HOUR)
        flow.transact(book, 2, step="second")

    assert payer.run(code).state == "waiting"
    assert payer.run_due() == 0, "a sleeping flow is nobody's work"
    payer.pass_time(HOUR)
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET due_at = clock_timestamp()"))
    payer.run_due()
    assert payer.flow().state == "waiting", "it was woken too early"
    assert payer.rows(
        "SELECT f.due_at = s.until AND s.until < clock_timestamp() + interval '1 h'"
        " FROM onceward.flow f JOIN onceward.flow_step s ON s.flow_id = f.id WHERE s.kind = 'sleep'"
    ) == [True], "its time counts from its beginning"
    payer.pass_time(HOUR)
    assert payer.run_due() == 1
    assert (payer.flow().state, payer.booked, payer.steps) == ("completed", [1, 2], ["book", "sleep", "second"])


def test_a_flow_that_waits_is_due_at_its_end_only(payer: Payer) -> None:
    """Thousands that wait cost nothing: nobody looks at them, whatever time passes before theirs."""
    for number in range(20):
        payer.run(lambda flow, event: flow.sleep(HOUR), number=number)
    assert payer.states == {"waiting": 20}
    payer.pass_time(HOUR - timedelta(minutes=1))
    assert payer.run_due() == 0
    payer.pass_time(timedelta(minutes=1))
    assert payer.run_due() == 20
    assert payer.states == {"completed": 20}


def test_a_value_is_read_once_and_every_run_gets_the_same(payer: Payer) -> None:
    read: list[str] = []
    seen: list[Any] = []

    def rate(currency: str) -> Decimal:
        read.append(currency)
        return Decimal(len(read)) / 4

    def code(flow: Flow, event: Transfer) -> None:
        seen.append(flow.value(rate, "EUR"))
        seen.append(flow.value(rate, "CHF", step="francs"))
        if payer.runs < 3:
            raise RuntimeError("broken off")

    assert payer.run(code).state == "completed"
    assert read == ["EUR", "CHF"]
    assert seen == [Decimal("0.25"), Decimal("0.5")] * 3
    assert payer.rows("SELECT kind, step, result::text FROM onceward.flow_step ORDER BY seq") == [
        ("value", "rate", '"0.25"'),
        ("value", "francs", '"0.5"'),
    ]


def test_a_value_may_be_nothing(payer: Payer) -> None:
    def nothing() -> int | None:
        return None

    seen: list[Any] = []

    def code(flow: Flow, event: Transfer) -> None:
        seen.append(flow.value(nothing))
        if payer.runs == 1:
            raise RuntimeError("broken off")

    assert payer.run(code).state == "completed"
    assert seen == [None, None]


def test_a_value_is_read_in_no_transaction(payer: Payer) -> None:
    """A slow read holds no lock: the flow can be told something meanwhile, and another worker can take it over."""

    def slow() -> int:
        with payer.admin.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            connection.execute(text("UPDATE onceward.flow SET signals = signals + 1"))
        return 7

    assert payer.run(lambda flow, event: flow.transact(book, flow.value(slow))).state == "completed"
    assert payer.booked == [7]


def test_an_error_of_a_read_ends_the_run_and_it_is_repeated(payer: Payer) -> None:
    def flaky() -> int:
        if payer.runs == 1:
            raise ConnectionResetError
        return 7

    def code(flow: Flow, event: Transfer) -> None:
        try:
            number = flow.value(flaky)
        except ConnectionResetError:
            number = 99
            flow.transact(book, number)
        flow.transact(book, number)

    assert payer.run(code).state == "completed"
    assert (payer.runs, payer.booked) == (2, [7])


def unreadable() -> object:
    return object()


def with_nul() -> str:
    return "a\0b"


def lying() -> int:
    return "text"  # type: ignore[return-value]  # what is under test


@pytest.mark.parametrize("function", [unreadable, with_nul, lying])
def test_a_value_that_cannot_be_kept_is_left_to_a_person_at_once(payer: Payer, function: Any) -> None:
    flow = payer.run(lambda flow, event: flow.value(function))
    assert (flow.state, payer.steps) == ("blocked", [])


def test_a_read_may_not_use_the_flow(payer: Payer) -> None:
    def inner(flow: Flow) -> int:
        flow.call(payer.pay, Pay())
        return 1

    assert payer.run(lambda flow, event: flow.value(inner, flow)).state == "blocked"
    assert (payer.calls, payer.steps) == ([], [])
    assert "a step within a step" in payer.incidents[0][2]


@pytest.mark.parametrize("step", [lambda flow: flow.sleep(HOUR), lambda flow: flow.value(one)])
def test_a_worker_that_lost_its_flow_keeps_no_value_and_begins_no_sleep(
    payer: Payer, step: Callable[[Flow], object]
) -> None:
    went_on: list[int] = []

    def code(flow: Flow, event: Transfer) -> None:
        run = payer.runs
        if run == 1:
            payer.expire_leases()
            assert payer.runner("other").run_once()
        step(flow)
        went_on.append(run)

    flow = payer.run(code)
    assert (flow.worker, len(payer.steps)) == ("other", 1)
    assert 1 not in went_on


def one() -> int:
    return 1


def test_all_kinds_of_steps_keep_their_order(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        flow.value(one)
        flow.call(payer.pay, request(event))
        flow.publish(Noted(number=1), topic="noted", key=1)
        flow.transact(book, 1)

    payer.run(code)
    assert payer.rows("SELECT seq FROM onceward.flow_step ORDER BY seq") == [1, 3, 4]
    assert payer.rows("SELECT seq FROM onceward.call") == [2]
