"""The fake bank: its effects are durable, it offers what it says, and each of its bad manners really happens."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from onceward_relay.demo import books
from onceward_relay.demo.bank import BOMB
from onceward_relay.demo.books import Books, Movement, Refused
from onceward_relay.demo.manners import SECONDS, Manners, rates
from tests.support import eventually

from .support import FIVE, RunningBank

CUT = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunningBank]:
    with RunningBank(tmp_path / "books") as running:
        yield running


def in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def test_takes_and_gives_money(bank: RunningBank) -> None:
    assert bank.post("debits", "k").json() == {
        "id": "debits-1", "reference": "r-1", "amount": "5.00", "currency": "EUR",
    }  # fmt: skip
    bank.post("credits", reference="r-2", amount="0.01")
    assert [(each.operation, each.cents) for each in bank.movements] == [("debits", -500), ("credits", 1)]


def test_an_answered_effect_survives_a_kill_of_the_bank(tmp_path: Path) -> None:
    with RunningBank(tmp_path / "books") as first:
        answer = first.post("debits", "k").json()
        first.kill()
    with RunningBank(tmp_path / "books") as second:
        assert second.post("debits", "k").json() == answer
        assert len(second.movements) == 1


def test_a_key_is_answered_again_without_a_second_effect(bank: RunningBank) -> None:
    first, second = bank.post("debits", "k"), bank.post("debits", "k")
    assert (first.json(), second.status_code) == (second.json(), 200)
    assert len(bank.movements) == 1
    assert bank.post("debits", "another").json() != first.json()


def test_a_key_with_another_request_is_refused(bank: RunningBank) -> None:
    bank.post("debits", "k")
    assert bank.post("debits", "k", amount="6.00").status_code == 422
    assert len(bank.movements) == 1


def test_a_key_under_way_is_in_progress(bank: RunningBank) -> None:
    bank.next("hold_reply")
    waiting = in_background(lambda: bank.post("debits", "k"))
    eventually(lambda: bank.held == 1)
    assert bank.post("debits", "k").status_code == 409
    assert bank.post("debits", "another").status_code == 200
    bank.release()
    waiting.join(10)
    assert bank.post("debits", "k").status_code == 200


@pytest.mark.parametrize("operation", ["debits", "refunds"])
def test_operations_with_keys_need_one(bank: RunningBank, operation: str) -> None:
    assert bank.post(operation).status_code == 400
    assert bank.movements == []


@pytest.mark.parametrize("operation", ["credits", "gateway-credits"])
def test_operations_without_keys_do_it_twice(bank: RunningBank, operation: str) -> None:
    bank.post(operation, "k")
    bank.post(operation, "k")
    assert [each.key for each in bank.movements] == ["k", "k"]


def test_lookups_know_every_effect_at_once_and_nothing_else(bank: RunningBank) -> None:
    assert bank.get("/debits/by-key/k").status_code == 404
    assert bank.get("/credits/by-reference/r-1").status_code == 404
    debit, credit = bank.post("debits", "k").json(), bank.post("credits").json()
    assert bank.get("/debits/by-key/k").json() == debit
    assert bank.get("/credits/by-reference/r-1").json() == credit


def test_the_gateway_has_no_lookup(bank: RunningBank) -> None:
    bank.post("gateway-credits", "k")
    assert bank.get("/gateway-credits/by-key/k").json() == {"code": "no_such_page"}
    assert bank.get("/gateway-credits/by-reference/r-1").json() == {"code": "no_such_page"}


def test_refuses_what_the_account_does_not_hold(tmp_path: Path) -> None:
    with RunningBank(tmp_path / "books", "--opening", "700", "--closed", "eve") as bank:
        assert bank.post("debits", "k").status_code == 200
        assert bank.post("debits", "l").json() == {"code": "insufficient_funds"}
        assert bank.post("credits", account="eve").json() == {"code": "account_closed"}
        assert len(bank.movements) == 1
    [account] = books.read(tmp_path / "books")[1]
    assert (account.opening, account.balance) == (700, 200)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0"},
        {"amount": "1.001"},
        {"amount": "NaN"},
        {"amount": 5},
        {"reference": None},
        {"amount": "-5.00"},
        {"amount": "0.00"},
        {"currency": "eur"},
        {"account": ""},
    ],
)
def test_refuses_malformed_requests(bank: RunningBank, fields: dict[str, Any]) -> None:
    assert bank.post("debits", "k", **fields).status_code == 400
    assert bank.movements == []


def test_loses_a_request(bank: RunningBank) -> None:
    bank.next("lose_request")
    with pytest.raises(CUT):
        bank.post("debits", "k")
    assert bank.movements == []


def test_loses_a_reply_after_the_effect(bank: RunningBank) -> None:
    bank.next("lose_reply")
    with pytest.raises(CUT):
        bank.post("gateway-credits")
    assert len(bank.movements) == 1


def test_says_500_after_the_effect(bank: RunningBank) -> None:
    bank.next("error_after")
    assert bank.post("debits", "k").status_code == 500
    assert len(bank.movements) == 1
    assert bank.post("debits", "k").status_code == 200
    assert len(bank.movements) == 1


def test_refuses_as_told_but_never_a_key_that_it_knows(bank: RunningBank) -> None:
    bank.next("refuse", operation="debits")
    assert bank.post("debits", "k").status_code == 402
    assert bank.post("debits", "k").status_code == 200
    bank.next("refuse")
    assert bank.post("debits", "k").status_code == 200
    assert len(bank.movements) == 1


def test_throttles(bank: RunningBank) -> None:
    bank.next("throttle:3")
    answer = bank.post("debits", "k")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert bank.movements == []


def test_is_busy(bank: RunningBank) -> None:
    bank.next("busy")
    assert bank.post("debits", "k").status_code == 409
    assert bank.movements == []


def test_cuts_a_reply_short_after_the_effect(bank: RunningBank) -> None:
    bank.next("cut_reply")
    with pytest.raises(httpx.RemoteProtocolError):
        bank.post("debits", "k")
    assert len(bank.movements) == 1


def test_drips(bank: RunningBank) -> None:
    bank.next("drip:0.3")
    began = time.monotonic()
    assert bank.post("debits", "k").json()["reference"] == "r-1"
    assert time.monotonic() - began >= 0.3


def test_answers_with_a_bomb(bank: RunningBank) -> None:
    bank.next("bomb")
    answer = bank.post("debits", "k")
    assert len(answer.content) == BOMB
    assert int(answer.headers["Content-Length"]) < BOMB // 500
    assert len(bank.movements) == 1


@pytest.mark.parametrize("manner", ["slow:0.2", "slow_reply:0.2"])
def test_is_slow(bank: RunningBank, manner: str) -> None:
    bank.next(manner)
    began = time.monotonic()
    assert bank.post("debits", "k").status_code == 200
    assert time.monotonic() - began >= 0.2


def test_holds_a_request_before_its_effect_until_released(bank: RunningBank) -> None:
    bank.next("hold_request")
    waiting = in_background(lambda: bank.post("debits", "k"))
    eventually(lambda: bank.held == 1)
    assert bank.movements == []
    bank.release()
    waiting.join(10)
    assert len(bank.movements) == 1


def test_holds_a_reply_after_the_effect_even_of_a_client_that_has_gone(bank: RunningBank) -> None:
    bank.next("hold_reply")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{bank.address}/gateway-credits", json=FIVE, timeout=0.3, trust_env=False)
    assert len(bank.movements) == 1
    bank.release()


def test_goes_down_refuses_connections_and_comes_back_at_the_same_address(bank: RunningBank) -> None:
    bank.next("down:0.5")
    with pytest.raises(CUT):
        bank.post("debits", "k")
    eventually(lambda: refuses(bank.address), timeout=5)
    eventually(lambda: answers(bank.address), timeout=5)
    assert bank.post("debits", "k").status_code == 200
    assert len(bank.movements) == 1


def refuses(address: str) -> bool:
    return asked(address) is httpx.ConnectError


def answers(address: str) -> bool:
    return asked(address) is None


def asked(address: str) -> type[Exception] | None:
    try:
        httpx.get(f"{address}/debits/by-key/none", trust_env=False)
    except httpx.TransportError as error:
        return type(error)
    return None


def test_manners_wait_for_their_operation(bank: RunningBank) -> None:
    bank.next("throttle", operation="credits")
    assert bank.post("debits", "k").status_code == 200
    assert bank.post("credits").status_code == 429


def test_manners_wait_for_their_reference(bank: RunningBank) -> None:
    bank.next("throttle", reference="r-2")
    assert bank.post("debits", "k").status_code == 200
    assert bank.post("debits", "k-2", reference="r-2").status_code == 429


def test_manners_wait_for_their_account(bank: RunningBank) -> None:
    bank.next("throttle", account="bob")
    assert bank.post("holds", "k").status_code == 200
    assert bank.post("holds", "l", account="bob").status_code == 429


def test_money_that_is_held_is_taken_once_and_given_back_by_a_release(bank: RunningBank) -> None:
    for operation in ("holds", "captures", "releases"):
        assert bank.post(operation, "k").json()["amount"] == "5.00"
    assert [(each.operation, each.cents) for each in bank.movements] == [
        ("holds", -500),
        ("captures", 0),
        ("releases", 500),
    ]


def test_a_reservation_moves_nothing_and_can_be_asked_for(bank: RunningBank) -> None:
    reserved = bank.post("reservations").json()
    assert bank.get("/reservations/by-reference/r-1").json() == reserved
    bank.post("cancellations")
    assert [each.cents for each in bank.movements] == [0, 0]


def test_keeps_a_fee_as_told_and_says_so(bank: RunningBank) -> None:
    bank.next("keep_a_fee")
    assert bank.post("credits").json()["amount"] == "4.50"
    assert [(each.cents, each.amount) for each in bank.movements] == [(450, Decimal("4.50"))]


def test_unknown_manners_are_refused(bank: RunningBank) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        bank.next("bow")
    with pytest.raises(ValueError, match="'bow' is none of behave"):
        Manners(1, rates("bow=0.1"))
    with pytest.raises(ValueError, match="at most 1"):
        rates("slow=0.6,lose_reply=0.6")


def test_chance_follows_from_seed_and_reference_alone() -> None:
    def fates(seed: int, order: list[int]) -> dict[int, str]:
        manners = Manners(seed, {"lose_reply": 0.3, "slow": 0.3})
        return {number: manners.next("debits", f"r-{number}").name for number in order}

    forwards = fates(1, list(range(500)))
    assert forwards == fates(1, list(reversed(range(500))))
    assert forwards != fates(2, list(range(500)))
    shares = [list(forwards.values()).count(name) / 500 for name in ("lose_reply", "slow", "behave")]
    assert all(0.2 < share < 0.5 for share in shares)


def test_chance_strikes_a_reference_once() -> None:
    manners = Manners(1, {"lose_reply": 1})
    assert [manners.next("debits", "r").name for _ in range(3)] == ["lose_reply", "behave", "behave"]
    assert manners.next("refunds", "r").name == "lose_reply"


def test_every_manner_is_known_by_its_name() -> None:
    queued = Manners(1, {})
    queued.queue(list(SECONDS))
    assert [queued.next("debits", "r").name for _ in SECONDS] == list(SECONDS)


def test_a_refused_movement_leaves_no_trace(tmp_path: Path) -> None:
    with closing(Books(tmp_path / "books", opening=100)) as open_books:
        with pytest.raises(Refused):
            open_books.move(Movement(0, "debits", "k", "r", "ada", "EUR", -101, 101), remember=b"x")
        assert open_books.answered("debits", "k") is None
    assert books.read(tmp_path / "books") == ([], [])


def test_the_books_can_be_read_by_any_program_while_the_bank_runs(bank: RunningBank, tmp_path: Path) -> None:
    bank.post("debits", "k")
    with closing(sqlite3.connect(tmp_path / "books")) as other:
        assert other.execute("SELECT operation, cents FROM movement").fetchall() == [("debits", -500)]
