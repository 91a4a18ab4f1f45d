"""A campaign can be repeated from its seed, does everything it can, and nothing to one target twice at a time."""

from itertools import combinations, islice

from onceward.failpoint import NAMES
from tests.campaign.faults import FAULTS
from tests.campaign.plan import ELSEWHERE, KINDS, KINDS_OF_PAYERS, Scale, occupied, rounds

ROUND = 45.0
PLANS = list(islice(rounds(1, Scale(), ROUND), 20))
ALL = [injection for plan in PLANS for injection in plan]


def test_the_same_seed_makes_the_same_plan() -> None:
    assert list(islice(rounds(1, Scale(), ROUND), 20)) == PLANS
    assert list(islice(rounds(2, Scale(), ROUND), 20)) != PLANS


def test_every_fault_comes_up() -> None:
    expected = {(kind.fault, how) for kind in KINDS + KINDS_OF_PAYERS for how in kind.hows}
    assert {(injection.fault, injection.how) for injection in ALL} == expected
    assert {injection.fault for injection in ALL} == FAULTS.keys()
    points = NAMES - ELSEWHERE
    assert {injection.how for injection in ALL if injection.fault == "failpoint"} == points


def test_payers_change_nothing_for_the_others() -> None:
    without = list(islice(rounds(1, Scale(payers=0), ROUND), 20))
    assert [[each for each in plan if "payer" not in each.target] for plan in PLANS] == without


def test_a_round_heals_in_its_time() -> None:
    assert all(injection.at + injection.seconds < ROUND for injection in ALL)


def test_no_target_has_two_faults_at_a_time() -> None:
    for plan in PLANS:
        for one, other in combinations(plan, 2):
            shared = occupied(one, Scale()) & occupied(other, Scale())
            assert not shared or other.at >= one.at + one.seconds, f"{shared}: {one} and {other}"
