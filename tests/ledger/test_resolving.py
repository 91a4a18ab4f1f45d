"""What people have decided is carried out by a worker: once, for what they saw, and with an outcome in words."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from pydantic import BaseModel
from sqlalchemy import create_engine, text

from onceward import CallFailed, Flow, Money, UndoFlow
from onceward.database import sqlalchemy_url
from onceward.ids import derived
from onceward.ledger import Failed, Ledger, Succeeded
from onceward.ledger.evidence import Evidence
from onceward.ledger.report import report
from onceward.ledger.resolving import Resolving
from onceward.providers import Never, SameKey, Sending
from tests.conftest import Database, fresh_database
from tests.flows.support import Payer, Transfer, flow_id, request
from tests.flows.test_worker import running
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Paid, Pay, provider_of
from tests.ledger.conftest import Books, Make
from tests.people.desk import calling
from tests.servers.postgres import TestServer
from tests.support import eventually

HOUR = timedelta(hours=1)
REASON = "the bank said so on the phone"
RESULT = {"reference": "ref-9", "amount": "5.00"}
TABLES = "onceward.call, onceward.flow, onceward.evidence, onceward.incident, onceward.outbox"


class Refund(BaseModel):
    amount: Decimal
    reference: str = "ref-1"


class People:
    """Ada decides, Bob agrees, a worker carries it out."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self.owner = database.engine
        self._engine = create_engine(sqlalchemy_url(database.participant_url))
        self.ledger = ledger
        self.resolving = Resolving(self._engine, ledger, "worker-1")
        self.console = psycopg.connect(database.console_url, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        self.console.close()
        self._engine.dispose()

    def decide(self, verb: str, subject: UUID, **arguments: Any) -> UUID:
        """Let Ada decide by what she sees now, and Bob agree, if he has to."""
        kind = "flow" if verb in ("undo", "close") else "call"
        (version,) = self.rows(f"SELECT version FROM onceward.{kind} WHERE id = :id", id=subject)
        given = {"id": uuid4(), "verb": verb, "subject": subject, "seen_version": version, "actor": "ada"}
        if verb == "applied":
            given |= {"body": {"result": RESULT}, "evidence": self.evidence(subject)}
        decision = calling(self.console, "propose", **(given | {"reason": REASON} | arguments))
        if decision["state"] == "proposed":
            calling(self.console, "approve", id=decision["id"], actor="bob", reason="I saw it too")
        return UUID(str(decision["id"]))

    def evidence(self, call: UUID) -> UUID:
        evidence_id = uuid4()
        given = {"id": evidence_id, "call": call, "kind": "statement", "says": "applied", "reference": "ref-9"}
        calling(self.console, "add_evidence", **given, body=None, actor="ada")
        return evidence_id

    def carry_out(self, verb: str, subject: UUID, **arguments: Any) -> tuple[str, str]:
        """Decide, have it carried out, and return its end."""
        decision = self.decide(verb, subject, **arguments)
        assert self.resolving.carry_out() == 1
        return self.end(decision)

    def change_body(self, decision: UUID, result: Any) -> None:
        """Write another result into a decision, as if it had been made under an older model."""
        with self.owner.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(
                text("UPDATE onceward.resolution SET body = CAST(:body AS jsonb) WHERE id = :id"),
                {"id": decision, "body": json.dumps({"result": result})},
            )

    def end(self, decision: UUID) -> tuple[str, str]:
        ((state, outcome),) = self.rows("SELECT state, outcome FROM onceward.resolution WHERE id = :id", id=decision)
        return state, outcome

    def calls(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT state, take, amount::float FROM onceward.call ORDER BY created_at")

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.owner.connect() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query), values)]

    def incidents(self) -> list[str]:
        return self.rows("SELECT kind FROM onceward.incident WHERE closed_at IS NULL ORDER BY opened_at")

    def audit(self) -> DictRow:
        row = self.console.execute("SELECT * FROM onceward.audit ORDER BY no DESC LIMIT 1").fetchone()
        assert row is not None
        return row


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of this module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def database(shared: Database) -> Database:
    """The same, with empty tables."""
    with shared.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES} CASCADE"))
        connection.execute(text("DROP TABLE IF EXISTS booked"))
    return shared


class Calls:
    """A bank whose payments can be refunded in part, and calls of it outside flows."""

    def __init__(self, database: Database, ledger_of: Make, books: Books, *answers: Any, **declared: Any) -> None:
        self.bank = Bank(manners=list(answers), replays=False)
        self.provider, self.pay = provider_of(self.bank, **declared)

        @self.provider.operation(
            repeat=DAY, timeout=timedelta(seconds=1), value=lambda request: Money(request.amount, "EUR")
        )
        def refund(client: Bank, request: Refund, call: Sending) -> Paid:
            return client.take(call)

        self.pay.undone_by(refund, lambda request, paid: Refund(amount=request.amount, reference=paid.reference))
        self.ledger = ledger_of(self.provider)
        self.books = books
        self.people = People(database, self.ledger)

    def call(self) -> UUID:
        return self.ledger.call(self.pay, Pay(), key="1").call_id

    def in_doubt(self) -> UUID:
        """Make a call that nobody can settle by code, and let its time be over."""
        call_id = self.call()
        self.books.pass_time(HOUR)
        return call_id


@pytest.fixture
def make(database: Database, ledger_of: Make, books: Books) -> Iterator[Any]:
    made: list[Calls] = []

    def calls(*answers: Any, **declared: Any) -> Calls:
        made.append(Calls(database, ledger_of, books, *answers, **({"repeat": Never()} | declared)))
        return made[0]

    yield calls
    for each in made:
        each.people.close()


@pytest.fixture
def payer(database: Database) -> Iterator[Payer]:
    payer = Payer(database)
    yield payer
    payer.engine.dispose()


@pytest.fixture
def people(database: Database, payer: Payer) -> Iterator[People]:
    people = People(database, payer.ledger)
    yield people
    people.close()


class TestApplied:
    """A person says that it took effect."""

    def test_it_settles_the_call_with_the_result_that_the_person_gives(self, make: Any) -> None:
        it = make(manners.lose_the_reply)
        call_id = it.in_doubt()
        assert it.people.incidents() == ["in_doubt"]
        assert it.people.carry_out("applied", call_id) == ("applied", "it is settled as succeeded")
        call = it.books.call()
        assert (call.state, call.settled_by, call.provider_ref) == ("succeeded", "person", "ref-9")
        assert bytes(call.undo_request) == b'{"amount":"5.00","reference":"ref-9"}'
        assert it.people.incidents() == []
        assert isinstance(it.ledger.call(it.pay, Pay(), key="1"), Succeeded)
        said = it.people.audit()
        assert (said["actor"], said["action"], said["db_role"]) == ("ada", "decision.applied", "app")
        assert (said["body"]["outcome"], said["body"]["worker"]) == ("it is settled as succeeded", "worker-1")
        assert it.people.resolving.carry_out() == 0

    @pytest.mark.parametrize(
        ("result", "says"),
        [
            ({"reference": "r", "amount": "much"}, "result: amount: "),
            ({"reference": 5, "amount": "5"}, "result: reference: "),
        ],
    )
    def test_a_result_that_today_s_model_refuses_settles_nothing(self, make: Any, result: Any, says: str) -> None:
        it = make(manners.lose_the_reply)
        decision = it.people.decide("applied", it.in_doubt(), body={"result": RESULT})
        it.people.change_body(decision, result)
        it.people.resolving.carry_out()
        state, outcome = it.people.end(decision)
        assert (state, outcome.startswith(says)) == ("failed", True), outcome
        assert it.books.call().state == "in_doubt"
        assert it.people.incidents() == ["in_doubt"]

    def test_an_answer_that_comes_first_makes_it_stale(self, make: Any) -> None:
        it = make(manners.lose_the_reply)
        decision = it.people.decide("applied", it.in_doubt())
        with it.people.owner.begin() as connection:
            paid = Paid(reference="r", amount=Decimal(5))
            connection.execute(report(it.provider, key="1", applied=True, body=paid, evidence_id=uuid4()))
        Evidence(it.people.owner, it.ledger).handle()
        it.people.resolving.carry_out()
        assert it.people.end(decision) == ("stale", "it has changed since it was seen, and is succeeded now")
        assert it.books.call().settled_by == "webhook"
        assert it.people.audit()["action"] == "decision.stale"


class TestNotApplied:
    """A person says that it took no effect."""

    def test_it_settles_the_call_as_failed(self, make: Any) -> None:
        it = make(manners.lose_the_request)
        assert it.people.carry_out("not_applied", it.in_doubt()) == ("applied", "it is settled as failed")
        assert (it.books.call().state, it.books.call().settled_by) == ("failed", "person")
        outcome = it.ledger.call(it.pay, Pay(), key="1")
        assert isinstance(outcome, Failed)
        assert outcome.code == "person"
        assert it.people.incidents() == []

    def test_not_while_an_attempt_may_still_take_effect(self, make: Any) -> None:
        it = make(manners.lose_the_request)
        decision = it.people.decide("not_applied", it.in_doubt())
        it.books.pass_time(-HOUR)
        it.people.resolving.carry_out()
        assert it.people.end(decision)[0] == "stale"
        assert it.books.call().state == "in_doubt"

    def test_a_lookup_that_proved_nothing_does_not_make_it_stale(self, make: Any) -> None:
        it = make(manners.lose_the_request, lookup="positive")
        call_id = it.in_doubt()
        it.ledger.sweep()
        it.books.pass_time(timedelta(minutes=5))
        decision = it.people.decide("not_applied", call_id)
        it.ledger.sweep()
        assert it.books.attempts()[-1] == ("lookup", "absent")
        it.people.resolving.carry_out()
        assert it.people.end(decision)[0] == "applied"


class TestRefund:
    """A person reverses a call that succeeded; the sum of refunds never exceeds it."""

    def test_a_refund_is_a_call_of_its_own_with_the_request_that_was_kept(self, make: Any) -> None:
        it = make()
        call_id = it.call()
        state, outcome = it.people.carry_out("refund", call_id)
        assert (state, outcome.endswith(" reverses 5 EUR")) == ("applied", True)
        assert it.people.calls() == [("succeeded", 1, 5.0), ("pending", 1, 5.0)]
        it.ledger.sweep()
        assert it.people.calls()[1][0] == "succeeded"
        assert it.bank.sent[1] == b'{"amount":"5.00","reference":"ref-1"}'
        ((undoes, step, key, id),) = it.people.rows(  # noqa: A001
            "SELECT undoes, step, key, id::text FROM onceward.call WHERE operation = 'refund'"
        )
        assert (undoes, step, key) == (call_id, None, id)

    def test_parts_are_refunded_up_to_the_whole(self, make: Any) -> None:
        it = make()
        call_id = it.call()

        def part(amount: str) -> UUID:
            body = {"request": {"amount": amount, "reference": "ref-1"}}
            decision: UUID = it.people.decide("refund", call_id, amount=Decimal(amount), currency="EUR", body=body)
            return decision

        for amount in ("2", "3"):
            decision = part(amount)
            it.people.resolving.carry_out()
            assert it.people.end(decision)[0] == "applied"
        with pytest.raises(psycopg.Error, match="all of it is undone already"):
            part("1")
        assert [amount for _, _, amount in it.people.calls()] == [5, 2, 3]

    def test_more_than_is_left_is_refused_by_the_schema(self, make: Any) -> None:
        """The decision was made before; the sum is looked at when the refund is made."""
        it = make()
        call_id = it.call()
        decision = it.people.decide("refund", call_id)
        with it.people.owner.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, undoes, amount, currency, state, due_at)"
                    " SELECT gen_random_uuid(), provider, 'refund', 'x', '', fingerprint, id, 1, 'EUR', 'pending', now() FROM onceward.call"
                )
            )
        it.people.resolving.carry_out()
        state, outcome = it.people.end(decision)
        assert state == "failed"
        assert "of 5 EUR are 1 undone already" in outcome
        assert len(it.people.calls()) == 2

    def test_a_request_for_other_money_than_was_decided_is_refused(self, make: Any) -> None:
        it = make()
        body = {"request": {"amount": "4", "reference": "ref-1"}}
        state, outcome = it.people.carry_out("refund", it.call(), amount=Decimal(3), body=body)
        assert (state, outcome) == ("failed", "amount: bank/refund would reverse 4 EUR, but 3 EUR was decided")
        assert len(it.people.calls()) == 1

    def test_a_request_that_cannot_be_read_is_refused_by_its_field(self, make: Any) -> None:
        it = make()
        state, outcome = it.people.carry_out("refund", it.call(), body={"request": {"amount": "NaN"}})
        assert (state, outcome.startswith("request: amount: ")) == ("failed", True), outcome

    def test_two_refunds_at_once_never_exceed_the_call(self, make: Any, database: Database) -> None:
        """A person and a program that writes rows itself, at the same moment: one waits for the other."""
        it = make()
        call_id = it.call()
        decision = it.people.decide("refund", call_id)
        query = (
            "INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, undoes, amount, currency, state, due_at)"
            " SELECT gen_random_uuid(), provider, 'refund', 'x', '', fingerprint, id, 3, 'EUR', 'pending', now() FROM onceward.call"
        )
        with psycopg.connect(database.url) as other:
            other.execute(query.encode())
            worker = Thread(target=it.people.resolving.carry_out)
            worker.start()
            worker.join(0.2)
            other.commit()
            worker.join(10)
        assert it.people.end(decision)[0] == "failed"
        assert [amount for _, _, amount in it.people.calls()] == [5, 3]


class TestNewKey:
    """A person has a failed call of a flow made again, under another key."""

    @staticmethod
    def pay_past_the_pivot(payer: Payer) -> Any:
        def code(flow: Flow, event: Transfer) -> None:
            flow.call(payer.pay, Pay(to="pivot"), step="first", pivot=True)
            flow.call(payer.pay, request(event), step="second")

        return code

    def stuck(self, payer: Payer) -> UUID:
        payer.bank.manners = [manners.behave, manners.refuse]
        payer.run(self.pay_past_the_pivot(payer))
        assert (payer.flow().state, payer.open_incidents) == ("blocked", ["stuck_after_pivot"])
        (failed,) = payer.rows("SELECT id FROM onceward.call WHERE state = 'failed'")
        return UUID(str(failed))

    def test_the_flow_goes_on_with_the_new_call(self, payer: Payer, people: People) -> None:
        failed = self.stuck(payer)
        assert people.carry_out("new_key", failed)[0] == "applied"
        payer.run_due()
        assert payer.flow().state == "waiting", "for the call that is to be sent"
        payer.ledger.sweep()
        payer.run_due()
        assert (payer.flow().state, payer.open_incidents) == ("completed", [])
        new = derived(str(flow_id(1)), "second", "2")
        takes = payer.rows("SELECT id, key, take, state FROM onceward.call WHERE step = 'second' ORDER BY take")
        assert takes == [(failed, str(failed), 1, "failed"), (new, str(new), 2, "succeeded")]
        assert payer.bank.sent[1] == payer.bank.sent[2], "the stored bytes"
        assert payer.bank.worst == 1

    def test_a_new_call_that_fails_too_may_be_made_again(self, payer: Payer, people: People) -> None:
        failed = self.stuck(payer)
        payer.bank.manners = [manners.refuse]
        people.carry_out("new_key", failed)
        payer.ledger.sweep()
        payer.run_due()
        assert payer.flow().state == "blocked"
        second = derived(str(flow_id(1)), "second", "2")
        assert people.carry_out("new_key", second)[0] == "applied"
        with pytest.raises(psycopg.Error, match="it was made again already"):
            people.decide("new_key", failed)
        payer.ledger.sweep()
        payer.run_due()
        assert payer.flow().state == "completed"

    def test_not_once_the_flow_has_gone_on(self, payer: Payer, people: People) -> None:
        """Its code caught the failure and did something else instead."""

        def code(flow: Flow, event: Transfer) -> None:
            try:
                flow.call(payer.pay, request(event), step="first")
            except CallFailed:
                flow.sleep(HOUR, step="rest")
                flow.call(payer.pay, request(event), step="instead")

        payer.bank.manners = [manners.refuse]
        payer.run(code)
        failed = derived(str(flow_id(1)), "first", "1")
        with pytest.raises(psycopg.Error, match="its flow has gone on since"):
            people.decide("new_key", failed)

    def test_a_run_that_is_under_way_does_not_go_on_with_the_old_call(self, payer: Payer, people: People) -> None:
        """The decision is carried out while the flow's code makes up its mind: it loses its claim."""
        decided: list[Any] = []

        def code(flow: Flow, event: Transfer) -> None:
            try:
                flow.call(payer.pay, request(event), step="first")
            except CallFailed as failure:
                if not decided:
                    decided.append(people.carry_out("new_key", failure.call_id))
                flow.call(payer.pay, request(event), step="instead")

        payer.bank.manners = [manners.refuse]
        payer.code = code
        payer.run()
        assert decided[0][0] == "applied"
        payer.ledger.sweep()
        payer.run_due()
        assert payer.flow().state == "completed"
        assert payer.rows("SELECT step, take, state FROM onceward.call ORDER BY take") == [
            ("first", 1, "failed"),
            ("first", 2, "succeeded"),
        ], "and nothing instead of it"

    def test_an_undo_that_was_refused_is_made_again(self, payer: Payer, people: People) -> None:
        def code(flow: Flow, event: Transfer) -> None:
            flow.call(payer.pay, request(event))
            raise UndoFlow("changed his mind")

        payer.bank.manners = [manners.behave, manners.refuse]
        payer.run(code)
        assert (payer.flow().state, payer.open_incidents) == ("blocked", ["undo_failed"])
        (refused,) = payer.rows("SELECT id FROM onceward.call WHERE undoes IS NOT NULL")
        assert people.carry_out("new_key", refused)[0] == "applied"
        payer.ledger.sweep()
        payer.run_due()
        assert (payer.flow().state, payer.open_incidents) == ("undone", [])


class TestFlows:
    """A person undoes a flow or gives it up."""

    @staticmethod
    def pay_and_rest(payer: Payer) -> Any:
        def code(flow: Flow, event: Transfer) -> None:
            flow.call(payer.pay, request(event))
            flow.sleep(HOUR, step="rest")

        return code

    @pytest.mark.parametrize("ended", [False, True])
    def test_a_flow_is_undone_also_when_it_had_completed(self, payer: Payer, people: People, *, ended: bool) -> None:
        payer.run(self.pay_and_rest(payer))
        if ended:
            payer.pass_time(HOUR)
            payer.run_due()
        assert payer.flow().state == ("completed" if ended else "waiting")
        assert people.carry_out("undo", flow_id(1)) == ("applied", "what it did is being undone")
        payer.run_due()
        flow = payer.flow()
        assert (flow.state, flow.undo_reason, flow.resolution_id is not None) == ("undone", REASON, True)
        assert len(payer.bank.sent) == 2

    def test_a_pivot_that_is_passed_meanwhile_makes_the_undo_stale(self, payer: Payer, people: People) -> None:
        def code(flow: Flow, event: Transfer) -> None:
            flow.sleep(HOUR, step="rest")
            flow.call(payer.pay, request(event), pivot=True)

        payer.run(code)
        decision = people.decide("undo", flow_id(1))
        payer.pass_time(HOUR)
        payer.run_due()
        people.resolving.carry_out()
        assert people.end(decision)[0] == "stale"
        assert (payer.flow().state, payer.flow().undoing) == ("completed", False)

    def test_a_flow_is_closed_as_it_stands(self, payer: Payer, people: People) -> None:
        def code(flow: Flow, event: Transfer) -> None:
            flow.call(payer.pay, request(event))
            flow.call(payer.pay, request(event), step="again")

        payer.bank.manners = [manners.behave, manners.be_unreachable]
        payer.run(code)
        assert payer.calls == [("pay", "succeeded"), ("again", "pending")]
        assert people.carry_out("close", flow_id(1)) == ("applied", "it is closed")
        flow = payer.flow()
        assert (flow.state, flow.due_at, flow.resolution_id is not None) == ("closed", None, True)
        assert payer.calls == [("pay", "succeeded"), ("again", "cancelled")]
        assert (payer.run_due(), len(payer.bank.sent)) == (0, 2)

    def test_what_is_in_doubt_stays_to_be_settled_when_its_flow_is_closed(self, payer: Payer, people: People) -> None:
        payer.pay.repeat = Never()
        payer.bank.manners = [manners.lose_the_reply]
        payer.run(self.pay_and_rest(payer))
        assert people.carry_out("close", flow_id(1))[0] == "applied"
        assert payer.open_incidents == ["in_doubt"]

    def test_what_stands_still_is_closed_with_its_incidents(self, payer: Payer, people: People) -> None:
        def code(flow: Flow, event: Transfer) -> None:
            raise ZeroDivisionError

        payer.run(code, tries=1)
        assert payer.open_incidents == ["flow_error"]
        people.carry_out("close", flow_id(1))
        assert (payer.flow().state, payer.open_incidents) == ("closed", [])

    def test_not_while_a_call_of_it_is_being_made(self, payer: Payer, people: People) -> None:
        ends: list[Any] = []

        def close_meanwhile(bank: Bank, sending: Sending) -> Paid:
            ends.append(people.carry_out("close", flow_id(1)))
            return bank.apply(sending)

        payer.bank.manners = [close_meanwhile]
        payer.run(self.pay_and_rest(payer))
        assert ends == [("failed", "a call of it is just being made")]
        assert payer.calls == [("pay", "succeeded")]


class TestDifference:
    """A person takes what the provider did."""

    def test_the_flow_goes_on(self, payer: Payer, people: People) -> None:
        payer.pay.check(lambda request, paid: None if request.amount == paid.amount else "another amount")
        payer.bank.manners = [manners.pay_another_amount]
        payer.run(lambda flow, event: flow.call(payer.pay, request(event)))
        assert (payer.flow().state, payer.open_incidents) == ("waiting", ["mismatch"])
        (call_id,) = payer.rows("SELECT id FROM onceward.call")
        assert people.carry_out("accept_difference", call_id) == ("applied", "what bank/pay did is accepted")
        payer.run_due()
        assert (payer.flow().state, payer.open_incidents) == ("completed", [])


class TestAsked:
    """A person asks the worker for a lookup or a resend, which it does next, if it is safe."""

    @staticmethod
    def ask(it: Any, what: str) -> None:
        call = it.books.call().id
        calling(it.people.console, "ask", call=call, what=what, actor="ada", reason="the bank is back again")
        it.ledger.sweep()
        assert it.books.call().asked is None

    def test_a_resend_that_code_would_not_try_again(self, make: Any) -> None:
        lost = [manners.lose_the_reply] * 2
        it = make(*lost, repeat=SameKey(timedelta(hours=24), replays="everything"))
        it.bank.replays = True
        it.call()
        for _ in range(2):
            it.books.pass_time(timedelta(minutes=1))
            it.ledger.sweep()
        assert (it.people.incidents(), len(it.bank.sent)) == (["in_doubt"], 2)
        self.ask(it, "resend")
        assert (it.books.call().state, it.people.incidents(), it.bank.worst) == ("succeeded", [], 1)

    def test_a_resend_that_could_be_a_second_effect_is_not_made(self, make: Any) -> None:
        it = make(manners.lose_the_reply, repeat=DAY)
        it.call()
        it.bank.scope = "another"
        self.ask(it, "resend")
        assert (it.books.call().state, len(it.bank.sent)) == ("in_doubt", 1)
        assert "it was sent in the scope 'merchant-17'" in it.books.incidents()[0][1]

    def test_a_lookup_where_code_would_resend(self, make: Any) -> None:
        it = make(manners.lose_the_reply, repeat=DAY, lookup="positive")
        it.call()
        self.ask(it, "lookup")
        assert (it.books.call().settled_by, len(it.bank.sent)) == ("lookup", 1)


class TestDecisions:
    """Whatever a worker meets, a decision ends once, and stops no other."""

    def test_one_that_is_taken_back_while_it_is_carried_out_changes_nothing(self, make: Any) -> None:
        it = make(manners.lose_the_reply)
        decision = it.people.decide("applied", it.in_doubt())
        with psycopg.connect(it.people.console.info.dsn, password="console", row_factory=dict_row) as other:
            calling(other, "withdraw", id=decision, actor="ada", reason="I was wrong about this")
            worker = Thread(target=it.people.resolving.carry_out)
            worker.start()
            worker.join(0.2)
            other.commit()
            worker.join(10)
        assert it.people.end(decision) == ("withdrawn", None)
        assert it.books.call().state == "in_doubt"

    def test_a_worker_and_the_decision_of_another_settle_a_call_once(self, make: Any) -> None:
        it = make(manners.lose_the_reply)
        it.people.decide("applied", it.in_doubt())
        workers = [Thread(target=it.people.resolving.carry_out) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(10)
        assert it.people.rows("SELECT action FROM onceward.audit WHERE action = 'decision.applied'")[-1:] != []
        assert it.people.rows("SELECT count(*) FROM onceward.resolution WHERE state = 'applied'") == [1]

    def test_its_time_has_to_come(self, make: Any) -> None:
        it = make(manners.lose_the_reply)
        it.in_doubt()
        decision = it.people.decide("applied", it.books.call().id)
        with it.people.owner.begin() as connection:
            connection.execute(text("UPDATE onceward.resolution SET not_before = now() + interval '10 min'"))
        assert it.people.resolving.carry_out() == 0
        with it.people._engine.begin() as connection:
            ended = connection.scalar(text(f"SELECT onceward.carried_out('{decision}', 'applied', 'x', 'w')"))
        assert ended is False

    def test_a_fault_of_the_team_s_code_fails_the_decision_and_no_other(self, make: Any) -> None:
        it = make()
        call_id = it.call()
        assert it.pay.undo is not None
        it.pay.undo.operation.value = lambda request: 1 / 0
        state, outcome = it.people.carry_out("refund", call_id)
        assert (state, outcome) == ("failed", "our own code failed: ZeroDivisionError")

    @pytest.mark.parametrize(
        "forgery",
        [
            "UPDATE onceward.resolution SET state = 'approved'",
            "UPDATE onceward.resolution SET outcome = 'x'",
            "INSERT INTO onceward.resolution SELECT * FROM onceward.resolution",
            "DELETE FROM onceward.resolution",
            "SELECT onceward.record('ada', 'x', 'call', 'x', 'because I say so', '{}')",
        ],
    )
    def test_a_participant_forges_no_decision(self, database: Database, forgery: str) -> None:
        with (
            psycopg.connect(database.participant_url) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(forgery.encode())

    @pytest.mark.parametrize(
        "change", ["state = 'proposed'", "verb = 'not_applied'", "body = '{\"result\": 1}'", "proposed_by = 'bob'"]
    )
    def test_not_even_its_owner_changes_what_was_decided(self, make: Any, change: str) -> None:
        it = make(manners.lose_the_reply)
        it.people.decide("applied", it.in_doubt())
        with pytest.raises(Exception, match="goes no other way"), it.people.owner.begin() as connection:
            connection.execute(text(f"UPDATE onceward.resolution SET {change.replace(':', chr(92) + ':')}"))


def test_a_worker_hears_reports_and_carries_decisions_out_by_itself(payer: Payer, people: People) -> None:
    payer.pay.repeat = Never()
    payer.bank.manners = [manners.lose_the_reply, manners.lose_the_reply]
    calls = [payer.ledger.call(payer.pay, Pay(), key=key).call_id for key in ("1", "2")]
    decision = people.decide("applied", calls[0])
    with people.owner.begin() as connection:
        paid = Paid(reference="r", amount=Decimal(5))
        connection.execute(report(payer.pay.provider, key="2", applied=True, body=paid, evidence_id=uuid4()))
    with running(payer.worker()):
        eventually(lambda: people.calls() == [("succeeded", 1, 5.0)] * 2)
    assert people.end(decision)[0] == "applied"
    assert sorted(payer.rows("SELECT settled_by FROM onceward.call")) == ["person", "webhook"]
