"""What providers, the network to the database and people do while a call is under way, and how it ends: at banks that
offer a key, a lookup, or neither."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.crash.mortal import KINDS, Kind
from tests.crash.payers import Payers, side_by_side
from tests.servers.proxy import proxy
from tests.support import eventually

MANNERS = {
    "error_after": 1,
    "cut_reply": 1,
    "drip": 1,
    "bomb": 1,
    "lose_reply": 1,
    "lose_request": 0,
    "busy": 0,
    "throttle": 0,
}
"""What the bank does with the first request, and how many effects that has."""
PROVE_NOTHING = MANNERS.keys() - {"throttle"}


def test_whatever_a_bank_answers_the_call_ends_as_it_must(payers: Payers) -> None:
    """Where the answer proves nothing, the same key or a lookup finds out; where there is neither, a person."""
    cases: dict[str, tuple[str, Kind]] = {f"{manner} {kind}": (manner, kind) for manner in MANNERS for kind in KINDS}
    for number, (manner, kind) in cases.items():
        payers.bank.next(manner, reference=number)
        payers.order(number, kind, number)
    with payers.begin({number: kind for number, (_, kind) in cases.items()}, threads=4) as payer:
        tried = "SELECT FROM onceward.attempt WHERE no = 1 AND verdict IS NOT NULL"
        eventually(lambda: len(payers.rows(tried)) == len(cases), 60, lambda: payer.output[-4000:])
        payers.pass_time()
        payers.wait_until_quiet(describe=lambda: payer.output[-4000:])
        assert payer.terminate() == 0
    doubtful = {each for each, (manner, kind) in cases.items() if kind == "neither" and manner in PROVE_NOTHING}
    judge(payers, cases.keys(), doubtful, {number: MANNERS[manner] for number, (manner, _) in cases.items()})


LOST: Mapping[str, tuple[bytes, bytes]] = {
    "claim": (b"SET epoch = epoch + 1, state = 'running'", b""),
    "attempt": (b"INSERT INTO onceward.attempt", b""),
    "answer": (b"SET state = 'succeeded'", b""),
    "step": (b"COMMIT", b"INSERT INTO onceward.flow_step"),
    "end": (b"SET state = 'completed'", b""),
}
"""What is committed, and what was said before in the transaction, unless it is one by itself."""


def test_a_commit_whose_reply_is_lost_is_found_again(payers: Payers) -> None:
    """Only where the attempt was recorded, and nobody told the worker, it could have been sent: nothing of it was."""
    cases: dict[str, tuple[str, Kind]] = {f"{moment} {kind}": (moment, kind) for moment in LOST for kind in KINDS}
    where = urlsplit(payers.database.url)

    def lose(number: str) -> None:
        moment, kind = cases[number]
        with proxy(str(where.hostname), where.port or 5432) as wire:
            question, before = LOST[moment]
            wire.lose_reply_to(question, before=before)
            payers.order(number, kind, number)
            through = urlunsplit(where._replace(netloc=f"{where.username}@127.0.0.1:{wire.port}"))
            with payers.begin({number: kind}, database=through) as payer:
                eventually(lambda: wire.lost == 1, 60, lambda: payer.output[-4000:])
                if moment not in ("claim", "attempt"):
                    eventually(lambda: payers.flows()[number] == "completed", 60, lambda: payer.output[-4000:])
                assert payer.terminate() == 0

    side_by_side(lose, cases)
    payers.pass_time()
    with payers.begin({number: kind for number, (_, kind) in cases.items()}, threads=4) as another:
        payers.wait_until_quiet(describe=lambda: another.output[-4000:])
    judge(payers, cases.keys(), {"attempt neither"}, {"attempt neither": 0})


def judge(payers: Payers, orders: Any, doubtful: set[str], effects: Mapping[str, int]) -> None:
    """Ask the checker. `effects`: of the doubtful ones; the others have one each."""
    verdict = payers.verdict(doubtful)
    assert verdict, str(verdict)
    assert payers.flows() == {each: "waiting" if each in doubtful else "completed" for each in orders}
    assert payers.effects() == Counter({each: effects[each] if each in doubtful else 1 for each in orders})
    assert {row.ref for row in payers.rows("SELECT ref FROM onceward.incident WHERE closed_at IS NULL")} == doubtful
    paid = Counter(row.number for row in payers.rows("SELECT number FROM public.paid"))
    assert paid == Counter(orders - doubtful)


SEVERAL = [f"order {number}" for number in range(4)]


def sleep_with_the_answer(payers: Payers, numbers: list[str], stack: ExitStack) -> dict[str, Any]:
    """Let payers stop when they have the answer of a bank without keys and lookups; return them."""
    sleepers = {}
    for number in numbers:
        payers.order(number, "neither", number)
        sleepers[number] = stack.enter_context(payers.begin({number: "neither"}, "call.answered:1:STOP"))
    for sleeper in sleepers.values():
        sleeper.wait_frozen()
    payers.pass_time()
    return sleepers


def test_a_person_and_a_worker_settle_one_call_at_the_same_moment(payers: Payers) -> None:
    """The answer comes late, just when a person says the same: the call is settled once, by one of the two."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        sleepers = sleep_with_the_answer(payers, SEVERAL, stack)
        other = stack.enter_context(payers.begin(dict.fromkeys(SEVERAL, "neither")))
        payers.wait_until_quiet(describe=lambda: other.output[-4000:])
        assert set(payers.states().values()) == {"in_doubt"}
        for number in SEVERAL:
            person = pool.submit(payers.decide, "applied", number)
            sleepers[number].resume()
            try:
                person.result()
            except psycopg.Error as late:
                assert late.sqlstate in ("OW004", "55000"), late  # noqa: PT017 -- one of the two is first
        payers.wait_until_quiet(describe=lambda: other.output[-4000:])
    judge(payers, set(SEVERAL), set(), {})
    settled = Counter(row[0] for row in payers.rows("SELECT settled_by FROM onceward.call"))
    decided = Counter(row[0] for row in payers.rows("SELECT state FROM onceward.resolution"))
    assert settled["answer"] + settled["person"] == len(SEVERAL)
    assert settled["person"] == decided["applied"]
    assert decided.keys() <= {"applied", "stale"}
    assert not payers.rows("SELECT FROM onceward.call WHERE conflict_at IS NOT NULL")


def test_an_answer_that_contradicts_a_person_is_told(payers: Payers) -> None:
    """People found no effect, the flow was undone, and then the worker wakes up with the answer: severity 1."""
    with ExitStack() as stack:
        sleepers = sleep_with_the_answer(payers, ["misread"], stack)
        other = stack.enter_context(payers.begin({"misread": "neither"}))
        payers.wait_until_quiet()
        payers.decide("not_applied", "misread")
        eventually(lambda: payers.flows() == {"misread": "undone"}, 60, lambda: other.output[-4000:])
        sleepers["misread"].resume()
        told = "SELECT kind, severity FROM onceward.incident WHERE closed_at IS NULL"
        eventually(lambda: payers.rows(told) == [("conflict", 1)], 30, lambda: payers.rows(told))
    assert payers.states() == {"misread": "failed"}
    assert payers.verdict(set()).kinds() == {"wrong outcome", "undone but kept"}, "as the bank's books say too"
