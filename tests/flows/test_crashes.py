"""Workers are killed, put to sleep and asked to end, as processes: no flow is lost and no effect comes twice.

At every named point they are killed in `tests/crash/test_every_point.py`.
"""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.flows.http_bank import HttpBank
from tests.flows.support import Payer
from tests.support import Process, eventually

PROGRAM = str(Path(__file__).with_name("program.py"))


@pytest.fixture
def bank() -> Iterator[HttpBank]:
    with HttpBank() as bank:
        yield bank


Start = Callable[..., Process]


@pytest.fixture
def start(payer: Payer, bank: HttpBank) -> Iterator[Start]:
    started: list[Process] = []

    def begin(failpoint: str = "", of: Payer = payer) -> Process:
        process = Process([PROGRAM, of.url, bank.url], env={"ONCEWARD_FAILPOINT": failpoint, "PYTHONPATH": "."})
        started.append(process)
        return process

    yield begin
    for process in started:
        process.__exit__()


def test_a_worker_killed_while_the_bank_thinks_is_replaced_without_a_second_effect(
    payer: Payer, bank: HttpBank, start: Start
) -> None:
    bank.answer.clear()
    payer.start()
    killed = start()
    assert bank.thinking.wait(30)
    killed.kill()
    assert payer.calls == [("pay", "in_flight")]
    bank.answer.set()
    payer.expire_leases()
    start()
    eventually(lambda: payer.flow().state == "completed", 60, lambda: (payer.flow(), payer.calls))
    assert [sum(bank.effects.values()), sum(bank.requests.values())] == [1, 2]
    assert (payer.booked, len(payer.outbox)) == ([1], 1)


def test_a_worker_asleep_past_its_lease_wakes_up_harmlessly(payer: Payer, bank: HttpBank, start: Start) -> None:
    """A zombie: stopped in its call, replaced, and woken up to go on where it was."""
    bank.answer.clear()
    payer.start()
    zombie = start()
    assert bank.thinking.wait(30)
    zombie.suspend()
    payer.expire_leases(of_calls=False)
    start()
    eventually(lambda: payer.flow().state == "waiting")
    bank.answer.set()
    zombie.resume()
    eventually(lambda: payer.flow().state == "completed", 30)
    # Where the other takes long to start, the sleeper's own deadline is over, and it sends again under the same key.
    assert sum(bank.effects.values()) == 1
    assert (payer.booked, len(payer.outbox)) == ([1], 1)


def test_workers_killed_again_and_again(payer: Payer, bank: HttpBank, start: Start) -> None:
    flows = 120
    for number in range(flows):
        payer.start(number)
    for enough in (20, 50, 80):
        workers = start(), start()
        eventually(partial(payer.has_completed, enough), 60)
        for worker in workers:
            worker.kill()
        payer.expire_leases()
    start()
    eventually(lambda: payer.states == {"completed": flows}, 90, lambda: payer.states)
    assert sorted(payer.booked) == list(range(flows))
    assert len({message_id for message_id, *_ in payer.outbox}) == len(payer.outbox) == flows
    assert max(bank.effects.values()) == 1
    assert len(bank.effects) == flows


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_process(start: Start, name: str) -> None:
    process = start()
    process.wait_for_output("begins")
    os.kill(process.pid, getattr(signal, name))
    assert process.wait(10) == 0
    assert "ended" in process.output


def test_a_call_that_hangs_does_not_keep_the_process_from_ending(payer: Payer, bank: HttpBank, start: Start) -> None:
    bank.answer.clear()
    payer.start()
    process = start()
    assert bank.thinking.wait(30)
    assert process.terminate(15) == 0
    assert "left to the lease" in process.output
    assert payer.calls == [("pay", "in_flight")]


def test_a_process_whose_thread_dies_ends_with_an_error(own_payer: Payer, start: Start) -> None:
    process = start(of=own_payer)
    process.wait_for_output("begins")
    with own_payer.admin.begin() as connection:
        connection.execute(text("ALTER TABLE onceward.flow RENAME COLUMN due_at TO gone"))
    assert process.wait(30) == 1
    assert "WorkerFailed" in process.output
    assert "Traceback" in process.output
