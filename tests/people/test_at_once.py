"""Two who decide at the same moment, and a person and a worker at one call."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from sqlalchemy import create_engine

from onceward.database import sqlalchemy_url
from onceward.ledger import Ledger
from onceward.ledger.resolving import Resolving
from tests.ledger.bank import Bank, provider_of
from tests.people.desk import ANSWER, REASON, Desk, calling
from tests.support import eventually

Session = psycopg.Connection[DictRow]
RESULT = {"reference": "r-9", "amount": "100"}
SETTLE = """
UPDATE onceward.call SET state = 'succeeded', result = '{}', settled_at = now(), settled_by = 'lookup', due_at = NULL, version = version + 1
 WHERE id = %s AND settled_at IS NULL
"""
UNDO = """
INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, undoes, amount, currency, state, scope, first_sent_at, send_by, due_at)
VALUES (%(id)s, 'bank', 'refund', %(id)s::text, '{}', decode(repeat('00', 32), 'hex'), %(undoes)s, %(amount)s, 'EUR', 'in_flight', 's', now(), now(), now())
"""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def behind(desk: Desk, pool: ThreadPoolExecutor, session: Session, act: Callable[[Session], Any]) -> "Future[Any]":
    """Begin `act` in another session and return once it waits for a lock."""
    pid = session.info.backend_pid

    def act_and_commit() -> Any:
        with session:
            return act(session)

    future = pool.submit(act_and_commit)
    eventually(lambda: desk.one("SELECT cardinality(pg_blocking_pids(%(pid)s)) AS n", pid=pid)["n"] > 0)
    return future


def proposing(call: UUID, verb: str = "not_applied", **more: Any) -> Callable[[Session], DictRow]:
    given = {"id": uuid4(), "verb": verb, "subject": call, "seen_version": 1, "actor": "ada", "reason": REASON, **more}
    return lambda session: calling(session, "propose", **given)


def test_of_two_who_approve_at_once_one_does(desk: Desk, pool: ThreadPoolExecutor) -> None:
    decision = desk.propose("not_applied", desk.call())
    with desk.another() as first, desk.another() as second:
        calling(first, "approve", id=decision["id"], actor="bob", reason="yes")
        waiting = behind(
            desk,
            pool,
            second,
            lambda session: calling(session, "approve", id=decision["id"], actor="carol", reason="yes"),
        )
        first.commit()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is approved already"):
            waiting.result()
    assert desk.audit() == [("ada", "decision.propose", "call"), ("bob", "decision.approve", "call")]


def test_an_approval_and_a_withdrawal_at_once_end_in_one_of_both(desk: Desk, pool: ThreadPoolExecutor) -> None:
    decision = desk.propose("not_applied", desk.call())
    with desk.another() as first, desk.another() as second:
        calling(first, "withdraw", id=decision["id"], actor="ada", reason="a mistake")
        waiting = behind(
            desk,
            pool,
            second,
            lambda session: calling(session, "approve", id=decision["id"], actor="bob", reason="yes"),
        )
        first.commit()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="is withdrawn already"):
            waiting.result()


def test_a_form_that_is_sent_twice_at_once_is_one_decision(desk: Desk, pool: ThreadPoolExecutor) -> None:
    propose = proposing(desk.call())
    with desk.another() as first, desk.another() as second:
        decision = propose(first)
        waiting = behind(desk, pool, second, propose)
        first.commit()
        assert waiting.result() == decision
    assert desk.audit() == [("ada", "decision.propose", "call")]


def test_of_two_decisions_at_once_one_is_taken(desk: Desk, pool: ThreadPoolExecutor) -> None:
    call = desk.call()
    evidence = desk.evidence(call)
    with desk.another() as first, desk.another() as second:
        proposing(call, "not_applied")(first)
        other = proposing(call, "applied", actor="bob", evidence=evidence, body={"result": ANSWER})
        waiting = behind(desk, pool, second, other)
        first.commit()
        with pytest.raises(
            psycopg.errors.ObjectNotInPrerequisiteState, match='the decision "not_applied" of ada waits'
        ):
            waiting.result()


def test_one_id_for_two_calls_at_once_is_refused(desk: Desk, pool: ThreadPoolExecutor) -> None:
    same = uuid4()
    with desk.another() as first, desk.another() as second:
        proposing(desk.call(), id=same)(first)
        waiting = behind(desk, pool, second, proposing(desk.call(), id=same))
        first.commit()
        with pytest.raises(psycopg.errors.UniqueViolation, match="is another decision already"):
            waiting.result()


def test_a_settlement_that_comes_first_makes_the_view_stale(desk: Desk, pool: ThreadPoolExecutor) -> None:
    call = desk.call()
    with psycopg.connect(desk.database.participant_url, row_factory=dict_row) as worker, desk.another() as person:
        worker.execute(SETTLE, (call,))
        waiting = behind(desk, pool, person, proposing(call))
        worker.commit()
        with pytest.raises(psycopg.Error, match="the call has changed since it was seen") as stale:
            waiting.result()
    assert stale.value.sqlstate == "OW004"
    assert desk.audit() == []


def test_a_settlement_that_comes_second_makes_the_decision_stale(desk: Desk, pool: ThreadPoolExecutor) -> None:
    call = desk.call()
    with desk.another() as person, psycopg.connect(desk.database.participant_url, row_factory=dict_row) as worker:
        decision = proposing(call)(person)
        waiting = behind(desk, pool, worker, lambda session: session.execute(SETTLE, (call,)).rowcount)
        person.commit()
        assert waiting.result() == 1, "what the provider says is never lost to a decision"
    assert desk.approve(decision)["state"] == "stale"


def test_a_settlement_and_an_approval_at_once_approve_nothing(desk: Desk, pool: ThreadPoolExecutor) -> None:
    call = desk.call()
    decision = desk.propose("not_applied", call)
    with psycopg.connect(desk.database.participant_url, row_factory=dict_row) as worker, desk.another() as person:
        worker.execute(SETTLE, (call,))
        waiting = behind(
            desk,
            pool,
            person,
            lambda session: calling(session, "approve", id=decision["id"], actor="bob", reason="yes"),
        )
        worker.commit()
        assert waiting.result()["state"] == "stale"


def test_two_refunds_at_once_never_exceed_what_was_paid(desk: Desk, pool: ThreadPoolExecutor) -> None:
    call = desk.call("succeeded")
    with (
        psycopg.connect(desk.database.participant_url, row_factory=dict_row) as first,
        psycopg.connect(desk.database.participant_url, row_factory=dict_row) as second,
    ):
        first.execute(UNDO, {"id": uuid4(), "undoes": call, "amount": 60})
        waiting = behind(
            desk, pool, second, lambda session: session.execute(UNDO, {"id": uuid4(), "undoes": call, "amount": 60})
        )
        first.commit()
        with pytest.raises(
            psycopg.Error, match="of 100 EUR are 60 undone already, or just being undone, so not 60 more"
        ) as refused:
            waiting.result()
    assert refused.value.sqlstate == "OW002"
    assert desk.one("SELECT sum(amount) AS sum FROM onceward.call WHERE undoes IS NOT NULL") == {"sum": 60}


@pytest.mark.parametrize(
    ("parent", "undo", "error"),
    [
        ({"state": "in_doubt"}, {}, "only a call that succeeded"),
        (
            {"state": "succeeded"},
            {"amount": "100.01"},
            "of 100 EUR are 0 undone already, or just being undone, so not 100.01 more",
        ),
        ({"state": "succeeded"}, {"currency": "USD"}, "moved EUR, not USD"),
    ],
)
def test_no_program_undoes_more_than_was_done(
    desk: Desk, parent: dict[str, Any], undo: dict[str, Any], error: str
) -> None:
    call = desk.call(**parent)
    with pytest.raises(psycopg.Error, match=error) as refused:
        desk.call("in_flight", operation="refund", undoes=call, **undo)
    assert refused.value.sqlstate == "OW002"


@dataclass
class Floor:
    """Four people's and workers' place: each thing is done at random, and what was refused is refused."""

    desk: Desk
    resolving: Resolving
    calls: list[UUID]
    evidence: dict[UUID, UUID]

    def work(self, choice: random.Random) -> Counter[str]:
        """Do thirty things and return how many of each took effect."""
        done: Counter[str] = Counter()
        login = self.desk.database
        with (
            psycopg.connect(login.console_url, row_factory=dict_row, autocommit=True) as person,
            psycopg.connect(login.participant_url, autocommit=True) as worker,
        ):
            for _ in range(30):
                verb = choice.choice(
                    ["propose", "propose", "approve", "approve", "reject", "withdraw", "change", "work"]
                )
                with suppress(psycopg.Error):
                    done[verb] += self._do(verb, person, worker, choice)
        return done

    def _do(self, verb: str, person: Session, worker: Any, choice: random.Random) -> bool:
        actor, call = choice.choice(["ada", "bob", "Ada "]), choice.choice(self.calls)
        if verb == "work":
            return self.resolving.carry_out(1) > 0
        if verb == "change":
            command = "UPDATE onceward.call SET version = version + 1 WHERE id = %s AND settled_at IS NULL"
            return bool(worker.execute(command, (call,)).rowcount)
        if verb == "propose":
            settles = {"verb": "applied", "evidence": self.evidence[call], "body": {"result": RESULT}}
            what: dict[str, Any] = choice.choice([{"verb": "not_applied"}, settles])
            proposing(call, actor=actor, seen_version=self.desk.version(call), **what)(person)
            return True
        known = person.execute("SELECT id FROM onceward.resolution ORDER BY proposed_at DESC LIMIT 3").fetchall()
        if known:
            calling(person, verb, id=choice.choice(known)["id"], actor=actor, reason="as agreed")
        return bool(known)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_people_and_workers_do_at_once_the_books_are_right(
    desk: Desk, pool: ThreadPoolExecutor, seed: int
) -> None:
    """One open decision for each call, two people where it needs two, an entry for each step, each call settled once."""
    provider, _ = provider_of(Bank())
    engine = create_engine(sqlalchemy_url(desk.database.participant_url))
    ledger = Ledger(engine, "payer", [provider], worker="worker")
    ledger.declare()
    calls = [desk.call() for _ in range(6)]
    evidence = {call: desk.evidence(call) for call in calls}
    floor = Floor(desk, Resolving(engine, ledger, "worker"), calls, evidence)

    done = sum(pool.map(floor.work, map(random.Random, range(seed * 10, seed * 10 + 4))), Counter[str]())
    engine.dispose()

    assert done["propose"] > 3, done
    assert done["work"] > 0, done
    decisions = desk.all(
        "SELECT *, onceward.person(proposed_by) = onceward.person(decided_by) AS alone FROM onceward.resolution"
    )
    rows = {row["id"]: row for row in desk.all("SELECT * FROM onceward.call")}
    for call in calls:
        its = Counter(each["state"] for each in decisions if each["call_id"] == call)
        assert its["proposed"] + its["approved"] <= 1
        settling = [each for each in decisions if each["call_id"] == call and each["state"] == "applied"]
        assert [each["id"] for each in settling] == [id_ for id_ in [rows[call]["resolution_id"]] if id_]
        ends = {"applied": "succeeded", "not_applied": "failed"}
        assert rows[call]["state"] == (ends[settling[0]["verb"]] if settling else "in_doubt")
    for each in decisions:
        assert each["state"] not in ("approved", "applied") or each["approvals"] == 0 or not each["alone"]
    steps = desk.all("SELECT action, body FROM onceward.audit WHERE action LIKE 'decision.%%' ORDER BY no")
    assert len([each for each in steps if each["action"] == "decision.propose"]) == len(decisions)
    last = {each["body"]["decision"]: each["body"].get("state", each["action"].rpartition(".")[2]) for each in steps}
    assert last == {str(each["id"]): each["state"] for each in decisions}, "the audit knows how each has ended"
