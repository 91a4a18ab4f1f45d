"""Any flow, broken off anywhere and any number of times, over a bank with bad manners: each effect comes once."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from onceward.errors import UndoFlow
from onceward.flows.flow import Flow
from tests.flows.support import Answer, Noted, Payer, Transfer, book
from tests.ledger import bank as manners
from tests.ledger.bank import Pay

HOUR = timedelta(hours=1)
KINDS = st.lists(st.sampled_from(["call", "transact", "publish", "value", "sleep", "wait"]), max_size=5)
BREAKS = st.lists(st.integers(0, 5), max_size=6)
"""In each run, after how many steps it is broken off; later runs are not."""
MANNERS = st.lists(
    st.sampled_from(
        [manners.behave, manners.lose_the_reply, manners.lose_the_request, manners.be_unreachable, manners.be_busy]
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KINDS, BREAKS, MANNERS, st.integers(0, 5), st.booleans())
def test_each_effect_comes_once_whatever_happens(
    waiter: Payer,
    numbers: Iterator[int],
    kinds: list[str],
    breaks: list[int],
    bad: list[Callable[..., object]],
    early: int,
    undone: bool,
) -> None:
    number = next(numbers)
    waiter.bank.effects.clear()
    waiter.bank.replays, waiter.bank.manners = True, list(bad)  # type: ignore[arg-type]  # they are manners
    waiter.undone = lambda session, event, reason: session.execute(text("INSERT INTO booked (number) VALUES (-1)"))  # type: ignore[assignment]
    first, undos = waiter.runs, len([booked for booked in waiter.booked if booked < 0])

    def code(flow: Flow, event: Transfer) -> None:
        run = waiter.runs - first - 1
        for position, kind in enumerate(kinds):
            if run < len(breaks) and position == breaks[run]:
                raise RuntimeError("broken off")
            step(waiter, flow, event, kind, position)
        if undone:
            raise UndoFlow("it is to be undone")

    waiter.code = code
    wanted = Counter(kinds)
    for _ in range(min(early, wanted["wait"])):
        waiter.deliver(Answer(number=number))
    waiter.start(number)
    for _ in range(min(early, wanted["wait"]), wanted["wait"]):
        waiter.run_due(tries=100)
        waiter.deliver(Answer(number=number))
    for _ in range(50):
        waiter.pass_time(HOUR)
        if waiter.run_due(tries=100) + waiter.ledger.sweep() == 0:
            break
    assert waiter.flow(number).state == ("undone" if undone else "completed")
    assert waiter.rows("SELECT count(*) FROM booked WHERE number = :n", n=number) == [wanted["transact"]]
    key = str(number).encode()
    assert waiter.rows("SELECT count(*) FROM onceward.outbox WHERE key = :key", key=key) == [wanted["publish"]]
    assert list(waiter.bank.effects.values()) == [1] * wanted["call"] * (2 if undone else 1)
    assert len([booked for booked in waiter.booked if booked < 0]) == undos + undone
    assert waiter.open_incidents == []


def one() -> int:
    return 1


def step(payer: Payer, flow: Flow, event: Transfer, kind: str, position: int) -> None:
    name = f"step-{position}"
    if kind == "call":
        assert flow.call(payer.pay, Pay(to=name), step=name).reference.startswith("ref-")
    elif kind == "transact":
        assert flow.transact(book, event.number, step=name) == event.number * 10
    elif kind == "value":
        assert flow.value(one, step=name) == 1
    elif kind == "sleep":
        flow.sleep(HOUR, step=name)
    elif kind == "wait":
        assert flow.wait(Answer, step=name).number == event.number
    else:
        flow.publish(Noted(number=position), topic="noted", key=event.number, step=name)
