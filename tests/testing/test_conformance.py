"""What a provider does, held against what is declared of it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from onceward.errors import ConfigError
from onceward.providers import Never, Operation, SameKey
from onceward.testing import Finding, contradictions, examine
from tests.ledger import bank as manners
from tests.ledger.bank import Bank, Pay, provider_of

AT_ONCE = timedelta(0)
DAY = SameKey(timedelta(hours=24))
cents = count(1)


def request() -> Pay:
    return Pay(amount=Decimal(next(cents)) / 100)


def verdicts(findings: Any) -> list[str]:
    return [finding.verdict for finding in findings]


def operation(bank: Bank, **terms: Any) -> Operation[Bank, Pay, Any]:
    return provider_of(bank, **terms)[1]


def answers_of(bank: Bank) -> Callable[..., Any]:
    """Return what a provider does that answers a known key with what it answered first."""
    known: dict[str, Any] = {}

    def answer(bank: Bank, sending: Any) -> Any:
        return known.setdefault(sending.key, bank.apply(sending))

    bank.manners = [answer] * 10
    bank.lookups = [lambda _, sending: known.get(sending.key)] * 10
    return answer


def test_a_provider_that_keeps_its_word_is_as_declared() -> None:
    bank = Bank()
    answers_of(bank)
    findings = examine(operation(bank, repeat=DAY, lookup="authoritative"), request, patience=AT_ONCE)
    assert verdicts(findings) == ["as declared", "not declared", "as declared", "as declared"]
    assert contradictions(findings) == []


def test_a_key_that_is_not_remembered_is_found() -> None:
    bank = Bank(replays=False)
    numbers = count(1)

    def another_each_time(bank: Bank, sending: Any) -> Any:
        return bank.apply(sending).model_copy(update={"reference": f"ref-{next(numbers)}"})

    bank.manners = [another_each_time] * 3
    (found, _) = examine(operation(bank, repeat=DAY), request)
    assert found.verdict == "contradicted"
    assert "does nothing more" in contradictions([found])[0]


def test_more_than_is_declared_is_told_and_no_contradiction() -> None:
    bank = Bank()
    answers_of(bank)
    (found, _) = examine(operation(bank, repeat=Never()), request)
    assert found == Finding(found.claim, "not declared", "the same answer again")


def test_a_lookup_that_finds_nothing_in_time_is_found() -> None:
    bank = Bank()
    answers_of(bank)
    bank.lookups = [lambda _, __: None] * 10
    findings = examine(operation(bank, repeat=DAY, lookup="authoritative"), request, patience=timedelta(seconds=0.3))
    (told,) = contradictions(findings)
    assert "within 0.3 s: after 0." in told


def test_a_lookup_that_finds_anything_is_found() -> None:
    bank = Bank()
    answers_of(bank)
    bank.lookups = [lambda bank, sending: bank.apply(sending)] * 10
    findings = examine(operation(bank, repeat=DAY, lookup="authoritative"), request, patience=AT_ONCE)
    assert "never sent: a Paid" in contradictions(findings)[-1]


def test_a_request_that_is_not_taken_says_nothing_of_the_provider() -> None:
    with pytest.raises(ConfigError, match=r"bank/pay does not take it: a refusal \(no funds\)"):
        examine(operation(Bank(manners=[manners.refuse])), request)
