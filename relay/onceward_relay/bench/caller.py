"""Makes calls through the ledger, or runs flows of one call each, from many threads. A process of its own.

Reads its task as JSON from standard input and prints {"seconds", "cpu"}: how long all of it took, and its CPU time.
"""

import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Thread
from time import perf_counter, process_time
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, create_engine

from onceward.database import sqlalchemy_url
from onceward.flows.definition import start
from onceward.flows.flow import Flow
from onceward.flows.runner import Runner
from onceward.ledger import Ledger, Succeeded
from onceward.participant import Participant
from onceward.providers import Money, Provider, SameKey, Sending
from onceward_relay.bench import BenchError
from onceward_relay.bench.stage import PREFIX


class Pay(BaseModel):
    """What is asked of the provider."""

    amount: Decimal
    account: str


class Paid(BaseModel):
    """What it answers."""

    reference: str


class Due(BaseModel):
    """What starts a flow."""

    number: int


bank = Provider(f"{PREFIX}bank", lambda: None, in_flight=1000)


@bank.operation(
    repeat=SameKey(timedelta(hours=24)),
    value=lambda request: Money(request.amount, "EUR"),
    ref=lambda paid: paid.reference,
    show=["amount"],
)
def pay(_: None, __: Pay, call: Sending) -> Paid:
    """Answer at once."""
    call.check()
    return Paid(reference=f"paid-{call.key}")


payer = Participant(f"{PREFIX}payer", [bank])


@payer.flow("onceward-bench-due", Due, key=lambda event: event.number, name=f"{PREFIX}settle")
def settle(flow: Flow, event: Due) -> None:
    """Pay once."""
    flow.call(pay, _request(event.number))


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    threads, number = task["threads"], task["number"]
    engine = create_engine(sqlalchemy_url(task["database"]), pool_size=threads, max_overflow=0)
    ledger = Ledger(engine, payer.name, payer.providers, worker="bench")
    ledger.declare()
    if task["flows"]:
        _start(engine, number)
        runner = Runner(payer.flows, engine, ledger, worker="bench")
        took = timed(threads, lambda _: _run_flows(runner))
    else:
        took = timed(threads, lambda first: _call(ledger, range(first, number, threads)))
    print(json.dumps(took))


def timed(threads: int, work: Any) -> dict[str, float]:
    """Let each thread do `work(its number)`; return the seconds from the common beginning to the last end, and CPU."""
    ready = Barrier(threads + 1)
    failures: list[BaseException] = []

    def body(number: int) -> None:
        ready.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 -- raised below, in the thread that can end the process
            failures.append(error)

    crew = [Thread(target=body, args=(number,)) for number in range(threads)]
    for thread in crew:
        thread.start()
    cpu, began = process_time(), perf_counter()
    ready.wait()
    for thread in crew:
        thread.join()
    if failures:
        raise failures[0]
    return {"seconds": perf_counter() - began, "cpu": process_time() - cpu}


def _request(number: int) -> Pay:
    return Pay(amount=Decimal("12.50"), account=f"account {number}")


def _call(ledger: Ledger, numbers: Iterable[int]) -> None:
    for number in numbers:
        if not isinstance(ledger.call(pay, _request(number), key=f"key-{number}", ref=f"order {number}"), Succeeded):
            raise BenchError(f"call {number} did not succeed")


def _start(engine: Engine, number: int) -> None:
    for first in range(0, number, 1000):
        with engine.begin() as connection:
            for each in range(first, min(first + 1000, number)):
                connection.execute(start(settle, Due(number=each)))


def _run_flows(runner: Runner) -> None:
    while runner.run_once():
        pass


if __name__ == "__main__":
    main()
