"""The payment of an order, wherever the worker dies: once, or not at all."""

from onceward.testing import Bench, lost_reply

from participant_template.flows import payment
from participant_template.models import State
from participant_template.providers import HoldId, capture, hold, release

from .words import HELD, IN_STOCK, PAYMENT, PLACED, SOLD_OUT, order_of


def test_it_pays_once_wherever_it_crashes(bench: Bench) -> None:
    bench.answer(hold, HELD)
    bench.answer(capture, lost_reply(), PAYMENT)  # and the first answer is lost besides
    end = bench.run(payment, PLACED, signals=[IN_STOCK], crash_everywhere=True)
    assert (end.state, end.in_doubt) == ("completed", [])
    assert (bench.effects(hold), bench.effects(capture), bench.effects(release)) == (1, 1, 0)
    assert order_of(bench).state == State.PAID


def test_it_gives_back_what_it_held_wherever_it_crashes(bench: Bench) -> None:
    bench.answer(hold, HELD)
    bench.answer(release, HoldId(hold_id="H1"))
    end = bench.run(payment, PLACED, signals=[SOLD_OUT], crash_everywhere=True)
    assert (end.state, end.in_doubt) == ("undone", [])
    assert (bench.effects(hold), bench.effects(capture), bench.effects(release)) == (1, 0, 1)
