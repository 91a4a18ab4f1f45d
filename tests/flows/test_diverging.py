"""Code that asks for something else than it did before is stopped before it has another effect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from onceward.errors import DuplicateStep, FlowDiverged
from onceward.flows.flow import Flow
from onceward.flows.steps import Question, Recorded, Steps
from onceward.messages import UNORDERED
from onceward.providers import Sending
from tests.flows.support import Answer, Noted, Payer, Transfer, book, request
from tests.ledger.bank import Bank, Paid, Pay, behave

Code = Callable[[Flow, Transfer], Any]


def other(session: Session, number: int) -> int:
    return book(session, number)


def one() -> int:
    return 1


def publish(flow: Flow, event: BaseModel | bytes | None = None, **changes: Any) -> None:
    flow.publish(Noted(number=1) if event is None else event, **{"topic": "noted", "key": 1, "step": "step", **changes})


CHANGES: dict[str, tuple[Code, Code]] = {
    "another function": (
        lambda flow, event: flow.transact(book, 1, step="step"),
        lambda flow, event: flow.transact(other, 1, step="step"),
    ),
    "another kind": (
        lambda flow, event: flow.transact(book, 1, step="step"),
        lambda flow, event: publish(flow),
    ),
    "another payload": (
        lambda flow, event: publish(flow),
        lambda flow, event: publish(flow, Noted(number=2)),
    ),
    "another topic": (lambda flow, event: publish(flow), lambda flow, event: publish(flow, topic="elsewhere")),
    "another key": (lambda flow, event: publish(flow), lambda flow, event: publish(flow, key=UNORDERED)),
    "another type": (lambda flow, event: publish(flow), lambda flow, event: publish(flow, type="other")),
    "a step less": (lambda flow, event: flow.transact(book, 1), lambda flow, event: None),
    "a renamed step": (
        lambda flow, event: flow.transact(book, 1),
        lambda flow, event: flow.transact(book, 1, step="renamed"),
    ),
    "another read": (
        lambda flow, event: flow.transact(book, flow.value(one)),
        lambda flow, event: flow.transact(book, flow.value(int, step="one")),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rule_11_a_changed_question_is_refused(payer: Payer, change: str) -> None:
    before, after = CHANGES[change]
    flow = twice(payer, before, after)
    assert (flow.state, flow.due_at, payer.runs) == ("blocked", None, 2), "it does not help to try again"
    ((kind, group, title),) = payer.incidents
    assert (kind, group) == ("flow_diverged", "transfer/FlowDiverged")
    assert "step" in title
    assert "FlowDiverged" in flow.error
    assert len(payer.booked) + len(payer.outbox) == 1, "nothing was done under the changed question"


LASTING: dict[str, Callable[[Flow, Payer], Any]] = {
    "call": lambda flow, waiter: flow.call(waiter.pay, Pay()),
    "transact": lambda flow, waiter: flow.transact(book, 1),
    "publish": lambda flow, waiter: publish(flow),
    "value": lambda flow, waiter: flow.value(one),
    "sleep": lambda flow, waiter: flow.sleep(timedelta(hours=1)),
    "wait": lambda flow, waiter: flow.wait(Answer),
}


@pytest.mark.parametrize("kind", LASTING)
def test_rule_11_a_recorded_step_that_is_not_asked_for_again_opens_an_incident(waiter: Payer, kind: str) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        if waiter.runs == 1:
            LASTING[kind](flow, waiter)
            raise RuntimeError("broken off")

    flow = waiter.run(code)
    if kind in ("sleep", "wait"):
        assert flow.state == "waiting"
        waiter.pass_time(timedelta(hours=1))
        waiter.deliver(Answer(number=1))
        waiter.run_due()
        flow = waiter.flow()
    assert (flow.state, waiter.runs) == ("blocked", 2)
    assert [incident[0] for incident in waiter.incidents] == ["flow_diverged"]
    assert "without the recorded step" in waiter.incidents[0][2]


def test_rule_11_a_wait_under_another_name_takes_nothing(waiter: Payer) -> None:
    """Else a message that the wait is for could be taken for another question."""
    waiter.run(lambda flow, event: flow.wait(Answer))
    waiter.code = lambda flow, event: flow.wait(Answer, step="renamed")
    waiter.deliver(Answer(number=1))
    waiter.run_due()
    assert (waiter.flow().state, waiter.rows("SELECT taken_by FROM onceward.signal")) == ("blocked", [None])


def test_a_changed_request_makes_no_call(payer: Payer) -> None:
    flow = twice(
        payer,
        lambda flow, event: flow.call(payer.pay, Pay(to="Ada")),
        lambda flow, event: flow.call(payer.pay, Pay(to="Bob")),
    )
    assert (flow.state, len(payer.bank.sent)) == ("blocked", 1)
    assert [kind for kind, *_ in payer.incidents] == ["flow_diverged"]


def test_another_operation_under_the_same_name_makes_no_call(payer: Payer) -> None:
    provider = payer.pay.provider

    @provider.operation(repeat=payer.pay.repeat)
    def refund(client: Bank, request: Pay, call: Sending) -> Paid:
        return behave(client, call)

    payer.ledger.declare()
    flow = twice(
        payer,
        lambda flow, event: flow.call(payer.pay, Pay(), step="step"),
        lambda flow, event: flow.call(refund, Pay(), step="step"),
    )
    assert (flow.state, len(payer.bank.sent)) == ("blocked", 1)
    assert [kind for kind, *_ in payer.incidents] == ["flow_diverged"]


def test_rule_11_a_renamed_call_is_not_made_a_second_time(payer: Payer) -> None:
    flow = twice(
        payer,
        lambda flow, event: flow.call(payer.pay, request(event)),
        lambda flow, event: flow.call(payer.pay, request(event), step="renamed"),
    )
    assert (flow.state, len(payer.bank.sent)) == ("blocked", 1)
    assert "it would be done twice" in payer.incidents[0][2]


def test_code_cannot_go_on_after_it_diverged(payer: Payer) -> None:
    def after(flow: Flow, event: Transfer) -> None:
        try:
            flow.transact(other, 1, step="step")
        except FlowDiverged:
            flow.transact(book, 2, step="instead")

    flow = twice(payer, lambda flow, event: flow.transact(book, 1, step="step"), after)
    assert (flow.state, payer.booked) == ("blocked", [1])
    assert [kind for kind, *_ in payer.incidents] == ["flow_diverged"]


def test_rule_11_a_step_may_be_put_in_before_those_that_are_recorded(payer: Payer) -> None:
    def after(flow: Flow, event: Transfer) -> None:
        publish(flow)
        flow.transact(book, 1)

    flow = twice(payer, lambda flow, event: flow.transact(book, 1), after)
    assert (flow.state, payer.booked, len(payer.outbox)) == ("completed", [1], 1)


class Young(BaseModel):
    """Noted, in the next release."""

    event_type: ClassVar[str] = "Noted"
    note: str = ""
    number: int
    tags: list[str] = Field(default_factory=list)
    added: str = "later"


def test_a_message_that_got_a_field_asks_the_same(payer: Payer) -> None:
    flow = twice(payer, lambda flow, event: publish(flow), lambda flow, event: publish(flow, Young(number=1)))
    assert (flow.state, len(payer.outbox)) == ("completed", 1)


def test_what_blocked_a_flow_is_closed_when_a_person_has_let_it_go_on_and_it_ends(payer: Payer) -> None:
    twice(payer, lambda flow, event: flow.transact(book, 1), lambda flow, event: None)
    assert payer.incidents
    payer.code = lambda flow, event: flow.transact(book, 1)
    payer.unblock()
    payer.run_due()
    flow = payer.flow()
    assert (flow.state, flow.error, payer.incidents) == ("completed", None, [])


NAMES = st.text("abc", min_size=1, max_size=2)
QUESTIONS = st.builds(lambda number: Question.of("transact", str(number)), st.integers(0, 5))
RUNS = st.dictionaries(NAMES, QUESTIONS)


@given(RUNS, st.integers(0, 20))
def test_the_same_questions_never_diverge_however_far_the_run_before_came(
    asked: dict[str, Question], reached: int
) -> None:
    recorded = {name: Recorded(question) for name, question in list(asked.items())[:reached]}
    steps = Steps(recorded)
    for name, question in asked.items():
        assert (steps.ask(name, question) is not None) == (name in recorded)
    steps.finish()


@given(RUNS, RUNS)
def test_a_run_that_ends_well_has_asked_for_everything_that_is_recorded(
    before: dict[str, Question], now: dict[str, Question]
) -> None:
    steps = Steps({name: Recorded(question) for name, question in before.items()})
    done = {(name, question.fingerprint) for name, question in before.items()}
    try:
        for name, question in now.items():
            if steps.ask(name, question) is None:
                done.add((name, question.fingerprint))
        steps.finish()
    except FlowDiverged:
        return
    assert done == {(name, question.fingerprint) for name, question in now.items()}


@given(st.lists(NAMES))
def test_rule_11_a_name_serves_once_in_a_run(names: list[str]) -> None:
    steps = Steps({})
    try:
        for number, name in enumerate(names):
            steps.ask(name, Question.of("transact", str(number)))
    except DuplicateStep:
        assert len(set(names)) < len(names)
    else:
        assert len(set(names)) == len(names) == steps.number


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=4),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=4),
)
def test_questions_are_equal_only_if_all_their_parts_are(left: list[str | None], right: list[str | None]) -> None:
    assert (Question.of("call", *left) == Question.of("call", *right)) == (left == right)


def twice(payer: Payer, before: Code, after: Code) -> Any:
    """Run `before`, have the run broken off at its end, and run `after`."""

    def code(flow: Flow, event: Transfer) -> None:
        if payer.runs == 1:
            before(flow, event)
            raise RuntimeError("broken off")
        after(flow, event)

    return payer.run(code)
