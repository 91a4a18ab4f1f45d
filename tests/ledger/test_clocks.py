"""Clocks that are an hour off, or jump by an hour: a worker's own is asked for nothing, and the database's does no harm."""

import time
from datetime import timedelta
from typing import Any

import pytest

from onceward.ledger import Succeeded, Unsettled
from onceward.providers import Never
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Paid, Pay, provider_of
from tests.ledger.conftest import Books, Make

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_worker_s_own_clock_does_not_matter(
    ledger_of: Make, books: Books, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + int(off.total_seconds()) * 10**9)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 10**9)
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank, DAY)
    ledger = ledger_of(provider)
    outcome = ledger.call(pay, Pay(), key="1")
    assert isinstance(outcome, Unsettled)
    assert ledger.sweep() == 0, "not before it is due"
    books.pass_time(MINUTE)
    ledger.sweep()
    assert (books.call().state, bank.worst, len(bank.sent)) == ("succeeded", 1, 2)


def test_the_database_s_clock_jumps_ahead_while_a_call_is_on_its_way(ledger_of: Make, books: Books) -> None:
    """Its lease seems to be over, and the provider, which is asked, does not know of it yet."""
    bank = Bank(replays=False)
    provider, pay = provider_of(bank, Never(), lookup="authoritative")
    ledger, other = ledger_of(provider), ledger_of(provider, "other")

    def jump(bank: Bank, sending: Any) -> Paid:
        books.pass_time(HOUR)  # which lets all times of the call be past, as a clock that jumps does
        other.sweep()
        return bank.apply(sending)

    bank.manners = [jump]
    assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
    assert (bank.worst, len(bank.sent)) == (1, 1)


def test_the_database_s_clock_jumps_ahead_while_the_provider_is_slow(ledger_of: Make, books: Books) -> None:
    """What it does not know of yet is not absent before its settle delay is over, whatever the clock says."""
    late: list[Any] = []

    def be_slow(bank: Bank, sending: Any) -> Paid:
        late.append(sending)
        raise ConnectionResetError

    bank = Bank(manners=[be_slow], replays=False)
    provider, pay = provider_of(bank, Never(), lookup="authoritative")
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(HOUR)
    ledger.sweep()
    assert (books.call().state, books.attempts()[-1]) == ("in_doubt", ("lookup", "absent"))
    bank.apply(late[0])
    books.pass_time(MINUTE)
    ledger.sweep()
    assert (books.call().state, books.call().settled_by, bank.worst) == ("succeeded", "lookup", 1)


def test_the_database_s_clock_goes_back(ledger_of: Make, books: Books) -> None:
    """What was due is due an hour later; nothing is done before its time."""
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank, DAY)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(-HOUR)
    assert ledger.sweep() == 0
    books.pass_time(HOUR + MINUTE)
    ledger.sweep()
    assert (books.call().state, bank.worst) == ("succeeded", 1)
