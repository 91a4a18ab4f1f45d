"""Any flow, broken off anywhere and any number of times, over a bank with bad manners: each effect comes once."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onceward.flows.flow import Flow
from tests.flows.support import Noted, Payer, Transfer, book
from tests.ledger import bank as manners
from tests.ledger.bank import Pay

KINDS = st.lists(st.sampled_from(["call", "transact", "publish"]), max_size=5)
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KINDS, BREAKS, MANNERS)
def test_each_effect_comes_once_whatever_happens(
    payer: Payer, numbers: Iterator[int], kinds: list[str], breaks: list[int], bad: list[Callable[..., object]]
) -> None:
    number = next(numbers)
    payer.bank.effects.clear()
    payer.bank.replays, payer.bank.manners = True, list(bad)  # type: ignore[arg-type]  # they are manners
    first = payer.runs

    def code(flow: Flow, event: Transfer) -> None:
        run = payer.runs - first - 1
        for position, kind in enumerate(kinds):
            if run < len(breaks) and position == breaks[run]:
                raise RuntimeError("broken off")
            step(payer, flow, event, kind, position)

    payer.code = code
    payer.start(number)
    for _ in range(50):
        if payer.run_due(tries=100) + payer.ledger.sweep() == 0:
            break
    assert payer.flow(number).state == "completed"
    wanted = Counter(kinds)
    assert payer.rows("SELECT count(*) FROM booked WHERE number = :n", n=number) == [wanted["transact"]]
    key = str(number).encode()
    assert payer.rows("SELECT count(*) FROM onceward.outbox WHERE key = :key", key=key) == [wanted["publish"]]
    assert list(payer.bank.effects.values()) == [1] * wanted["call"]


def step(payer: Payer, flow: Flow, event: Transfer, kind: str, position: int) -> None:
    name = f"step-{position}"
    if kind == "call":
        assert flow.call(payer.pay, Pay(to=name), step=name).reference.startswith("ref-")
    elif kind == "transact":
        assert flow.transact(book, event.number, step=name) == event.number * 10
    else:
        flow.publish(Noted(number=position), topic="noted", key=event.number, step=name)
