"""The checker finds each kind of fault in hand-made books, and nothing in clean ones."""

import pytest

from tests.checker.checker import Arrived, check_calls, check_effects, check_topic
from tests.checker.workload import Outcome, Sent

SENT = [
    Sent("a1", "a", 1, Outcome.COMMITTED),
    Sent("a2", "a", 2, Outcome.COMMITTED),
    Sent("b1", "b", 1, Outcome.ROLLED_BACK),
    Sent("c1", "c", 1, Outcome.UNKNOWN),
]
A1, A2, B1, C1 = Arrived("a1", "a", 1), Arrived("a2", "a", 2), Arrived("b1", "b", 1), Arrived("c1", "c", 1)


@pytest.mark.parametrize("arrived", [[A1, A2], [A1, A2, C1], [A1, A2, A1, A2], [A1, A1, A2]])
def test_a_clean_topic(arrived: list[Arrived]) -> None:
    assert check_topic(SENT, arrived)
    assert str(check_topic(SENT, arrived)) == "all promises were kept"


@pytest.mark.parametrize(
    ("arrived", "kind"),
    [
        ([A1], "lost"),
        ([A1, A2, B1], "phantom"),
        ([A1, A2, Arrived("x", "x", 1)], "phantom"),
        ([A2, A1], "out of order"),
        ([A2, A1, A2], "out of order"),
    ],
)
def test_a_fault_in_the_topic(arrived: list[Arrived], kind: str) -> None:
    assert check_topic(SENT, arrived).kinds() == {kind}


def test_what_is_missing_before_the_outbox_is_drained_may_still_come() -> None:
    assert check_topic(SENT, [A1], drained=False).kinds() == {"not drained"}
    assert check_topic(SENT, [A2, B1], drained=False).kinds() == {"not drained", "phantom"}


def test_clean_effects() -> None:
    assert check_effects(SENT, {"a1": 1, "a2": 1})
    assert check_effects(SENT, {"a1": 1, "a2": 1, "c1": 1})


@pytest.mark.parametrize(
    ("effects", "kind"),
    [
        ({"a1": 2, "a2": 1}, "taken twice"),
        ({"a1": 1}, "not taken"),
        ({"a1": 1, "a2": 1, "b1": 1}, "phantom effect"),
        ({"a1": 1, "a2": 1, "c1": 2}, "taken twice"),
    ],
)
def test_a_fault_in_the_effects(effects: dict[str, int], kind: str) -> None:
    assert check_effects(SENT, effects).kinds() == {kind}


def test_clean_calls() -> None:
    assert check_calls({"k1": 1, "k3": 1}, {"k1": "succeeded", "k2": "failed", "k3": "in_doubt", "k4": "in_doubt"})


@pytest.mark.parametrize(
    ("books", "calls", "kind"),
    [
        ({"k": 2}, {"k": "succeeded"}, "paid twice"),
        ({"k": 1}, {}, "unrecorded effect"),
        ({}, {"k": "in_flight"}, "not settled"),
        ({}, {"k": "succeeded"}, "wrong outcome"),
        ({"k": 1}, {"k": "failed"}, "wrong outcome"),
    ],
)
def test_a_fault_in_the_calls(books: dict[str, int], calls: dict[str, str], kind: str) -> None:
    assert check_calls(books, calls).kinds() == {kind}
