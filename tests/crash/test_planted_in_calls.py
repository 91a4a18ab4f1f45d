"""The checker catches bugs that are planted in ledgers and flows, and finds nothing in the same run without the bug."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import pytest

from onceward.ledger.making import SEND_WINDOW
from tests.crash.mortal import Kind
from tests.crash.payers import Mortal, Payers
from tests.support import eventually

Bugs = Mapping[str, str]
"""The bug of each payer, by the number of its order: one has it, one has none."""
Play = Callable[[Payers, Bugs], set[str]]
"""Plays both, and returns which calls only a person can settle."""


def begin(payers: Payers, bugs: Bugs, kind: Kind, stack: ExitStack, failpoint: str = "") -> dict[str, Mortal]:
    return {
        number: stack.enter_context(payers.begin({number: kind}, failpoint, bug=bug)) for number, bug in bugs.items()
    }


def order(payers: Payers, bugs: Bugs, kind: Kind) -> None:
    for number in bugs:
        payers.order(number, kind, number)


def a_sleeper_wakes_after_its_time(payers: Payers, bugs: Bugs) -> set[str]:
    """It has recorded its attempt and not sent it; meanwhile the lookup said that nothing was done, and another sent it."""
    order(payers, bugs, "lookup")
    with ExitStack() as stack:
        sleepers = begin(payers, bugs, "lookup", stack, "call.recorded:1:STOP")
        for sleeper in sleepers.values():
            sleeper.wait_frozen()
        too_late = time.monotonic() + SEND_WINDOW.total_seconds()
        payers.pass_time()
        with payers.begin(dict.fromkeys(bugs, "lookup")):
            payers.wait_until_quiet()
        time.sleep(max(0.0, too_late - time.monotonic()))
        for sleeper in sleepers.values():
            sleeper.resume()
        ended = "SELECT FROM onceward.attempt WHERE no = 1 AND ended_at IS NOT NULL"
        eventually(lambda: len(payers.rows(ended)) == len(bugs))
    return set()


def killed_while_the_bank_replies(payers: Payers, bugs: Bugs) -> set[str]:
    """At a bank that offers neither a key nor a lookup."""
    for number in bugs:
        payers.bank.next("hold_reply", reference=number)
    order(payers, bugs, "neither")
    with ExitStack() as stack:
        killed = begin(payers, bugs, "neither", stack)
        eventually(lambda: payers.bank.held == len(bugs), describe=lambda: [each.output for each in killed.values()])
        for payer in killed.values():
            payer.kill()
        payers.bank.release()
        payers.pass_time()
        begin(payers, bugs, "neither", stack)
        payers.wait_until_quiet()
    return {number for number, bug in bugs.items() if not bug}


def undone_while_a_worker_sleeps(payers: Payers, bugs: Bugs) -> set[str]:
    """Its worker has claimed the flow and not begun it; meanwhile a person has the flow undone."""
    order(payers, bugs, "key")
    with ExitStack() as stack:
        sleepers = begin(payers, bugs, "key", stack, "flow.claimed:1:STOP")
        for sleeper in sleepers.values():
            sleeper.wait_frozen()
        for number in bugs:
            payers.decide("undo", number)
        with payers.begin(dict.fromkeys(bugs, "key")):
            payers.wait_until_quiet()
        for number, sleeper in sleepers.items():
            payers.order(number, "key", f"after {number}")
            sleeper.resume()
        payers.wait_until_quiet()
    return set()


def refunded_and_then_undone(payers: Payers, bugs: Bugs) -> set[str]:
    """A person had the payment refunded, and then another one has the whole flow undone."""
    order(payers, bugs, "key")
    with ExitStack() as stack:
        begin(payers, bugs, "key", stack)
        for verb in ("refund", "undo"):
            payers.wait_until_quiet()
            for number in bugs:
                payers.decide(verb, number)
        payers.wait_until_quiet()
    return set()


def an_error_after_the_effect(payers: Payers, bugs: Bugs) -> set[str]:
    """At a bank that offers neither a key nor a lookup."""
    for number in bugs:
        payers.bank.next("error_after", reference=number)
    order(payers, bugs, "neither")
    with ExitStack() as stack:
        begin(payers, bugs, "neither", stack)
        payers.wait_until_quiet()
    return set(bugs)


@pytest.mark.parametrize(
    ("bug", "play", "found"),
    [
        ("send_when_it_is_too_late", a_sleeper_wakes_after_its_time, {"paid twice"}),
        ("send_before_it_is_recorded", killed_while_the_bank_replies, {"paid twice"}),
        ("call_without_a_claim", undone_while_a_worker_sleeps, {"undone but kept"}),
        ("reverse_again", refunded_and_then_undone, {"paid twice", "reversed too much"}),
        ("leave_calls_to_nobody", an_error_after_the_effect, {"waits for nobody"}),
    ],
)
def test_a_ledger_or_a_flow_with_a_bug(payers: Payers, bug: str, play: Play, found: set[str]) -> None:
    doubtful = play(payers, {"planted": bug, "clean": ""})
    verdict = payers.verdict(doubtful)
    assert verdict.kinds() == found, str(verdict)
    assert not [finding for finding in verdict.findings if "clean" in finding]
