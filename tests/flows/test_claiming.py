"""A flow is one worker's at a time; a worker that has lost it writes nothing any more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.errors import LeaseLost
from onceward.flows.flow import Flow
from onceward.flows.lease import Lease
from onceward.flows.store import Claim, Store
from onceward.ids import uuid7
from onceward.sqlfiles import statement
from tests.flows.support import Noted, Payer, Transfer, book, flow_id, request
from tests.support import eventually

WEEK = timedelta(weeks=1).total_seconds()


@pytest.fixture
def store(payer: Payer) -> Store:
    return Store(payer.engine)


def claim(store: Store, worker: str = "worker", lease: float = 30) -> Claim | None:
    return store.claim(["transfer"], worker, lease)


def test_the_flow_that_has_been_due_the_longest_comes_first(payer: Payer, store: Store) -> None:
    for number, minutes in ((1, 5), (2, 9), (3, 1), (4, -1)):
        payer.start(number)
        with payer.admin.begin() as connection:
            connection.execute(
                text("UPDATE onceward.flow SET due_at = clock_timestamp() - :ago WHERE id = :id"),
                {"ago": timedelta(minutes=minutes), "id": flow_id(number)},
            )
    claims = [claim(store) for _ in range(4)]
    assert [found and found.key for found in claims] == ["2", "1", "3", None]


def test_a_claim_raises_the_epoch_and_lasts(payer: Payer, store: Store) -> None:
    payer.start()
    first = claim(store, "one", 30)
    assert first is not None
    assert (first.epoch, first.id, first.input) == (1, flow_id(1), b'{"number":1,"amount":"5.00"}')
    assert claim(store) is None
    flow = payer.flow()
    assert (flow.worker, flow.state) == ("one", "running")
    (left,) = payer.rows("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM onceward.flow")
    assert 20 < left <= 30
    payer.expire_leases()
    second = claim(store, "two")
    assert second is not None
    assert second.epoch == 2


def test_two_workers_never_claim_the_same_flow(payer: Payer, store: Store) -> None:
    flows = 50
    for number in range(flows):
        payer.start(number)
    together = Barrier(4)

    def claim_all() -> list[Any]:
        together.wait(10)
        return [found.id for found in iter(lambda: claim(store), None)]

    with ThreadPoolExecutor(4) as pool:
        claimed = [found for ids in pool.map(lambda _: claim_all(), range(4)) for found in ids]
    assert sorted(claimed) == sorted({flow_id(number) for number in range(flows)})


def test_flows_of_other_programs_are_left_to_them(payer: Payer, store: Store) -> None:
    payer.start()
    assert store.claim(["other"], "worker", 30) is None
    assert store.unknown(["other"]) == {"transfer": 1}
    assert store.unknown(["transfer"]) == {}


@pytest.mark.parametrize("due", [0, 10000])
def test_a_claim_costs_the_same_whatever_waits(payer: Payer, due: int) -> None:
    """The plan must walk the index of due times and stop at the first row, or at once where none is due."""
    with payer.admin.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO onceward.flow (id, name, key, input, due_at)"
                " SELECT gen_random_uuid(), 'transfer', n::text, '',"
                " clock_timestamp() + CASE WHEN n <= :due THEN -1 ELSE 1 END * n * interval '1 minute'"
                " FROM generate_series(1, 20000) n"
            ),
            {"due": due},
        )
        connection.execute(text("ANALYZE onceward.flow"))
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement("onceward.flows", "claim")
        values = {"names": ["transfer"], "worker": "worker", "lease": 30.0, "code_version": None}
        plan = connection.execute(text(explain), values).scalar_one()[0]["Plan"]
    nodes = list(walk(plan))
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {"flow_due", "flow_pkey"}
    assert not {"Seq Scan", "Sort"} & {node["Node Type"] for node in nodes}
    assert max(node.get("Rows Removed by Filter", 0) for node in nodes) == 0
    assert plan["Shared Hit Blocks"] < 50


def walk(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", ()):
        yield from walk(child)


Step = Callable[[Flow, Payer, Transfer], object]
STEPS: dict[str, Step] = {
    "call": lambda flow, payer, event: flow.call(payer.pay, request(event)),
    "transact": lambda flow, payer, event: flow.transact(book, event.number),
    "publish": lambda flow, payer, event: flow.publish(Noted(number=1), topic="noted", key=1),
}


@pytest.mark.parametrize("step", ["transact", "publish"])
def test_a_worker_that_lost_its_flow_writes_no_step(payer: Payer, step: str) -> None:
    """Named interleaving: between claim and step the lease ends and another worker claims the flow."""

    def code(flow: Flow, event: Transfer) -> None:
        if payer.runs == 1:
            payer.expire_leases()
            assert payer.runner("other").run_once()
        STEPS[step](flow, payer, event)
        ends.append(payer.runs)

    ends: list[int] = []
    flow = payer.run(code)
    assert ends == [2], "the first run ends at its step, the second comes to its end"
    assert (flow.state, flow.worker, flow.epoch, flow.failures, flow.error) == ("completed", "other", 2, 0, None)
    assert len(payer.steps) == len(payer.booked) + len(payer.outbox) == 1
    assert payer.incidents == []


def test_a_worker_whose_lease_is_over_makes_no_call(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        if payer.runs == 1:
            payer.expire_leases()
            assert payer.runner("other").run_once()
        flow.call(payer.pay, request(event))

    flow = payer.run(code, lease=timedelta(milliseconds=1))
    assert (flow.state, payer.runs, len(payer.bank.sent)) == ("completed", 2, 1)
    assert payer.rows("SELECT worker FROM onceward.call") == ["other"]


def test_two_workers_at_one_call_make_it_once(payer: Payer) -> None:
    """Named interleaving: a worker is asleep inside its call, past its lease; another one runs the flow meanwhile."""
    entered, go_on = Event(), Event()

    def slow(bank: Any, sending: Any) -> Any:
        entered.set()
        assert go_on.wait(30)
        return bank.apply(sending)

    payer.bank.manners = [slow]
    payer.code = lambda flow, event: flow.call(payer.pay, request(event))
    payer.start()
    asleep = Thread(target=payer.runner("asleep").run_once)
    asleep.start()
    assert entered.wait(10)
    payer.expire_leases()
    assert payer.runner("other").run_once()
    assert payer.flow().state == "waiting", "the other worker cannot know whether the call took effect"
    go_on.set()
    asleep.join(30)
    payer.run_due()
    assert (payer.flow().state, payer.bank.worst, len(payer.bank.sent)) == ("completed", 1, 1)


@pytest.mark.parametrize("end", ["complete", "park", "retry", "block", "release", "extend"])
def test_a_worker_that_lost_its_flow_does_not_write_its_end(payer: Payer, store: Store, end: str) -> None:
    payer.start()
    old = claim(store, "old")
    assert old is not None
    payer.expire_leases()
    new = claim(store, "new")
    before = payer.flow()
    ends: dict[str, Callable[[], object]] = {
        "complete": lambda: store.complete(old, "old"),
        "park": lambda: store.park(old, old.signals),
        "retry": lambda: store.retry(old, 0, "error"),
        "block": lambda: store.block(old, "error", "flow_error", grp="group", title="title"),
        "release": lambda: store.release(old),
        "extend": lambda: store.extend(old, 30),
    }
    with pytest.raises(LeaseLost):
        ends[end]()
    assert payer.flow() == before
    assert payer.incidents == []
    assert new is not None
    store.complete(new, "new")


@pytest.mark.parametrize("step", ["nothing", *STEPS])
def test_a_flow_that_a_person_blocks_is_taken_from_its_worker(payer: Payer, step: str) -> None:
    def code(flow: Flow, event: Transfer) -> None:
        with payer.admin.begin() as connection:
            connection.execute(text("UPDATE onceward.flow SET state = 'blocked', due_at = NULL"))
        if step in STEPS:
            STEPS[step](flow, payer, event)

    flow = payer.run(code)
    assert (flow.state, flow.failures, flow.error, flow.due_at) == ("blocked", 0, None, None)
    assert (payer.steps, payer.booked, payer.outbox, payer.incidents) == ([], [], [], [])


def test_a_long_local_step_keeps_its_flow(payer: Payer) -> None:
    """While its transaction is open nobody else can claim the flow, whatever its lease says."""

    def long(session: Session) -> None:
        assert not payer.runner("other").run_once()

    payer.code = lambda flow, event: flow.transact(long)
    payer.start()
    assert payer.runner(lease=timedelta(microseconds=1)).run_once()
    assert (payer.flow().state, payer.runs) == ("completed", 1)


def test_the_lease_is_lengthened_only_for_steps_that_it_does_not_cover(
    payer: Payer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("onceward.flows.lease.time.monotonic", lambda: now)
    payer.start()
    held = claim(store, lease=30)
    assert held is not None
    lease = Lease(store, held, 30, claimed_at=now)

    def ends_in() -> float:
        (left,) = payer.rows("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM onceward.flow")
        return float(left)

    lease.cover(20)
    assert payer.flow().version == 2, "30 seconds cover 20 and a margin of 10"
    lease.cover(25)
    assert 30 < ends_in() <= 35
    now += 10
    lease.cover(WEEK)
    assert WEEK < ends_in() <= WEEK + 10
    now += WEEK - 20
    lease.cover(20)
    assert 20 < ends_in() <= WEEK + 10


def test_an_extension_brings_the_signals_up_to_date(payer: Payer, store: Store) -> None:
    payer.start()
    held = claim(store)
    assert held is not None
    lease = Lease(store, held, 30, claimed_at=-1e9)
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET signals = signals + 1"))
    assert lease.signals == 0
    lease.cover(0)
    assert lease.signals == 1
    assert store.park(held, lease.signals)


def test_a_worker_that_ends_gives_its_flow_back_before_the_next_step(payer: Payer) -> None:
    runner = payer.runner()

    def code(flow: Flow, event: Transfer) -> None:
        flow.transact(book, 1)
        if payer.runs == 1:
            runner.stop()
        flow.transact(book, 2, step="second")

    payer.code = code
    payer.start()
    assert runner.run_once()
    assert payer.booked == [1]
    assert payer.run_due() == 1, "it is due at once, without waiting for the lease"
    flow = payer.flow()
    assert (flow.state, flow.failures, payer.booked) == ("completed", 0, [1, 2])


def test_settlements_do_not_wait_for_local_steps_in_other_rows(payer: Payer) -> None:
    """An incident or a call that names the flow can be written while a local step of it is open."""

    def open_step(session: Session) -> None:
        with payer.engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            connection.execute(
                text(
                    "INSERT INTO onceward.incident (id, kind, flow_id, grp, severity, title)"
                    " VALUES (:id, 'flow_error', :flow, 'g', 3, 't')"
                ),
                {"id": uuid7(), "flow": flow_id(1)},
            )

    assert payer.run(lambda flow, event: flow.transact(open_step)).state == "completed"


def test_the_wake_up_of_a_busy_flow_waits_for_its_local_step_only(payer: Payer) -> None:
    """Named interleaving: a settlement comes while a local step is open; both commit, and the signal counts."""
    done = Event()

    def signal() -> None:
        with payer.admin.begin() as connection:
            connection.execute(text("UPDATE onceward.flow SET signals = signals + 1"))
        done.set()

    def step(session: Session) -> None:
        Thread(target=signal).start()
        eventually(lambda: payer.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    assert payer.run(lambda flow, event: flow.transact(step)).state == "completed"
    assert done.wait(10)
    assert payer.flow().signals == 1
