"""What a flow's calls did is undone in reverse order, by calls under the same rules, and nothing past its pivot."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from onceward.errors import CallFailed, ConfigError, UndoFlow
from onceward.flows.flow import Flow
from onceward.ids import derived
from onceward.ledger import undoing
from onceward.ledger.store import sql
from onceward.providers import Always, Provider, Sending
from tests.flows.support import Payer, Release, Transfer, book, flow_id, request
from tests.ledger import bank as manners
from tests.ledger.bank import Bank, Paid, Pay, behave
from tests.support import eventually

Code = Callable[[Flow, Transfer], Any]
HOUR = timedelta(hours=1)
SECRET = "IBAN DE00 1234"


def pay_three(payer: Payer, then: Callable[[Flow], object]) -> Code:
    def code(flow: Flow, event: Transfer) -> None:
        for number in range(3):
            flow.call(payer.pay, Pay(to=f"account {number}"), step=f"pay-{number}")
        flow.transact(book, event.number)
        then(flow)

    return code


def pay_then(payer: Payer, *then: Callable[[Flow], object]) -> Code:
    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        for step in then:
            step(flow)

    return code


def stop(flow: Flow) -> None:
    raise UndoFlow("the customer has changed his mind")


def undos(payer: Payer) -> list[Any]:
    return payer.rows(
        "SELECT c.step, c.state, c.amount::int, convert_from(c.request, 'UTF8')::json ->> 'reference'"
        " FROM onceward.call c WHERE undoes IS NOT NULL ORDER BY created_at"
    )


def test_a_flow_is_undone_in_reverse_order_and_then_its_local_changes(payer: Payer) -> None:
    told: list[Any] = []

    def undone(session: Session, event: Transfer, reason: str) -> None:
        told.append((event.number, reason, len(undos(payer))))
        session.execute(text("INSERT INTO booked (number) VALUES (-1)"))

    payer.undone = undone
    flow = payer.run(pay_three(payer, stop))
    assert (flow.state, flow.undoing, flow.undo_reason) == ("undone", True, "the customer has changed his mind")
    assert (flow.due_at, flow.error, flow.failures, payer.open_incidents) == (None, None, 0, [])
    assert flow.ended_at is not None
    assert [(step, state, amount) for step, state, amount, _ in undos(payer)] == [
        ("undo pay-2", "succeeded", 5),
        ("undo pay-1", "succeeded", 5),
        ("undo pay-0", "succeeded", 5),
    ]
    assert [reference[-9:] for *_, reference in undos(payer)] == ["account 2", "account 1", "account 0"]
    assert told == [(1, "the customer has changed his mind", 3)]
    assert (payer.booked, payer.runs, payer.bank.worst) == ([1, -1], 1, 1)


def test_rule_12_what_would_undo_a_call_is_computed_when_its_result_is_recorded(payer: Payer) -> None:
    """Everybody can see it beforehand, and later code sends what was kept."""
    payer.run(pay_then(payer, lambda flow: flow.sleep(HOUR), stop))
    (kept,) = payer.rows("SELECT convert_from(undo_request, 'UTF8') FROM onceward.call")
    assert kept.startswith('{"reference":"ref-')
    assert payer.pay.undo is not None
    payer.pay.undo = type(payer.pay.undo)(payer.release, lambda request, paid: Release(reference="something else"))
    payer.pass_time(HOUR)
    payer.run_due()
    assert payer.flow().state == "undone"
    assert payer.bank.sent[1].decode() == kept


def test_rule_12_local_changes_are_undone_with_the_end_of_the_flow_or_not_at_all(payer: Payer) -> None:
    calls: list[str] = []

    def undone(session: Session, event: Transfer, reason: str) -> None:
        calls.append(reason)
        session.execute(text("INSERT INTO booked (number) VALUES (-1)"))
        if len(calls) < 3:
            raise RuntimeError("broken off")

    payer.undone = undone
    assert payer.run(pay_three(payer, stop)).state == "undone"
    assert (payer.booked, len(calls), len(payer.bank.sent)) == ([1, -1], 3, 6)


def test_a_fault_in_the_function_that_computes_an_undo_does_not_cost_the_result(
    payer: Payer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: Any, paid: Any) -> Release:
        raise ZeroDivisionError(SECRET)

    assert payer.pay.undo is not None
    works, payer.pay.undo = payer.pay.undo, type(payer.pay.undo)(payer.release, broken)
    flow = payer.run(pay_then(payer, stop))
    assert payer.calls == [("pay", "succeeded")]
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text
    assert (flow.state, payer.open_incidents) == ("blocked", ["undo_failed"])
    payer.pay.undo = works  # a deploy later
    payer.unblock()
    payer.run_due()
    assert (payer.flow().state, payer.open_incidents) == ("undone", [])


def test_a_call_in_doubt_is_waited_for_before_anything_is_undone(payer: Payer) -> None:
    """Named interleaving: a person has the flow undone while its call is in doubt."""
    payer.bank.manners, payer.bank.replays = [manners.behave, manners.lose_the_reply], True

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="first")
        flow.call(payer.pay, request(event), step="second")

    assert payer.run(code).state == "waiting"
    assert undo_by_hand(payer)
    payer.run_due()
    assert (payer.flow().state, undos(payer)) == ("waiting", [])
    payer.ledger.sweep()
    payer.run_due()
    assert payer.flow().state == "undone"
    assert [step for step, *_ in undos(payer)] == ["undo second", "undo first"]
    assert payer.bank.worst == 1


def test_an_undo_in_doubt_is_a_call_like_any_other(payer: Payer) -> None:
    payer.bank.manners, payer.bank.replays = [manners.behave, manners.lose_the_reply], True
    flow = payer.run(pay_then(payer, stop))
    assert (flow.state, flow.undoing) == ("waiting", True)
    assert [state for _, state, *_ in undos(payer)] == ["in_doubt"]
    payer.ledger.sweep()
    payer.run_due()
    assert (payer.flow().state, payer.bank.worst, len(payer.bank.sent)) == ("undone", 1, 3)


def test_an_undo_that_is_refused_is_left_to_a_person(payer: Payer) -> None:
    payer.bank.manners = [manners.behave, manners.behave, manners.behave, manners.refuse]
    flow = payer.run(pay_three(payer, stop))
    assert (flow.state, flow.undoing, payer.open_incidents) == ("blocked", True, ["undo_failed"])
    assert [step for step, *_ in undos(payer)] == ["undo pay-2"], "what came before it is not undone out of order"
    assert payer.rows(
        "SELECT i.severity, c.step, i.amount::int, i.currency FROM onceward.incident i JOIN onceward.call c ON c.id = i.call_id"
    ) == [(1, "pay-2", 5, "EUR")]
    payer.unblock()
    payer.run_due()
    assert (payer.flow().state, len(undos(payer))) == ("blocked", 1), "it is not sent again by itself"


def test_what_a_person_gave_back_is_not_given_back_again(payer: Payer) -> None:
    """Rule 13's other half: a refund that was made by hand counts, also after the flow's own was refused."""
    payer.bank.manners = [manners.behave, manners.refuse]
    payer.run(pay_then(payer, stop))
    refund_by_hand(payer, "5.00")
    payer.unblock()
    payer.run_due()
    assert (payer.flow().state, payer.open_incidents) == ("undone", [])
    assert len(payer.bank.sent) == 2


def test_a_refund_that_is_under_way_is_waited_for(payer: Payer) -> None:
    """Rule 13's other half: flow and person at once."""

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        refund_by_hand(payer, "5.00", state="pending")
        stop(flow)

    flow = payer.run(code)
    assert (flow.state, flow.undoing, len(payer.bank.sent), payer.open_incidents) == ("waiting", True, 1, [])
    make_due(payer)
    payer.ledger.sweep()
    payer.run_due()
    assert (payer.flow().state, [step for step, *_ in undos(payer)]) == ("undone", ["refund x"])


def test_a_refund_of_a_part_leaves_the_rest_to_a_person(payer: Payer) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        refund_by_hand(payer, "2.00")
        stop(flow)

    flow = payer.run(code)
    assert (flow.state, payer.open_incidents, len(payer.bank.sent)) == ("blocked", ["undo_failed"], 1)
    assert "not 2.00" not in flow.error
    assert "undone already" in flow.error


def test_a_call_that_moves_money_and_has_no_undo_is_left_to_a_person(payer: Payer) -> None:
    payer.pay.undo = None
    flow = payer.run(pay_then(payer, stop))
    assert (flow.state, payer.open_incidents) == ("blocked", ["undo_failed"])
    assert "no operation is declared that undoes it" in flow.error


def test_a_call_that_moves_no_money_needs_no_undo(payer: Payer) -> None:
    provider: Provider[Bank] = payer.pay.provider

    @provider.operation(repeat=Always())
    def tell(client: Bank, request: Pay, call: Sending) -> Paid:
        return behave(client, call)

    payer.ledger.declare()

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(tell, Pay())
        stop(flow)

    assert payer.run(code).state == "undone"
    assert undos(payer) == []


def test_a_flow_that_did_nothing_is_undone_at_once(payer: Payer) -> None:
    assert payer.run(lambda flow, event: stop(flow)).state == "undone"


def test_a_local_step_that_raises_undo_flow_leaves_nothing(payer: Payer) -> None:
    def refuse(session: Session) -> None:
        book(session, 99)
        raise UndoFlow("out of stock")

    flow = payer.run(lambda flow, event: flow.transact(refuse))
    assert (flow.state, flow.undo_reason, payer.booked) == ("undone", "out of stock", [])


# --- rule 15: what undoes a flow -------------------------------------------------------------------------------------


def test_rule_15_a_refused_call_that_nothing_handles_undoes_the_flow(payer: Payer) -> None:
    payer.bank.manners = [manners.behave, manners.refuse]

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="first")
        flow.call(payer.pay, request(event), step="second")

    flow = payer.run(code)
    assert (flow.state, flow.undo_reason) == ("undone", "a call failed: no funds")
    assert [step for step, *_ in undos(payer)] == ["undo first"]


def test_rule_15_a_refused_call_that_nobody_would_hear_of_is_told_and_counted(
    payer: Payer, caplog: pytest.LogCaptureFixture
) -> None:
    """No undo handler is declared, and there is nothing to undo: a failed call is business, and no incident."""
    payer.participant.flows._by_name["transfer"] = replace(payer.transfer, undone=None)
    payer.bank.manners = [manners.refuse]
    flow = payer.run(lambda flow, event: flow.call(payer.pay, request(event)))
    assert (flow.state, flow.undo_reason, payer.open_incidents) == ("undone", "a call failed: no funds", [])
    assert "no function is declared that could tell of it" in caplog.text
    figures = "SELECT value::int FROM onceward.ledger_figures() WHERE figure = 'flows_undone'"
    assert payer.rows(figures) == [1]
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET ended_at = ended_at - interval '25 hours'"))
    assert payer.rows(figures) == [0]


def test_rule_15_a_refused_call_that_is_handled_undoes_nothing(payer: Payer) -> None:
    payer.bank.manners = [manners.behave, manners.refuse]

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="first")
        try:
            flow.call(payer.pay, request(event), step="second")
        except CallFailed:
            flow.transact(book, 99)

    assert payer.run(code).state == "completed"
    assert (undos(payer), payer.booked) == ([], [99])


def test_rule_15_a_bug_undoes_nothing(payer: Payer) -> None:
    flow = payer.run(pay_three(payer, lambda flow: 1 / 0))
    assert (flow.state, flow.undoing, flow.failures) == ("blocked", False, 3)
    assert (undos(payer), payer.open_incidents) == ([], ["flow_error"])
    assert "ZeroDivisionError" in flow.error


@pytest.mark.parametrize("refused", [False, True])
def test_rule_15_nothing_undoes_past_the_pivot(payer: Payer, refused: bool) -> None:
    payer.bank.manners = [manners.behave, manners.behave, manners.refuse]

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="hold")
        flow.call(payer.pay, request(event), step="capture", pivot=True)
        if refused:
            flow.call(payer.pay, request(event), step="after")
        if payer.runs == 1:
            stop(flow)

    flow = payer.run(code)
    assert (flow.state, flow.undoing, flow.pivot_step) == ("blocked", False, "capture")
    assert (undos(payer), payer.open_incidents) == ([], ["stuck_after_pivot"])
    assert not undo_by_hand(payer)
    if not refused:
        payer.unblock()
        payer.run_due()
        assert (payer.flow().state, payer.open_incidents) == ("completed", [])


def test_a_pivot_that_is_refused_is_no_pivot(payer: Payer) -> None:
    payer.bank.manners = [manners.behave, manners.refuse]

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="hold")
        flow.call(payer.pay, request(event), step="capture", pivot=True)

    flow = payer.run(code)
    assert (flow.state, flow.pivot_step, [step for step, *_ in undos(payer)]) == ("undone", None, ["undo hold"])


@pytest.mark.parametrize("state", ["in_flight", "in_doubt"])
def test_a_pivot_that_may_have_taken_effect_keeps_the_flow_from_being_undone(payer: Payer, state: str) -> None:
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    payer.run(lambda flow, event: flow.call(payer.pay, request(event), pivot=True))
    if state == "in_flight":
        with payer.admin.begin() as connection:
            connection.execute(text("UPDATE onceward.call SET state = 'in_flight', due_at = now() + interval '1 h'"))
    assert not undo_by_hand(payer)
    assert (payer.flow().undoing, payer.flow().state) == (False, "waiting")


def test_a_pivot_that_is_about_to_begin_and_an_undo_exclude_each_other(payer: Payer) -> None:
    """Named interleaving: the pivot's call has been recorded and not committed when a person has the flow undone."""
    payer.code = lambda flow, event: flow.call(payer.pay, request(event), pivot=True)
    payer.start()
    undone: list[bool] = []
    entered, go_on = Event(), Event()

    def slow(bank: Any, sending: Any) -> Any:
        entered.set()
        assert go_on.wait(30)
        return bank.apply(sending)

    payer.bank.manners = [slow]
    running = Thread(target=payer.run_due)
    with payer.admin.connect() as reading:
        reading.execute(text(SAME_CALL), {"id": call_id(1, "pay")})  # the begin has locked its flow, and waits here
        running.start()
        wait_for_lock(payer)
        undoer = Thread(target=lambda: undone.append(undo_by_hand(payer)))
        undoer.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        eventually(lambda: payer.rows(waiting) == [2])
        reading.rollback()
    undoer.join(30)
    assert entered.wait(30)
    go_on.set()
    running.join(30)
    assert undone == [False]
    payer.run_due()
    flow = payer.flow()
    assert (flow.state, flow.pivot_step, flow.undoing) == ("completed", "pay", False)


def test_a_call_that_begins_while_its_flow_is_about_to_be_undone_does_not_begin(payer: Payer) -> None:
    """Named interleaving: the undo has begun and not committed when a run comes to its next call."""

    def code(flow: Flow, event: Transfer) -> None:
        if payer.runs > 1:
            return
        with payer.admin.connect() as undoer:
            assert begin_undo(undoer)

            def commit_late() -> None:
                wait_for_lock(payer)
                undoer.commit()

            commit = Thread(target=commit_late)
            commit.start()
            try:
                flow.call(payer.pay, request(event), pivot=True)
            finally:
                commit.join(30)

    payer.code = code
    payer.start()
    payer.run_due()
    assert (payer.flow().state, payer.flow().undoing, payer.calls) == ("undone", True, [])


def test_a_pivot_that_a_worker_is_about_to_send_keeps_the_flow_from_being_undone(payer: Payer) -> None:
    """Named interleaving: the pivot waits to be sent again, and a worker has just taken it up for that."""
    payer.bank.manners = [manners.throttle]
    payer.run(lambda flow, event: flow.call(payer.pay, request(event), pivot=True))
    with payer.admin.connect() as sending:
        sending.execute(text("SELECT FROM onceward.call FOR UPDATE"))
        assert not undo_by_hand(payer)
    assert (payer.flow().state, payer.flow().undoing, payer.calls) == ("waiting", False, [("pay", "pending")])


def test_a_run_whose_flow_is_undone_meanwhile_begins_no_call(payer: Payer) -> None:
    """Named interleaving: a person has the flow undone between two calls of a run."""

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="first")
        if payer.runs == 1:
            assert undo_by_hand(payer)
        flow.call(payer.pay, request(event), step="second")

    flow = payer.run(code)
    assert (flow.state, payer.calls) == ("undone", [("first", "succeeded"), ("undo first", "succeeded")])


def test_a_run_whose_flow_is_undone_meanwhile_does_no_local_step(payer: Payer) -> None:
    """Else it would change what the undo handler has just reversed."""

    def code(flow: Flow, event: Transfer) -> None:
        flow.transact(book, 1)
        assert undo_by_hand(payer)
        flow.transact(book, 2, step="second")

    payer.code = code
    payer.start()
    assert payer.runner().run_once()
    assert (payer.booked, payer.flow().state, payer.flow().undoing) == ([1], "running", True)
    payer.run_due()
    assert (payer.flow().state, payer.booked) == ("undone", [1])


def test_a_completed_flow_can_be_undone(payer: Payer) -> None:
    assert payer.run(lambda flow, event: flow.call(payer.pay, request(event))).state == "completed"
    assert undo_by_hand(payer)
    payer.run_due()
    assert (payer.flow().state, [step for step, *_ in undos(payer)]) == ("undone", ["undo pay"])
    assert not undo_by_hand(payer), "it is undone once"


def test_rule_15_an_undo_and_a_pivot_never_both_take_effect_under_stress(payer: Payer) -> None:
    """People have flows undone while these run in two threads; each flow ends on one side of its pivot."""
    flows, undone, stop_asked = 40, 0, Event()
    payer.bank.replays, payer.bank.manners = True, [manners.behave, manners.lose_the_reply, manners.throttle] * flows

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="hold")
        flow.call(payer.pay, request(event), step="capture", pivot=True)
        flow.transact(book, event.number)

    def work(step: Callable[[], object]) -> None:
        while not stop_asked.is_set():
            if not step():
                stop_asked.wait(0.001)

    def sweep() -> int:
        make_due(payer)
        return payer.ledger.sweep()

    payer.code = code
    runner = payer.runner()
    threads = [Thread(target=work, args=(step,)) for step in (runner.run_once, runner.run_once, sweep)]
    for thread in threads:
        thread.start()
    try:
        for number in range(flows):
            payer.start(number)
        for number in range(flows):
            undone += undo_by_hand(payer, number)
        eventually(lambda: set(payer.states) <= {"completed", "undone"}, 60, lambda: (payer.states, payer.calls))
    finally:
        stop_asked.set()
        for thread in threads:
            thread.join(30)
    assert payer.states.get("undone", 0) == undone
    assert payer.rows(
        "SELECT count(*) FROM onceward.flow f WHERE (f.state = 'completed') <> EXISTS"
        " (SELECT FROM onceward.call c WHERE c.flow_id = f.id AND c.step = 'capture' AND c.state = 'succeeded')"
    ) == [0]
    took_effect = (
        "SELECT count(*) FROM onceward.call c WHERE c.flow_id = f.id AND c.state = 'succeeded' AND c.undoes IS"
    )
    sides = f"SELECT f.state, ({took_effect} NULL), ({took_effect} NOT NULL) FROM onceward.flow f GROUP BY 1, 2, 3"
    assert set(payer.rows(sides)) <= {("completed", 2, 0), ("undone", 1, 1), ("undone", 0, 0)}
    assert payer.bank.worst == 1


# --- calls that are not sent any more --------------------------------------------------------------------------------


def test_a_call_that_was_never_sent_is_cancelled_when_its_flow_is_undone(payer: Payer) -> None:
    payer.bank.manners = [manners.throttle]
    payer.run(lambda flow, event: flow.call(payer.pay, request(event), pivot=True))
    assert payer.calls == [("pay", "pending")]
    assert undo_by_hand(payer)
    payer.run_due()
    assert (payer.flow().state, payer.calls, payer.bank.worst) == ("undone", [("pay", "cancelled")], 0)


def test_a_call_that_turns_out_unsent_while_its_flow_is_undone_is_cancelled(payer: Payer) -> None:
    """Named interleaving: the call was on its way when the undo began, and is turned away after that."""

    def undo_then_throttle(bank: Any, sending: Any) -> Any:
        assert undo_by_hand(payer)
        assert payer.run_due() == 1, "it waits for the call"
        return manners.throttle(bank, sending)

    payer.bank.manners = [undo_then_throttle]
    payer.run(lambda flow, event: flow.call(payer.pay, request(event)))
    assert (payer.flow().state, payer.calls) == ("waiting", [("pay", "pending")])
    make_due(payer)
    assert payer.ledger.sweep() == 1
    payer.run_due()
    assert (payer.flow().state, payer.calls, len(payer.bank.sent)) == ("undone", [("pay", "cancelled")], 1)


@pytest.mark.parametrize("handled", [False, True])
def test_a_call_that_could_not_be_sent_in_time_fails_as_too_late(payer: Payer, handled: bool) -> None:
    payer.bank.manners = [manners.throttle]
    codes: list[str | None] = []

    def code(flow: Flow, event: Transfer) -> None:
        try:
            flow.call(payer.pay, request(event), start_within=timedelta(seconds=10))
        except CallFailed as failure:
            codes.append(failure.code)
            if not handled:
                raise

    assert payer.run(code).state == "waiting"
    assert payer.rows("SELECT due_at = start_before FROM onceward.call") == [True], (
        "no later than that, for it would be over"
    )
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.call SET start_before = start_before - interval '10 s'"))
    make_due(payer)
    payer.ledger.sweep()
    payer.run_due()
    assert (payer.calls, codes) == ([("pay", "cancelled")], ["too_late"])
    assert payer.flow().state == ("completed" if handled else "undone")
    assert len(payer.bank.sent) == 1


def test_the_first_attempt_is_not_kept_from_going_by_the_time_for_its_start(payer: Payer) -> None:
    flow = payer.run(lambda flow, event: flow.call(payer.pay, request(event), start_within=timedelta(microseconds=1)))
    assert flow.state == "completed"


# --- what the provider did other than asked --------------------------------------------------------------------------


def test_a_flow_waits_while_nobody_has_accepted_that_the_provider_did_something_else(payer: Payer) -> None:
    payer.pay.check(lambda request, paid: None if request.amount == paid.amount else f"{paid.amount} were paid")
    payer.bank.manners = [manners.pay_another_amount]
    flow = payer.run(lambda flow, event: flow.transact(book, int(flow.call(payer.pay, request(event)).amount)))
    assert (flow.state, payer.calls, payer.booked) == ("waiting", [("pay", "succeeded")], [])
    assert payer.open_incidents == ["mismatch"]
    assert payer.rows("SELECT difference FROM onceward.call") == ["4.00 were paid"]
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.call SET difference_accepted_at = clock_timestamp()"))
        connection.execute(sql("wake_flow"), {"flow_id": flow_id(1), "pivot_step": None})
    payer.run_due()
    assert (payer.flow().state, payer.booked) == ("completed", [4])


# --- declarations ----------------------------------------------------------------------------------------------------


def test_declarations_of_an_undo_that_cannot_be_are_refused(payer: Payer) -> None:
    other: Provider[Bank] = Provider("other", Bank)

    @other.operation(repeat=Always())
    def give_back(client: Bank, request: Pay, call: Sending) -> Paid:
        return behave(client, call)

    @other.operation(repeat=Always())
    def take(client: Bank, request: Pay, call: Sending) -> Paid:
        return behave(client, call)

    with pytest.raises(ConfigError, match="must be an operation of the same provider"):
        take.undone_by(payer.release, lambda request, found: Release(reference=""))
    with pytest.raises(ConfigError, match="is itself"):
        take.undone_by(take, lambda request, found: request)
    with pytest.raises(ConfigError, match=r"\(request, result\)"):
        take.undone_by(give_back, lambda request: request)  # type: ignore[arg-type, misc]
    take.undone_by(give_back, lambda request, found: request)
    with pytest.raises(ConfigError, match="declared twice"):
        take.undone_by(give_back, lambda request, found: request)


def test_the_undo_of_an_operation_is_declared_in_the_database(payer: Payer) -> None:
    assert payer.rows(
        "SELECT name, undo, moves_value FROM onceward.operation WHERE name IN ('pay', 'release') ORDER BY 1"
    ) == [
        ("pay", "release", True),
        ("release", None, False),
    ]


@pytest.mark.parametrize("step", ["undo pay", "refund x"])
def test_names_of_what_undoes_are_not_for_steps(payer: Payer, step: str) -> None:
    flow = payer.run(lambda flow, event: flow.call(payer.pay, request(event), step=step))
    assert (flow.state, payer.calls) == ("blocked", [])
    assert "may not begin" in payer.incidents[0][2]


# --- paused flows ----------------------------------------------------------------------------------------------------


def test_a_paused_flow_is_not_claimed_and_loses_nothing(payer: Payer) -> None:
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    payer.run(lambda flow, event: flow.transact(book, int(flow.call(payer.pay, request(event)).amount)))
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET paused_at = clock_timestamp()"))
    payer.ledger.sweep()
    assert payer.flow().state == "running"
    assert (payer.run_due(), payer.runner().unknown(), payer.booked) == (0, {}, [])
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET paused_at = NULL"))
    assert (payer.run_due(), payer.booked) == (1, [5])


def test_the_version_of_the_code_is_recorded_with_the_claim(payer: Payer) -> None:
    payer.code = lambda flow, event: None
    payer.start()
    payer.run_due(code_version="2026.11")
    assert payer.flow().code_version == "2026.11"


def test_no_payload_is_logged_while_a_flow_is_undone(payer: Payer, caplog: pytest.LogCaptureFixture) -> None:
    def fall(flow: Flow) -> None:
        raise UndoFlow(SECRET)

    payer.bank.manners = [manners.behave, manners.behave, manners.behave, manners.refuse]
    with caplog.at_level(logging.DEBUG, "onceward"):
        payer.run(pay_three(payer, fall))
    assert payer.flow().undo_reason == SECRET
    assert SECRET not in caplog.text


SAME_CALL = """
INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, state, due_at)
VALUES (:id, 'bank', 'pay', 'another', '', sha256('another'), 'pending', now())
"""


def call_id(number: int, step: str) -> UUID:
    return derived(str(flow_id(number)), step, "1")


def undo_by_hand(payer: Payer, number: int = 1) -> bool:
    """Do what a person's decision does."""
    with payer.admin.begin() as connection:
        return begin_undo(connection, number)


def begin_undo(connection: Connection, number: int = 1) -> bool:
    connection.execute(text("SELECT FROM onceward.flow WHERE id = :id FOR UPDATE"), {"id": flow_id(number)})
    return undoing.start(connection, flow_id(number), "a person's reason")


def wait_for_lock(payer: Payer) -> None:
    eventually(lambda: payer.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


def refund_by_hand(payer: Payer, amount: str, state: str = "succeeded") -> None:
    """Do what a person's refund comes to."""
    now = datetime.now(UTC)
    settled = {"settled_at": now, "settled_by": "answer"} if state == "succeeded" else {"due_at": now + HOUR}
    with payer.admin.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO onceward.call (id, flow_id, step, undoes, provider, operation, key, request, fingerprint, amount,"
                " currency, state, due_at, result, settled_at, settled_by)"
                " SELECT gen_random_uuid(), flow_id, 'refund x', id, provider, 'release', gen_random_uuid()::text,"
                ' \'{"reference": "r"}\', fingerprint, :amount, currency, :state, :due_at, result, :settled_at, :settled_by'
                " FROM onceward.call WHERE step = 'pay'"
            ),
            {"amount": amount, "state": state, "due_at": None, "settled_at": None, "settled_by": None} | settled,
        )


def make_due(payer: Payer) -> None:
    with payer.admin.begin() as connection:
        connection.execute(
            text(
                "UPDATE onceward.call SET due_at = clock_timestamp() WHERE state IN ('pending', 'in_doubt') AND due_at IS NOT NULL"
            )
        )
