"""The checker finds each kind of fault in hand-made books, and nothing in clean ones."""

from collections.abc import Collection

import pytest

from tests.checker.checker import Arrived, check_calls, check_effects, check_money, check_topic, check_watched
from tests.checker.workload import Outcome, Sent

SENT = [
    Sent("a1", "a", 1, Outcome.COMMITTED, 1),
    Sent("a2", "a", 2, Outcome.COMMITTED, 2),
    Sent("b1", "b", 1, Outcome.ROLLED_BACK, 3),
    Sent("c1", "c", 1, Outcome.UNKNOWN, 4),
    Sent("d1", "d", 1, Outcome.UNKNOWN, 5),
    Sent("e1", "e", 1, Outcome.UNKNOWN, 5),
]
A1, A2, B1, C1, D1, E1 = (Arrived(each.message_id, each.key, each.payload.decode()) for each in SENT)


@pytest.mark.parametrize(
    "arrived", [[A1, A2], [A1, A2, C1], [A1, A2, D1, E1], [E1, A1, C1, D1, A2], [A1, A2, A1, A2], [A1, A1, A2]]
)
def test_a_clean_topic(arrived: list[Arrived]) -> None:
    assert check_topic(SENT, arrived)
    assert str(check_topic(SENT, arrived)) == "all promises were kept"


@pytest.mark.parametrize(
    ("arrived", "finding"),
    [
        ([A1], "lost: a2"),
        ([A1, A2, B1], "phantom: b1"),
        ([A1, A2, Arrived("x", "x", "x:1")], "phantom: x"),
        ([A1, A2, D1], "torn: transaction 5, 1 of 2 messages"),
        ([A2, A1], "out of order: a: 1 after 2"),
        ([A2, A1, A2], "out of order: a: 1 after 2"),
        ([A1, Arrived("a2", "a", "a:3")], "altered: a2 was a with a:2, is a with a:3"),
        ([A1, A2, Arrived("c1", "x", "c:1")], "altered: c1 was c with c:1, is x with c:1"),
        ([A1, A2, Arrived("c1", "c", "")], "altered: c1 was c with c:1, is c with "),
        ([A1, Arrived("a2", "a", "a:2", partition=2)], "scattered: a is in partitions [0, 2]"),
    ],
)
def test_a_fault_in_the_topic(arrived: list[Arrived], finding: str) -> None:
    assert check_topic(SENT, arrived).findings == [finding]


def test_every_fault_is_named() -> None:
    assert check_topic(SENT, [A2, B1]).findings == ["lost: a1", "phantom: b1"]
    assert str(check_topic(SENT, [A2, B1])) == "lost: a1\nphantom: b1"
    assert check_topic(SENT, []).findings == ["lost: a1", "lost: a2"]


def test_two_messages_that_counted_the_same_are_out_of_order() -> None:
    """As when a row whose transaction was taken back by a crash was sent, and its successor counts again."""
    again = Sent("a2'", "a", 2, Outcome.UNKNOWN, 9)
    assert check_topic([*SENT, again], [A1, A2, Arrived("a2'", "a", "a:2")]).kinds() == {"out of order"}


def test_what_is_missing_before_the_outbox_is_drained_may_still_come() -> None:
    assert check_topic(SENT, [A1], drained=False).kinds() == {"not drained"}
    assert check_topic(SENT, [A1, A2, D1], drained=False)
    assert check_topic(SENT, [A2, B1], drained=False).kinds() == {"not drained", "phantom"}


def test_clean_effects() -> None:
    assert check_effects(SENT, [A1, A2], {"a1": 1, "a2": 1})
    assert check_effects(SENT, [A1, A2, C1], {"a1": 1, "a2": 1, "c1": 1})


@pytest.mark.parametrize(
    ("arrived", "effects", "finding"),
    [
        ([A1, A2], {"a1": 2, "a2": 1}, "taken twice: a1, 2 times"),
        ([A1, A2], {"a1": 1}, "not taken: a2"),
        ([A1, A2], {"a1": 1, "a2": 1, "b1": 1}, "phantom effect: b1"),
        ([A1, A2], {"a1": 1, "a2": 1, "x": 1}, "phantom effect: x"),
        ([A1, A2], {"a1": 1, "a2": 1, "c1": 1}, "phantom effect: c1"),
        ([A1, A2, C1], {"a1": 1, "a2": 1}, "not taken: c1"),
        ([A1, A2, C1], {"a1": 1, "a2": 1, "c1": 2}, "taken twice: c1, 2 times"),
    ],
)
def test_a_fault_in_the_effects(arrived: list[Arrived], effects: dict[str, int], finding: str) -> None:
    assert check_effects(SENT, arrived, effects).findings == [finding]


def test_clean_calls() -> None:
    calls = {"k1": "succeeded", "k2": "failed", "k3": "in_doubt", "k4": "in_doubt"}
    assert check_calls({"k1": 1, "k3": 1}, calls)
    assert check_calls({"k1": 1, "k3": 1}, calls, {"k3", "k4", "k5"})


@pytest.mark.parametrize(
    ("books", "calls", "doubtful", "finding"),
    [
        ({"k": 2}, {"k": "succeeded"}, None, "paid twice: k, 2 times"),
        ({"k": 2}, {"k": "in_doubt"}, None, "paid twice: k, 2 times"),
        ({"k": 1}, {}, None, "unrecorded effect: k"),
        ({}, {"k": "in_flight"}, None, "not settled: k is in_flight"),
        ({}, {"k": "pending"}, None, "not settled: k is pending"),
        ({}, {"k": "succeeded"}, None, "wrong outcome: k is succeeded, with 0 effects"),
        ({"k": 1}, {"k": "failed"}, None, "wrong outcome: k is failed, with 1 effects"),
        ({"k": 1}, {"k": "in_doubt"}, {"other"}, "doubt without cause: k"),
        ({"k": 1}, {"k": "succeeded"}, {"k"}, "settled without proof: k is succeeded"),
        ({}, {"k": "failed"}, {"k"}, "settled without proof: k is failed"),
    ],
)
def test_a_fault_in_the_calls(
    books: dict[str, int], calls: dict[str, str], doubtful: Collection[str] | None, finding: str
) -> None:
    assert check_calls(books, calls, doubtful).findings == [finding]


def test_clean_money() -> None:
    assert check_money(
        {"kept": 500, "undone": 500, "refunded": 500}, {"undone": 500, "refunded": 200}, ["undone", "unpaid"]
    )


def test_faults_in_the_money() -> None:
    verdict = check_money({"kept": 500, "twice": 500}, {"twice": 1000, "unpaid": 1}, ["kept"])
    assert verdict.findings == [
        "reversed too much: twice: 1000 of 500",
        "reversed too much: unpaid: 1 of 0",
        "undone but kept: kept: 500",
    ]


def test_what_waits_for_nobody_is_a_fault() -> None:
    assert check_watched([])
    assert check_watched(["call of k"]).findings == ["waits for nobody: call of k"]


def test_verdicts_add_up() -> None:
    verdict = check_watched(["call of k"]) + check_calls({"k": 2}, {"k": "in_doubt"})
    assert verdict.kinds() == {"waits for nobody", "paid twice"}


def test_effects_in_another_order_than_the_counts() -> None:
    both = {"a1": 1, "a2": 1}
    assert check_effects(SENT, [A1, A2], both, ["a1", "c1", "a2", "a1"])
    assert check_effects(SENT, [A1, A2], both, ["a2", "a1"]).findings == ["taken out of order: a: 1 after 2"]
