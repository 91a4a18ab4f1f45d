"""A flow is run until it ends, and what it has done is not done again."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from onceward.errors import CallFailed
from onceward.flows.flow import Flow
from onceward.ids import derived
from onceward.outbox import publish
from tests.flows.support import Noted, Payer, Transfer, book, flow_id, request
from tests.ledger import bank as manners


def whole(payer: Payer) -> Any:
    """A flow with a step of each kind; returns the code and what it saw in each run."""
    seen: list[Any] = []

    def code(flow: Flow, event: Transfer) -> None:
        paid = flow.call(payer.pay, request(event), ref=str(event.number))
        booked = flow.transact(book, event.number)
        flow.publish(Noted(number=booked), topic="noted", key=event.number)
        seen.append((paid.reference, booked))
        flow.transact(book, event.number + 1, step="last")

    return code, seen


def test_whoever_is_frozen_in_a_local_step_keeps_the_flow_from_nobody_for_ever(payer: Payer) -> None:
    limits: list[Any] = []

    def look(session: Session) -> None:
        limits.append(session.connection().exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar())

    payer.run(lambda flow, _: flow.transact(look))
    assert limits == ["5min"]


def test_a_flow_does_its_steps_and_is_completed(payer: Payer) -> None:
    code, seen = whole(payer)
    flow = payer.run(code)
    assert (flow.state, flow.due_at, flow.failures, flow.error, flow.epoch) == ("completed", None, 0, None, 1)
    assert flow.ended_at is not None
    assert payer.steps == ["book", "Noted", "last"]
    assert payer.calls == [("pay", "succeeded")]
    assert payer.booked == [1, 2]
    assert payer.outbox == [(derived(str(flow.id), "Noted"), "noted", "1", "Noted")]
    assert payer.bank.worst == 1
    assert payer.runs == len(seen) == 1
    assert payer.run_due() == 0


@pytest.mark.parametrize("broken", range(4))
def test_a_run_that_breaks_after_any_step_is_repeated_without_a_second_effect(payer: Payer, broken: int) -> None:
    """Named interleaving: the run ends right after its n-th step; the next run skips what is done."""

    def code(flow: Flow, event: Transfer) -> None:
        steps: list[Callable[[], object]] = [
            lambda: flow.call(payer.pay, request(event)).reference,
            lambda: flow.transact(book, event.number),
            lambda: flow.publish(Noted(number=1), topic="noted", key=1),
            lambda: flow.publish(b"raw", topic="noted", key=1, type="raw", step="second"),
        ]
        results.append([])
        for number, step in enumerate(steps):
            results[-1].append(step())
            if number == broken and payer.runs == 1:
                raise RuntimeError("broken off")

    results: list[list[Any]] = []
    flow = payer.run(code)
    assert (flow.state, payer.runs) == ("completed", 2)
    assert results[0] == results[1][: broken + 1]
    assert payer.booked == [1]
    assert len(payer.outbox) == 2
    assert payer.bank.worst == 1


def test_the_key_of_a_call_is_the_same_whenever_and_wherever_it_is_made(payer: Payer) -> None:
    payer.run(lambda flow, event: flow.call(payer.pay, request(event)))
    assert payer.rows("SELECT key FROM onceward.call") == [str(derived(str(flow_id(1)), "pay", "1"))]


def test_flows_of_other_keys_do_not_share_steps(payer: Payer) -> None:
    code, _ = whole(payer)
    for number in (1, 2, 3):
        assert payer.run(code, number=number).state == "completed"
    assert payer.booked == [1, 2, 2, 3, 3, 4]
    assert len({message_id for message_id, *_ in payer.outbox}) == 3


def test_a_refused_call_is_a_failure_that_the_code_handles(payer: Payer) -> None:
    payer.bank.manners = [manners.refuse]
    failures: list[CallFailed] = []

    def code(flow: Flow, event: Transfer) -> None:
        try:
            flow.call(payer.pay, request(event))
        except CallFailed as failure:
            failures.append(failure)
            flow.transact(book, 99)
        if payer.runs == 1:
            raise RuntimeError

    assert payer.run(code).state == "completed"
    assert [(failure.code, failure.text) for failure in failures] == [("no_funds", "no funds")] * 2
    assert len(payer.bank.sent) == 1
    assert payer.booked == [99]


def test_a_local_step_commits_with_its_messages_or_not_at_all(payer: Payer) -> None:
    def note(session: Session, number: int) -> None:
        book(session, number)
        session.execute(publish(Noted(number=number), topic="noted", key=number))
        if payer.runs == 1:
            raise RuntimeError

    assert payer.run(lambda flow, event: flow.transact(note, 7)).state == "completed"
    assert payer.runs == 2
    assert (payer.booked, len(payer.outbox), payer.steps) == ([7], 1, ["note"])


def test_a_local_step_cannot_end_its_transaction(payer: Payer) -> None:
    def commit(session: Session) -> None:
        book(session, 1)
        session.commit()

    flow = payer.run(lambda flow, event: flow.transact(commit))
    assert (flow.state, payer.booked, payer.steps) == ("blocked", [], [])
    assert "TransactionLent" in flow.error


def test_loops_name_their_steps(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        for number in range(3):
            assert flow.transact(book, number, step=f"book-{number}") == number * 10
        if payer.runs < 3:
            raise RuntimeError

    assert payer.run(code).state == "completed"
    assert payer.steps == ["book-0", "book-1", "book-2"]
    assert payer.booked == [0, 1, 2]


def test_a_message_of_a_flow_is_the_same_message_after_the_record_was_lost(payer: Payer) -> None:
    """As after a restore from an older backup: the inboxes of others have to know the message again."""
    code, _ = whole(payer)
    payer.run(code)
    (first,) = payer.outbox
    with payer.admin.begin() as connection:
        connection.exec_driver_sql("TRUNCATE onceward.outbox, onceward.flow CASCADE")
    payer.run(code)
    assert payer.outbox == [first]
    assert len(payer.bank.effects) == 1, "the call went out under the same key"
