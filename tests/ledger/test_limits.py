"""Limits, breaker and permits: what is given out in memory, without waiting."""

from threading import Event, Thread

import pytest

from onceward.errors import ConfigError
from onceward.permits import Permits
from onceward.providers import Provider
from onceward.providers.breaker import Breaker
from onceward.providers.limits import Limits
from tests.ledger.bank import Bank
from tests.support import eventually


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("in_flight", 0),
        ("in_flight", 1001),
        ("in_flight", 1.5),
        ("in_flight", True),
        ("per_second", 0),
        ("per_second", float("nan")),
    ],
)
def test_a_limit_that_nothing_could_keep_is_refused(limit: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{limit}: "):
        Provider("bank", Bank, **{limit: value})  # type: ignore[arg-type]


def test_no_more_slots_are_given_out_than_there_are() -> None:
    limits = Limits(2, None)
    assert [limits.take() for _ in range(3)] == [True, True, False]
    limits.give_back()
    assert (limits.free, limits.take()) == (1, True)


@pytest.mark.parametrize(("per_second", "at_once", "span"), [(3, 3, 1), (1, 1, 1), (0.5, 1, 2), (2.5, 2, 0.8)])
def test_in_any_second_no_more_calls_begin_than_are_allowed(per_second: float, at_once: int, span: float) -> None:
    clock = Clock()
    limits = Limits(100, per_second, clock)
    assert [limits.begin() for _ in range(at_once)] == [0.0] * at_once
    clock.now += span / 4
    assert limits.begin() == pytest.approx(span * 3 / 4)
    clock.now += span * 3 / 4
    assert [limits.begin() for _ in range(at_once)] == [0.0] * at_once
    assert limits.begin() > 0


def test_a_beginning_that_came_to_nothing_does_not_count() -> None:
    limits = Limits(100, 1, Clock())
    limits.begin()
    limits.unbegin()
    assert limits.begin() == 0


class TestBreaker:
    """After five failures in a row a provider rests; one call probes it; each rest is longer than the one before."""

    def broken(self) -> tuple[Breaker, Clock]:
        clock = Clock()
        breaker = Breaker(clock=clock)
        for _ in range(5):
            assert breaker.ask() == ("open", 0)
            breaker.failed("open")
        return breaker, clock

    def test_fewer_failures_or_an_answer_between_them_are_no_reason(self) -> None:
        breaker = Breaker(clock=Clock())
        for _ in range(3):
            for _ in range(4):
                breaker.failed("open")
            breaker.answered()
        assert breaker.ask() == ("open", 0)
        assert not breaker.rests

    def test_nothing_is_let_through_while_it_rests_and_then_one_call(self) -> None:
        breaker, clock = self.broken()
        assert breaker.rests
        assert breaker.ask() == ("shut", 1)
        clock.now += 1
        assert [breaker.ask()[0] for _ in range(3)] == ["probe", "shut", "shut"]

    def test_an_answer_to_the_probe_ends_the_rest(self) -> None:
        breaker, clock = self.broken()
        clock.now += 1
        breaker.ask()
        breaker.answered()
        assert (breaker.rests, breaker.ask()) == (False, ("open", 0))

    def test_the_rests_grow_with_each_probe_that_fails_up_to_a_minute(self) -> None:
        breaker, clock = self.broken()
        waits = []
        for _ in range(8):
            waits.append(breaker.ask()[1])
            clock.now += waits[-1]
            assert breaker.ask()[0] == "probe"
            breaker.failed("probe")
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_what_began_before_the_rest_and_what_only_asks_do_not_lengthen_it(self) -> None:
        breaker, _ = self.broken()
        for _ in range(10):
            breaker.failed("open")
        assert breaker.ask() == ("shut", 1)

    def test_a_probe_that_told_nothing_lets_another_one_through(self) -> None:
        breaker, clock = self.broken()
        clock.now += 1
        breaker.ask()
        breaker.left("probe")
        assert breaker.ask()[0] == "probe"


def test_who_waits_for_the_outside_lends_its_permit_and_comes_first_when_it_is_back() -> None:
    permits = Permits(1)
    outside, back, lent, order = Event(), Event(), Event(), []

    def first() -> None:
        with permits.held():
            with permits.lent():
                lent.set()
                assert outside.wait(30)
                back.set()
            order.append("first")

    def second() -> None:
        with permits.held():
            order.append("second")
            outside.set()
            assert back.wait(30)
            eventually(lambda: permits.returning == 1)

    def third() -> None:
        with permits.held():
            order.append("third")

    threads = [Thread(target=first)]
    threads[0].start()
    assert lent.wait(30)
    threads += [Thread(target=second), Thread(target=third)]
    threads[1].start()
    assert outside.wait(30)
    threads[2].start()
    for thread in threads:
        thread.join(30)
    assert order == ["second", "first", "third"]


def test_nobody_waits_for_a_permit_that_is_not_given_any_more() -> None:
    permits = Permits(1)
    refused: list[bool] = []

    def late() -> None:
        with permits.held() as held:
            refused.append(not held)

    with permits.held():
        thread = Thread(target=late)
        thread.start()
        permits.close()
        thread.join(30)
    assert refused == [True]
