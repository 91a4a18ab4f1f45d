"""What a flow's error leads to: another run later, or a person."""

import logging
from asyncio import CancelledError
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from onceward.backoff import Backoff
from onceward.errors import BadStep, ConfigError, LeaseLost, Suspended
from onceward.flows.flow import Flow
from onceward.flows.results import Results
from tests.flows.support import Noted, Payer, Transfer, book, request
from tests.ledger import bank as manners
from tests.ledger.bank import Bank, Pay, provider_of

Code = Callable[[Flow, Transfer], Any]
SECRET = "IBAN DE00 1234"


def fail(flow: Flow, event: Transfer) -> None:
    raise RuntimeError(SECRET)


def test_a_failed_run_is_repeated_later_and_later_and_then_left_to_a_person(payer: Payer) -> None:
    waits = Backoff(timedelta(seconds=100), timedelta(seconds=300))
    payer.code = fail
    payer.start()
    for failures, (least, most) in enumerate([(50, 100), (100, 200), (150, 300)], start=1):
        assert payer.run_due(tries=4, waits=waits) == 1
        flow = payer.flow()
        assert (flow.state, flow.failures, payer.incidents) == ("running", failures, [])
        (wait,) = payer.rows("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM onceward.flow")
        assert least - 10 < wait <= most
        payer.expire_leases()
    payer.run_due(tries=4, waits=waits)
    flow = payer.flow()
    assert (flow.state, flow.failures, flow.due_at, payer.runs) == ("blocked", 4, None, 4)
    ((kind, group, title),) = payer.incidents
    assert (kind, group) == ("flow_error", "transfer/RuntimeError")
    assert title.startswith("Flow transfer stands still: RuntimeError in _transfer")


def test_the_traceback_is_kept_and_no_payload_is_logged(payer: Payer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "onceward"):
        flow = payer.run(fail)
    assert SECRET in flow.error
    assert "in fail" in flow.error
    assert SECRET not in caplog.text
    assert SECRET not in payer.incidents[0][2]
    assert caplog.text.count("RuntimeError") == 3


def test_a_run_that_ends_well_forgets_the_failures_before_it(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        if payer.runs < 3:
            raise RuntimeError
        flow.call(payer.pay, request(event))
        if payer.runs < 6:
            raise RuntimeError

    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    assert payer.run(code).state == "waiting"
    assert payer.flow().failures == 0
    payer.ledger.sweep()
    payer.run_due()
    assert (payer.flow().state, payer.runs) == ("completed", 6)


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "booked"
    id: Mapped[int] = mapped_column(primary_key=True)


def unreadable(session: Session) -> Row:
    return Row()


def untyped(session: Session):  # type: ignore[no-untyped-def]  # what is under test
    book(session, 1)
    return object()


def lying(session: Session) -> int:
    book(session, 1)
    return "text"  # type: ignore[return-value]  # what is under test


def with_nul(session: Session) -> str:
    book(session, 1)
    return "a\0b"


def not_a_number(session: Session) -> float:
    book(session, 1)
    return float("nan")


def perhaps_a_number(session: Session) -> float | None:
    book(session, 1)
    return float("inf")


async def asynchronous(session: Session) -> None:
    pass


PROGRAMMING_ERRORS: dict[str, tuple[str, Code]] = {
    "the same name twice": ("DuplicateStep", lambda flow, event: [flow.transact(book, n) for n in (1, 2)]),
    "no name": ("BadStep", lambda flow, event: flow.transact(book, 1, step="")),
    "a name with a NUL": ("BadStep", lambda flow, event: flow.transact(book, 1, step="a\0")),
    "a long name": ("BadStep", lambda flow, event: flow.transact(book, 1, step="x" * 256)),
    "a function without a name": ("BadStep", lambda flow, event: flow.transact(partial(book, number=1))),
    "a result type that is no JSON": ("BadStep", lambda flow, event: flow.transact(unreadable)),
    "a result that is no JSON": ("BadStep", lambda flow, event: flow.transact(untyped)),
    "a result of another type": ("BadStep", lambda flow, event: flow.transact(lying)),
    "a result with a NUL": ("BadStep", lambda flow, event: flow.transact(with_nul)),
    "a result that is no number": ("BadStep", lambda flow, event: flow.transact(not_a_number)),
    "a result that would be read as none": ("BadStep", lambda flow, event: flow.transact(perhaps_a_number)),
    "an asynchronous function": ("BadStep", lambda flow, event: flow.transact(asynchronous)),
    "an unknown provider": ("ConfigError", lambda flow, event: flow.call(provider_of(Bank())[1], request(event))),
    "a message without a key": (
        "PublishError",
        lambda flow, event: flow.publish(Noted(number=1), topic="noted", key=None),  # type: ignore[arg-type]
    ),
    "a message for no topic": (
        "PublishError",
        lambda flow, event: flow.publish(Noted(number=1), topic="a b", key=1),
    ),
}


@pytest.mark.parametrize("mistake", PROGRAMMING_ERRORS)
def test_a_programming_error_is_left_to_a_person_at_once(payer: Payer, mistake: str) -> None:
    error, code = PROGRAMMING_ERRORS[mistake]
    flow = payer.run(code)
    assert (flow.state, payer.runs) == ("blocked", 1)
    assert payer.incidents[0][:2] == ("flow_error", f"transfer/{error}")
    assert payer.booked in ([], [1] if error == "DuplicateStep" else [])
    assert payer.outbox == []


def test_a_step_within_a_step_is_refused(payer: Payer) -> None:
    """The inner one would wait for the transaction of the outer one, for ever."""

    def outer(session: Session, flow: Flow) -> None:
        try:
            flow.call(payer.pay, Pay())
        except BadStep:
            book(session, 99)

    flow = payer.run(lambda flow, event: flow.transact(outer, flow))
    assert (flow.state, payer.runs, payer.calls, payer.booked) == ("blocked", 1, [], [])
    assert "a step within a step" in payer.incidents[0][2]


@pytest.mark.parametrize("error", [Suspended, LeaseLost])
def test_code_cannot_suspend_itself(payer: Payer, error: type[BaseException]) -> None:
    """Nothing would ever wake it."""

    def code(flow: Flow, event: Transfer) -> None:
        raise error

    flow = payer.run(code)
    assert (flow.state, payer.runs) == ("blocked", 1)
    assert f"raised {error.__name__} by itself" in payer.incidents[0][2]


def test_an_error_of_a_local_step_cannot_be_taken_for_an_answer(payer: Payer) -> None:
    """Its transaction is undone, so the next run asks again and may go another way: answers have to be returned."""

    def refuse(session: Session) -> None:
        raise ValueError("out of stock")

    def code(flow: Flow, event: Transfer) -> None:
        try:
            flow.transact(refuse)
        except ValueError:
            flow.transact(book, 99)

    flow = payer.run(code)
    assert (flow.state, payer.booked) == ("blocked", [])
    assert "out of stock" in flow.error


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, CancelledError])
def test_code_that_would_end_the_worker_ends_only_its_run(payer: Payer, error: type[BaseException]) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        raise error

    assert payer.run(code).state == "blocked"
    assert payer.runs == 3


def test_a_database_error_in_a_local_step_is_an_error_of_the_flow(payer: Payer) -> None:
    def divide(session: Session) -> None:
        session.execute(text("SELECT 1 / :zero"), {"zero": 0})

    flow = payer.run(lambda flow, event: flow.transact(divide))
    assert (flow.state, flow.failures) == ("blocked", 3)
    assert "division by zero" in flow.error


def test_an_input_that_the_model_no_longer_takes_is_left_to_a_person(payer: Payer) -> None:
    payer.start()
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET input = :input"), {"input": b'{"number": "IBAN"}'})
    payer.run_due()
    flow = payer.flow()
    assert (flow.state, payer.runs) == ("blocked", 0)
    assert "number" in flow.error
    assert "IBAN" not in flow.error


def test_a_failing_flow_does_not_keep_others_from_running(payer: Payer) -> None:
    payer.code = lambda flow, event: fail(flow, event) if event.number == 1 else None
    for number in (1, 2, 3):
        payer.start(number)
    payer.run_due(waits=Backoff(timedelta(hours=1), timedelta(hours=1)))
    assert [payer.flow(number).state for number in (1, 2, 3)] == ["running", "completed", "completed"]


@pytest.mark.parametrize("setting", [{"tries": 0}, {"lease": timedelta(0)}])
def test_settings_that_cannot_be_are_refused(payer: Payer, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        payer.runner(**setting)


class Answer(BaseModel):
    amount: Decimal
    note: str | None = None


def annotated(hint: Any) -> Callable[[Session], Any]:
    def function(session: Session) -> Any: ...

    function.__annotations__["return"] = hint
    return function


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Answer, Answer(amount=Decimal("1.10"))),
        (Decimal, Decimal("1.10")),
        (tuple[int, str], (1, "a")),
        (dict[str, list[int]], {"bb": [1], "a": []}),
        (None, None),
        ("Answer | None", None),
        (timedelta, timedelta(days=1)),
        (str, r"a\u0000b"),
        (Any, {"a": [1, 2.5, None]}),
    ],
)
def test_results_come_back_as_what_they_were(hint: Any, value: Any) -> None:
    results = Results(annotated(hint))
    assert results.load(results.dump(value)) == value


def test_first_and_later_runs_get_the_same_result(payer: Payer) -> None:
    """Even where it is not annotated, and so comes back as plain JSON, with keys in the order of PostgreSQL."""
    seen: list[Any] = []

    def answer(session: Session):  # type: ignore[no-untyped-def]  # what is under test
        return {"long": Answer(amount=Decimal(1)), "b": (1, 2)}

    def code(flow: Flow, event: Transfer) -> None:
        seen.append(list(flow.transact(answer).items()))
        if payer.runs == 1:
            raise RuntimeError

    payer.run(code)
    assert seen == [[("b", [1, 2]), ("long", {"amount": "1", "note": None})]] * 2


def test_the_types_of_parameters_may_be_unknown_at_run_time() -> None:
    namespace: dict[str, Any] = {}
    exec("def function(session: 'Session', other: 'OnlyForTypeCheckers') -> 'int': ...", namespace)
    assert Results(namespace["function"]).dump(1) == "1"
    exec("def function(session: 'Session') -> 'OnlyForTypeCheckers': ...", namespace)
    with pytest.raises(BadStep, match="type that function returns"):
        Results(namespace["function"])


def test_rule_3_the_bank_s_answer_outlives_business_rows_that_are_refused(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        flow.transact(book, event.number)

    with payer.admin.begin() as connection:
        connection.execute(text("ALTER TABLE booked ADD CONSTRAINT nothing_is_booked CHECK (number < 0)"))
    assert payer.run(code).state == "blocked"
    assert (payer.calls, payer.booked) == ([("pay", "succeeded")], [])
    with payer.admin.begin() as connection:
        connection.execute(text("ALTER TABLE booked DROP CONSTRAINT nothing_is_booked"))
    payer.unblock()
    payer.run_due()
    assert (payer.flow().state, payer.booked, len(payer.bank.sent)) == ("completed", [1], 1)
