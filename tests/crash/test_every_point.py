"""A payer that stops at every named point of calls, flows, decisions and reports, at banks that offer a key, a lookup, or neither."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from onceward.ledger.making import SEND_WINDOW
from tests.checker.crash_table import DEATHS, DEATHS_IN_STORIES, MANNERS, Death, untried
from tests.crash.mortal import KINDS, Kind
from tests.crash.payers import Payers, side_by_side
from tests.crash.scene import KILLED
from tests.support import eventually

PARTS: dict[str, Kind] = {death.number: death.kind for death in DEATHS + DEATHS_IN_STORIES}
EACH_POINT = [death for number, death in enumerate(DEATHS) if number % len(KINDS) == number // len(KINDS) % len(KINDS)]
"""Each point once, the kinds of banks in turn."""
FREEZES = DEATHS + [death for death in DEATHS_IN_STORIES if not death.in_transaction]


def test_no_named_point_is_forgotten() -> None:
    assert untried() == set()


@pytest.mark.parametrize(
    "deaths",
    [EACH_POINT + DEATHS_IN_STORIES, pytest.param(DEATHS, marks=pytest.mark.long)],
    ids=["once", "at every bank"],
)
def test_killed_at_every_point_it_ends_as_the_crash_table_says(payers: Payers, deaths: Sequence[Death]) -> None:
    def die(death: Death) -> None:
        order(payers, death)
        with payers.begin({death.number: death.kind}, death.point) as payer:
            go_on(payers, death)
            assert payer.wait() == KILLED, f"{death} was never there:\n{payer.output}"

    side_by_side(die, deaths)
    payers.pass_time()
    with payers.begin(PARTS, threads=4) as survivor:
        payers.wait_until_quiet(describe=lambda: survivor.output[-4000:])
        assert survivor.terminate() == 0
    judge(payers, deaths, wakes=False)


@pytest.mark.long
def test_frozen_past_every_lease_it_wakes_up_harmlessly(payers: Payers) -> None:
    """Two workers are at one flow: one stopped at a point, the other took over, and the first goes on where it was."""
    with ExitStack() as stack:
        sleepers = []
        for death in FREEZES:
            order(payers, death)
        for number in range(0, len(FREEZES), 4):
            some = FREEZES[number : number + 4]
            begun = [payers.begin({each.number: each.kind}, f"{_nth(each.point)}:STOP") for each in some]
            for death, sleeper in zip(some, begun, strict=True):
                stack.enter_context(sleeper)
                go_on(payers, death)
                sleeper.wait_frozen()
            sleepers += begun
        send_window_over = time.monotonic() + SEND_WINDOW.total_seconds()
        payers.pass_time()
        with payers.begin(PARTS, threads=4) as second:
            payers.wait_until_quiet(describe=lambda: second.output[-4000:])
            assert second.terminate() == 0
        time.sleep(max(0.0, send_window_over - time.monotonic()))
        for death, sleeper in zip(FREEZES, sleepers, strict=True):
            payers.order(death.number, death.kind, f"after {death.number}")
            sleeper.resume()
        payers.wait_until_quiet()
        for sleeper in sleepers:
            assert sleeper.terminate() == 0, sleeper.output
    assert not payers.rows("SELECT FROM onceward.call WHERE conflict_at IS NOT NULL")
    judge(payers, FREEZES, wakes=True)


def order(payers: Payers, death: Death) -> None:
    """Start the flow, and tell the bank how to treat it."""
    if death.story in MANNERS:
        payers.bank.next(MANNERS[death.story], reference=death.number)
    payers.order(death.number, death.kind, death.number, regretted=death.regretted)


def go_on(payers: Payers, death: Death) -> None:
    """Do what the story needs besides the payer."""
    waiting = f"SELECT FROM onceward.flow WHERE name = '{death.number}' AND state = 'waiting'"
    doubtful = f"SELECT FROM onceward.call WHERE ref = '{death.number}' AND state = 'in_doubt' AND due_at IS NULL"
    match death.story:
        case "answered":
            eventually(lambda: payers.rows(f"{waiting} AND due_at IS NULL"), 60)
            payers.answer(death.number, death.kind)
        case "decided":
            eventually(lambda: payers.rows(doubtful), 60)
            payers.decide("applied", death.number)
        case "reported":
            eventually(lambda: payers.rows(doubtful), 60)
            payers.report(death.number)


def _nth(point: str) -> str:
    return point if ":" in point else f"{point}:1"


def judge(payers: Payers, deaths: Sequence[Death], *, wakes: bool) -> None:
    doubtful = {reference for death in deaths for reference in death.doubtful(wakes=wakes)}
    verdict = payers.verdict(doubtful)
    assert verdict, str(verdict)
    ended, effects = payers.flows(), payers.effects()
    assert {death.number: ended[death.number] for death in deaths} == {
        death.number: death.flow(wakes=wakes) for death in deaths
    }
    expected = {reference: number for death in deaths for reference, number in death.effects().items()}
    assert {reference: effects[reference] for reference in expected} == expected
    assert {reference for reference, state in payers.states().items() if state == "in_doubt"} == doubtful
    completed = {key for key, state in ended.items() if state == "completed"}
    noted = Counter(row.number for row in payers.rows("SELECT number FROM public.paid"))
    published = payers.rows("SELECT convert_from(key, 'UTF8') AS key FROM onceward.outbox")
    assert Counter(row.key for row in published) == Counter(completed)
    assert all(noted[key] == 1 for key in completed)
    incidents = payers.rows("SELECT title FROM onceward.incident WHERE closed_at IS NULL")
    assert len(incidents) == len(doubtful)
    assert all("takes no idempotency key" in row.title for row in incidents)
