"""A flow whose call is not settled waits, costs nothing meanwhile, and is never left waiting."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from sqlalchemy import text

from onceward.errors import Suspended
from onceward.flows.flow import Flow
from onceward.flows.store import Store
from onceward.ledger.store import sql
from onceward.providers import Never
from tests.conftest import Database
from tests.flows.support import Noted, Payer, Transfer, book, flow_id, request
from tests.ledger import bank as manners
from tests.support import eventually


def pay_then_book(payer: Payer) -> Callable[[Flow, Transfer], None]:
    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        flow.transact(book, event.number)

    return code


def test_a_flow_waits_for_a_call_in_doubt_and_goes_on_when_it_is_settled(payer: Payer) -> None:
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    flow = payer.run(pay_then_book(payer))
    assert (flow.state, flow.due_at, payer.runs, payer.booked) == ("waiting", None, 1, [])
    assert payer.run_due() == 0, "a waiting flow is nobody's work"
    assert payer.ledger.sweep() == 1
    assert payer.run_due() == 1
    assert payer.flow().state == "completed"
    assert (payer.booked, payer.bank.worst, len(payer.bank.sent)) == ([1], 1, 2)


def test_a_flow_waits_for_ever_rather_than_pay_twice(database: Database) -> None:
    payer = Payer(database, repeat=Never())
    payer.bank.manners = [manners.lose_the_reply]
    flow = payer.run(pay_then_book(payer))
    assert flow.state == "waiting"
    assert (payer.ledger.sweep(), payer.run_due()) == (0, 0)
    payer.expire_leases()
    assert payer.run_due() == 0
    assert payer.bank.worst == 1
    payer.engine.dispose()


@pytest.mark.parametrize("moment", ["before the look", "between look and parking", "after parking"])
def test_a_settlement_at_any_moment_wakes_the_flow(payer: Payer, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named interleaving: where the settlement commits relative to the run's look at the call and to its parking."""
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    payer.run(pay_then_book(payer))
    wake(payer)  # the run to come finds the call still in doubt, unless it is settled before
    park = Store.park
    parked: list[bool] = []

    def settle_then_park(self: Store, claim: Any, signals: int, until: Any = None) -> bool:
        assert payer.ledger.sweep() == 1
        parked.append(park(self, claim, signals, until))
        return parked[-1]

    if moment == "before the look":
        assert payer.ledger.sweep() == 1
    elif moment == "between look and parking":
        monkeypatch.setattr(Store, "park", settle_then_park)
    payer.run_due()
    if moment == "between look and parking":
        assert parked == [False], "parked although the settlement had come"
    elif moment == "after parking":
        assert payer.flow().state == "waiting"
        assert payer.ledger.sweep() == 1
        payer.run_due()
    assert payer.flow().state == "completed"
    assert payer.booked == [1]
    assert payer.bank.worst == 1


def test_a_settlement_under_way_while_the_flow_parks_wakes_it(payer: Payer) -> None:
    """Named interleaving: the settlement has raised the signals and has not committed when the worker parks."""
    payer.bank.manners = [manners.lose_the_reply]
    payer.code = pay_then_book(payer)
    payer.start()
    store = Store(payer.engine)
    claim = store.claim(["transfer"], "worker", 30)
    assert claim is not None
    with payer.admin.connect() as settling, ThreadPoolExecutor(1) as pool:
        raise_signals(settling)
        parked = pool.submit(store.park, claim, claim.signals)
        wait_for_blocked(payer)
        settling.commit()
        assert parked.result(10) is False
    assert payer.flow().state == "running"


def test_two_calls_in_one_run_do_not_hide_each_other(payer: Payer) -> None:
    """The settlement of the first call, in the run itself, must neither be taken for one of the second nor lose it."""
    payer.bank.manners, payer.bank.replays = [manners.behave, manners.lose_the_reply], True

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event), step="first")
        flow.call(payer.pay, request(event), step="second")

    assert payer.run(code).state == "waiting"
    payer.ledger.sweep()
    payer.run_due()
    assert payer.flow().state == "completed"
    assert payer.bank.worst == 1
    assert len(payer.bank.sent) == 3


def test_no_wake_up_is_lost_under_stress(payer: Payer) -> None:
    """Settlements and parkings race in several threads; in the end no flow waits for a settled call."""
    flows = 60
    payer.bank.replays = True
    payer.bank.manners = [manners.lose_the_reply] * (2 * flows)

    def code(flow: Flow, event: Transfer) -> None:
        for number in range(2):
            flow.call(payer.pay, request(event), step=f"pay-{number}")

    payer.code = code
    for number in range(flows):
        payer.start(number)
    together, stop = Barrier(4), Event()

    def work(step: Callable[[], object]) -> None:
        together.wait(10)
        while not stop.is_set():
            if not step():
                stop.wait(0.001)

    runner, ledger = payer.runner(), payer.ledger
    threads = [
        Thread(target=work, args=(step,)) for step in (runner.run_once, runner.run_once, ledger.sweep, ledger.sweep)
    ]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: payer.states == {"completed": flows}, 60, lambda: (payer.states, payer.incidents))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert payer.bank.worst == 1
    assert len(payer.bank.effects) == 2 * flows


@pytest.mark.parametrize("swallowed", [Exception, BaseException])
def test_rule_10_code_that_swallows_a_suspension_has_no_fallback(payer: Payer, swallowed: type[BaseException]) -> None:
    """If code could take it for a failure, it would pay in another way while the first payment is in doubt."""
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply], True
    endings: list[str] = []

    def code(flow: Flow, event: Transfer) -> None:
        try:
            flow.call(payer.pay, request(event))
        except swallowed:
            endings.append("swallowed")
            for use in (
                lambda: flow.call(payer.pay, request(event), step="fallback"),
                lambda: flow.transact(book, 99),
                lambda: flow.publish(Noted(number=1), topic="noted", key=1),
                lambda: flow.sleep(timedelta(1)),
                lambda: flow.value(int),
            ):
                with pytest.raises(Suspended):
                    use()

    assert payer.run(code).state == "waiting"
    assert endings == (["swallowed"] if swallowed is BaseException else [])
    assert (payer.calls, payer.booked, payer.outbox) == ([("pay", "in_doubt")], [], [])
    payer.ledger.sweep()
    payer.run_due()
    assert payer.flow().state == "completed"


@pytest.mark.parametrize("ending", ["return", "raise"])
def test_the_end_that_code_makes_of_a_suspension_does_not_count(payer: Payer, ending: str) -> None:
    payer.bank.manners = [manners.lose_the_reply]

    def code(flow: Flow, event: Transfer) -> None:
        try:
            flow.call(payer.pay, request(event))
        except BaseException:  # noqa: BLE001 -- what is under test
            if ending == "raise":
                raise ValueError from None

    flow = payer.run(code)
    assert (flow.state, flow.failures, flow.error) == ("waiting", 0, None)


def test_rule_10_a_flow_is_of_no_use_after_its_run(payer: Payer) -> None:
    kept: list[Flow] = []
    assert payer.run(lambda flow, event: kept.append(flow)).state == "completed"
    with pytest.raises(Suspended):
        kept[0].transact(book, 1)
    assert payer.booked == []


def test_an_operation_that_is_slow_to_settle_is_polled_by_nobody(payer: Payer) -> None:
    payer.bank.manners = [manners.throttle]
    flow = payer.run(pay_then_book(payer))
    assert flow.state == "waiting"
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.call SET due_at = due_at - :time"), {"time": timedelta(minutes=1)})
    assert payer.run_due() == 0
    payer.ledger.sweep()
    payer.run_due()
    assert (payer.flow().state, payer.bank.worst) == ("completed", 1)


def wake(payer: Payer) -> None:
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET state = 'running', due_at = clock_timestamp()"))


def raise_signals(connection: Any) -> None:
    connection.execute(sql("wake_flow"), {"flow_id": flow_id(1), "pivot_step": None})


def wait_for_blocked(payer: Payer) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%waiting%'"
    eventually(lambda: payer.rows(waiting))
