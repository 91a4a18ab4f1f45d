"""The reckoning itself: it finds nothing in an honest world, and every planted bug in a dishonest one."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from onceward_relay.demo.facts import Facts, Receipt
from onceward_relay.demo.reckoning import doubts, reckon, sums

from .honest import (
    COMPLETED,
    DOUBTED,
    FIVE,
    REFUSED,
    RELEASED,
    REQUESTED,
    ROLLED_BACK,
    SETTLED,
    key,
    message_id,
    transfer_id,
    world,
)

Bug = Callable[[Facts], Facts]


def broken_promises(facts: Facts) -> list[str]:
    return [finding.promise for finding in reckon(facts) if not finding.kept]


def test_an_honest_world_is_found_honest() -> None:
    assert broken_promises(world()) == []


def without_message(kind: int, number: int) -> Bug:
    lost = message_id(kind, number)
    return lambda facts: replace(facts, records=[each for each in facts.records if each.message_id != lost])


def with_rolled_back_message(facts: Facts) -> Facts:
    return replace(
        facts,
        records=[*facts.records, replace(facts.records[0], message_id=message_id(REQUESTED, ROLLED_BACK), key="x")],
    )


def with_unknown_message(facts: Facts) -> Facts:
    return replace(facts, records=[*facts.records, replace(facts.records[4], message_id=message_id(7, 7))])


def with_two_messages_swapped(facts: Facts) -> Facts:
    first, second, *others = facts.records
    return replace(facts, records=[second, first, *others])


def with_a_key_in_two_partitions(facts: Facts) -> Facts:
    return replace(facts, records=[replace(facts.records[0], partition=1), *facts.records[1:]])


def with_a_transfer_gone(facts: Facts) -> Facts:
    return replace(facts, transfers=facts.transfers[1:], receipts=[])


def with_a_completion_taken_twice(facts: Facts) -> Facts:
    return replace(facts, transfers=[replace(facts.transfers[0], completions=2), *facts.transfers[1:]])


def with_a_completion_not_taken(facts: Facts) -> Facts:
    return replace(facts, transfers=[replace(facts.transfers[0], completions=0), *facts.transfers[1:]])


def with_two_receipts(facts: Facts) -> Facts:
    return replace(facts, receipts=[*facts.receipts, *facts.receipts])


def with_a_second_effect_under_one_key(facts: Facts) -> Facts:
    return replace(facts, movements=[*facts.movements, facts.movements[0]])


def with_a_second_effect_under_another_key(facts: Facts) -> Facts:
    return replace(facts, movements=[*facts.movements, replace(facts.movements[-1], key="a-new-key")])


def with_a_failed_call_that_took_effect(facts: Facts) -> Facts:
    held = replace(facts.movements[0], key="hold-3", reference=str(transfer_id(REFUSED)))
    return replace(facts, movements=[*facts.movements, held])


def with_a_succeeded_call_that_took_none(facts: Facts) -> Facts:
    return replace(facts, movements=facts.movements[:-1])


def with_an_effect_of_no_call(facts: Facts) -> Facts:
    stray = replace(facts.movements[0], key="nobody", reference="nobody")
    return replace(facts, movements=[*facts.movements, stray])


def with_a_doubt_that_nobody_hears_of(facts: Facts) -> Facts:
    return replace(facts, calls=[*facts.calls[:-1], replace(facts.calls[-1], incident=None)])


def with_a_transfer_forgotten(facts: Facts) -> Facts:
    forgotten = replace(facts.transfers[0], state="captured", completions=1)
    return replace(facts, transfers=[forgotten, *facts.transfers[1:]])


def with_money_lost_on_the_way(facts: Facts) -> Facts:
    return replace(facts, movements=[*facts.movements[:-1], replace(facts.movements[-1], cents=499, moved=499)])


def with_a_wrong_balance(facts: Facts) -> Facts:
    return replace(facts, accounts=[replace(facts.accounts[0], balance=0), *facts.accounts[1:]])


def with_a_receipt_of_nothing(facts: Facts) -> Facts:
    return replace(facts, receipts=[*facts.receipts, Receipt(transfer_id(DOUBTED), FIVE, "EUR")])


def with_a_refund_only_in_the_database(facts: Facts) -> Facts:
    calls = [each for each in facts.calls if each.operation != "refund"]
    return replace(facts, calls=calls, movements=[each for each in facts.movements if each.operation != "refunds"])


def with_a_flow_that_stands_still_unheard(facts: Facts) -> Facts:
    return replace(facts, blocked=[replace(facts.blocked[0], incident=None)])


def with_a_hold_never_released(facts: Facts) -> Facts:
    calls = [each for each in facts.calls if each.operation != "release"]
    return replace(facts, calls=calls, movements=[each for each in facts.movements if each.operation != "releases"])


def with_a_reservation_never_cancelled(facts: Facts) -> Facts:
    reserved = next(each for each in facts.movements if each.operation == "reservations")
    left = replace(reserved, key="reserve-5", reference=str(transfer_id(RELEASED)))
    calls = [replace(each, state="succeeded") if each.key == "reserve-5" else each for each in facts.calls]
    return replace(facts, calls=calls, movements=[*facts.movements, left])


def with_a_refused_transfer_that_arrived(facts: Facts) -> Facts:
    return replace(
        facts, movements=[*facts.movements, replace(facts.movements[-1], reference=str(transfer_id(RELEASED)))]
    )


@pytest.mark.parametrize(
    ("bug", "promise"),
    [
        (without_message(REQUESTED, REFUSED), "nothing lost"),
        (without_message(SETTLED, RELEASED), "nothing lost"),
        (with_a_transfer_gone, "nothing lost"),
        (with_rolled_back_message, "nothing invented"),
        (with_unknown_message, "nothing invented"),
        (with_two_messages_swapped, "order per key"),
        (with_a_key_in_two_partitions, "order per key"),
        (with_a_completion_taken_twice, "one effect per message"),
        (with_a_completion_not_taken, "one effect per message"),
        (with_two_receipts, "one effect per message"),
        (with_a_second_effect_under_one_key, "one effect per call"),
        (with_a_second_effect_under_another_key, "one effect per call"),
        (with_a_failed_call_that_took_effect, "the ledger says what the banks' books say"),
        (with_a_succeeded_call_that_took_none, "the ledger says what the banks' books say"),
        (with_an_effect_of_no_call, "the ledger says what the banks' books say"),
        (with_a_doubt_that_nobody_hears_of, "nothing is silently stuck"),
        (with_a_transfer_forgotten, "nothing is silently stuck"),
        (with_money_lost_on_the_way, "money is conserved"),
        (with_a_wrong_balance, "money is conserved"),
        (with_a_receipt_of_nothing, "money is conserved"),
        (with_a_refund_only_in_the_database, "money is conserved"),
        (with_a_flow_that_stands_still_unheard, "nothing is silently stuck"),
        (with_a_hold_never_released, "what was undone leaves nothing behind"),
        (with_a_reservation_never_cancelled, "what was undone leaves nothing behind"),
        (with_a_refused_transfer_that_arrived, "what was undone leaves nothing behind"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_planted_bugs_are_found(bug: Bug, promise: str) -> None:
    assert promise in broken_promises(bug(world()))


def test_what_is_missing_is_judged_only_when_nothing_is_under_way() -> None:
    for bug in (without_message(REQUESTED, REFUSED), with_a_completion_not_taken, with_a_succeeded_call_that_took_none):
        assert broken_promises(replace(bug(world()), complete=False)) == []
    for bug in (with_unknown_message, with_two_messages_swapped, with_a_second_effect_under_one_key):
        assert broken_promises(replace(bug(world()), complete=False)) != []


def test_a_finding_says_what_contradicts_the_promise() -> None:
    [lost] = [finding for finding in reckon(without_message(REQUESTED, COMPLETED)(world())) if not finding.kept]
    assert lost.broken == [f"message {message_id(REQUESTED, COMPLETED)} was committed and is not in Kafka"]
    assert lost.counted == "23 messages committed, 22 of them in Kafka"


def test_repeated_deliveries_are_no_disorder() -> None:
    facts = world()
    again = replace(facts, records=[*facts.records, *facts.records[1:4]])
    assert broken_promises(again) == []


def test_money_in_doubt_is_counted_as_such() -> None:
    [euro] = sums(world())
    assert (euro.captured, euro.credited, euro.refunded, euro.in_doubt) == (4 * FIVE, 2 * FIVE, FIVE, FIVE)
    assert euro.difference == 0


def test_money_that_arrived_is_not_in_doubt_whatever_the_ledger_thinks() -> None:
    facts = world()
    arrived = replace(
        facts.movements[-1], operation="gateway-credits", key="gateway_credit-4", reference=str(transfer_id(4))
    )
    accounts = [facts.accounts[0], replace(facts.accounts[1], balance=facts.accounts[1].balance + 500)]
    taken = replace(facts, movements=[*facts.movements, arrived], accounts=accounts)
    assert broken_promises(taken) == []
    assert (sums(taken)[0].in_doubt, sums(taken)[0].credited) == (Decimal(0), 3 * FIVE)
    assert [doubt.effects for doubt in doubts(taken)] == [1]


def a_fee_kept(facts: Facts, *, noticed: bool) -> Facts:
    """Let the bank credit less than was asked, and the payee note what it got."""
    completed = next(each for each in facts.movements if each.key == key("credit", COMPLETED))
    less = replace(completed, cents=450, moved=450)
    bob = facts.accounts[1]
    difference = "asked for 5.00 EUR, credited 4.50" if noticed else None
    calls = [
        replace(each, difference=difference, incident="a mismatch") if each.key == less.key else each
        for each in facts.calls
    ]
    return replace(
        facts,
        calls=calls,
        movements=[less if each is completed else each for each in facts.movements],
        receipts=[replace(facts.receipts[0], amount=less.amount)],
        accounts=[facts.accounts[0], replace(bob, balance=bob.balance - 50)],
    )


def test_a_fee_that_was_noticed_is_no_lost_money() -> None:
    assert broken_promises(a_fee_kept(world(), noticed=True)) == []
    assert sums(a_fee_kept(world(), noticed=True))[0].fees == Decimal("0.50")
    assert broken_promises(a_fee_kept(world(), noticed=False)) == ["money is conserved"]


def test_doubts_come_with_the_truth_of_the_books() -> None:
    [doubt] = doubts(world())
    assert (doubt.call.ref, doubt.effects) == (str(transfer_id(DOUBTED)), 0)
