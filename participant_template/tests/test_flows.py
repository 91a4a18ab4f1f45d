"""The payment of an order: what it does outside, and what it leaves behind."""

from datetime import timedelta

from onceward.errors import Rejected
from onceward.testing import Bench
from sqlalchemy import text

from participant_template.flows import payment
from participant_template.models import State
from participant_template.providers import HoldId, capture, hold, release

from .words import HELD, IN_STOCK, PAYMENT, PLACED, SOLD_OUT, order_of


def test_an_order_in_stock_is_paid_and_the_others_are_told(bench: Bench) -> None:
    bench.answer(hold, HELD)
    bench.answer(capture, PAYMENT)
    assert bench.run(payment, PLACED, signals=[IN_STOCK]).state == "completed"
    assert (order_of(bench).state, order_of(bench).reference) == (State.PAID, "P1")
    with bench.session() as session:
        assert session.execute(text("SELECT topic, type FROM onceward.outbox")).all() == [("payments", "orders.paid")]


def test_an_order_that_is_sold_out_costs_nothing(bench: Bench) -> None:
    bench.answer(hold, HELD)
    bench.answer(release, HoldId(hold_id="H1"))
    assert bench.run(payment, PLACED, signals=[SOLD_OUT]).state == "undone"
    assert (bench.effects(release), bench.effects(capture)) == (1, 0)
    assert (order_of(bench).state, order_of(bench).reason) == (State.REFUSED, "sold out")


def test_a_refused_card_refuses_the_order(bench: Bench) -> None:
    bench.answer(hold, Rejected("no funds"))
    assert bench.run(payment, PLACED).state == "undone"
    assert bench.effects(hold) == 0
    assert order_of(bench).state == State.REFUSED


def test_a_warehouse_that_says_nothing_is_no_answer(bench: Bench) -> None:
    bench.answer(hold, HELD)
    late = bench.run(payment, PLACED, within=timedelta(days=1))
    assert (late.state, len(late.incidents)) == ("waiting", 1)
    assert order_of(bench).state == State.PLACED
