"""What providers report by themselves: it settles the right call, once, and contradicts nothing in silence."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from onceward import report
from onceward.database import sqlalchemy_url
from onceward.errors import Accepted, ReportError
from onceward.ledger import Ledger, Succeeded, Unsettled
from onceward.ledger.evidence import Evidence
from onceward.providers import Never, Operation, Provider, SameKey, Sending
from tests.conftest import Database, fresh_database
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Paid, Pay, provider_of
from tests.ledger.conftest import Books, Make
from tests.servers.postgres import TestServer

MINUTE = timedelta(minutes=1)
PAID = Paid(reference="ref-1", amount=Decimal("5.00"))


def take_on(bank: Bank, sending: Sending) -> Paid:
    raise Accepted("taken on", reference="ref-1", http_status=202)


def take_on_without_reference(bank: Bank, sending: Sending) -> Paid:
    raise Accepted("taken on", http_status=202)


class Desk:
    """A bank that reports, and a ledger that hears of it."""

    def __init__(self, database: Database, ledger_of: Make, books: Books, *answers: Any, **declared: Any) -> None:
        self.bank = Bank(manners=list(answers), replays=False)
        self.provider: Provider[Bank]
        self.pay: Operation[Bank, Pay, Paid]
        self.provider, self.pay = provider_of(self.bank, **declared)
        self.ledger: Ledger = ledger_of(self.provider)
        self.evidence = Evidence(database.engine, self.ledger)
        self.books = books
        self.engine = database.engine

    def call(self, key: str = "1") -> Any:
        return self.ledger.call(self.pay, Pay(), key=key)

    def report(self, *, applied: bool | None, body: Any = PAID, id: UUID | None = None, **about: Any) -> UUID:  # noqa: A002
        evidence_id = id or uuid4()
        with self.engine.begin() as connection:
            about = about or {"key": "1"}
            connection.execute(report(self.provider, applied=applied, body=body, evidence_id=evidence_id, **about))
        return evidence_id

    def hear(self) -> int:
        return self.evidence.handle()

    def kept(self, id: UUID | None = None) -> Row[Any]:  # noqa: A002
        with self.engine.connect() as connection:
            query = "SELECT *, due_at - at AS wait FROM onceward.evidence WHERE id = coalesce(:id, id)"
            return connection.execute(text(query), {"id": id}).one()

    def pass_time(self, time: timedelta) -> None:
        """Let time pass for calls and reports. Evidence is final, but for who may do without triggers."""
        self.books.pass_time(time)
        with self.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(
                text("UPDATE onceward.evidence SET at = at - :time, due_at = due_at - :time"), {"time": time}
            )


@pytest.fixture(scope="module")
def shared(postgres: TestServer) -> Iterator[Database]:
    """One database for the tests of this module, which leave its definitions alone."""
    with fresh_database(postgres, installed=True) as database:
        yield database


@pytest.fixture
def database(shared: Database) -> Database:
    """The same, with empty tables."""
    with shared.engine.begin() as connection:
        connection.execute(text("TRUNCATE onceward.call, onceward.evidence, onceward.incident CASCADE"))
    return shared


@pytest.fixture
def desk(database: Database, ledger_of: Make, books: Books) -> Any:
    return lambda *answers, **declared: Desk(database, ledger_of, books, *answers, **declared)


class TestReport:
    """The statement, in the team's own transaction."""

    def test_a_report_is_kept_once_however_often_it_is_delivered(self, desk: Any) -> None:
        it = desk()
        evidence_id = it.report(applied=True, body=b'{"try": 1}')
        it.report(applied=True, body=b'{"try": 2}', id=evidence_id)
        kept = it.kept()
        assert (kept.kind, kept.says, kept.key, kept.by_actor) == ("webhook", "applied", "1", "bank")
        assert bytes(kept.body) == b'{"try": 1}'

    def test_another_report_under_the_same_id_is_refused(self, desk: Any) -> None:
        it = desk()
        evidence_id = it.report(applied=True)
        with pytest.raises(IntegrityError, match="is another report already"):
            it.report(applied=False, id=evidence_id)

    def test_a_participant_may_report_in_a_session_of_either_kind(self, desk: Any, database: Database) -> None:
        it = desk()
        url = sqlalchemy_url(database.participant_url)
        engine = create_engine(url)
        with Session(engine) as session, session.begin():
            said = report(it.provider, reference="ref-1", applied=None, body=b"?", evidence_id=uuid4())
            assert session.scalar(said) is True
            assert session.scalar(said) is False
        engine.dispose()

        async def report_later() -> bool | None:
            other = create_async_engine(url)
            async with other.begin() as connection:
                told: bool | None = (await connection.execute(said)).scalar()
            await other.dispose()
            return told

        assert asyncio.run(report_later()) is False

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("key", {}),
            ("key", {"key": ""}),
            ("key", {"key": "a\0b"}),
            ("key", {"key": "x" * 256}),
            ("reference", {"reference": "x" * 1001}),
            ("reference", {"reference": "a\nb"}),
            ("body", {"key": "1", "body": b"x" * 1_048_577}),
        ],
    )
    def test_bad_input_is_refused_by_its_field(self, field: str, wrong: dict[str, Any]) -> None:
        provider, _ = provider_of(Bank())
        fields: dict[str, Any] = {"applied": True, "body": b"", "evidence_id": uuid4()} | wrong
        with pytest.raises(ReportError, match=f"^{field}: "):
            report(provider, **fields)


class TestApplied:
    """A report that a call took effect settles it, from whatever state."""

    @pytest.mark.parametrize("declared", [{"repeat": Never()}, {"repeat": DAY}])
    def test_what_is_in_doubt_succeeds(self, desk: Any, declared: Any) -> None:
        it = desk(manners.lose_the_reply, **declared)
        assert isinstance(it.call(), Unsettled)
        it.report(applied=True)
        assert it.hear() == 1
        call = it.books.call()
        assert (call.state, call.settled_by, call.provider_ref) == ("succeeded", "webhook", "ref-1")
        assert it.call() == Succeeded(call.id, PAID)
        assert it.books.incidents() == [], "the doubt is over"
        assert (it.kept().call_id, it.hear()) == (call.id, 0)

    def test_what_is_on_its_way_succeeds_and_the_answer_agrees(self, desk: Any) -> None:
        def report_first(bank: Bank, sending: Any) -> Paid:
            it.report(applied=True)
            it.hear()
            assert it.books.call().state == "succeeded"
            return bank.apply(sending).model_copy(update={"reference": "ref-1"})

        it = desk(report_first)
        assert isinstance(it.call(), Succeeded)
        assert it.books.incidents() == []

    def test_a_report_is_found_by_the_provider_s_reference(self, desk: Any) -> None:
        it = desk()
        it.call("1")
        it.call("2")
        it.report(applied=True, reference="ref-2", body=Paid(reference="ref-2", amount=Decimal(5)))
        it.hear()
        assert it.kept().call_id == it.books.call_by_key("2").id

    def test_a_result_that_cannot_be_read_settles_nothing_and_the_provider_is_asked(self, desk: Any) -> None:
        it = desk(manners.lose_the_reply, repeat=Never(), lookup="positive")
        it.call()
        it.report(applied=True, body=b'{"reference": "r"}')
        it.hear()
        assert it.books.call().state == "in_doubt"
        ((kind, title),) = it.books.incidents()
        assert (kind, "amount: Field required" in title) == ("in_doubt", True)
        it.ledger.sweep()
        assert (it.books.call().settled_by, it.books.incidents()) == ("lookup", [])

    def test_a_call_that_waits_is_sent_no_more_when_a_report_says_that_it_took_effect(self, desk: Any) -> None:
        it = desk(manners.be_unreachable, repeat=Never())
        it.call()
        assert it.books.call().state == "pending"
        it.report(applied=True, body=b"?")
        it.hear()
        it.pass_time(MINUTE)
        it.ledger.sweep()
        assert (it.books.call().state, len(it.bank.sent)) == ("in_doubt", 1)


class TestNotApplied:
    """A report that a call took no effect settles it when no attempt can take effect any more."""

    def test_it_counts_only_after_the_settle_delay(self, desk: Any) -> None:
        it = desk(manners.lose_the_request, repeat=Never(), lookup="positive")
        it.call()
        it.report(applied=False)
        for _ in range(2):
            assert it.hear() == 1
            assert it.books.call().state == "in_doubt", "the send window is 5 s, the timeout 1 s, the settle delay 30 s"
            it.pass_time(timedelta(seconds=17))
        it.hear()
        it.pass_time(timedelta(seconds=5))
        it.hear()
        assert (it.books.call().state, it.books.call().settled_by) == ("failed", "webhook")
        assert it.books.incidents() == []

    @pytest.mark.parametrize("reference", ["ref-1", None])
    def test_of_what_was_sent_twice_it_has_to_name_what_was_accepted(self, desk: Any, reference: str | None) -> None:
        it = desk(manners.lose_the_request, take_on, expect_within=timedelta(hours=1))
        it.call()
        it.pass_time(timedelta(seconds=3))
        it.ledger.sweep()
        assert it.books.call().state == "accepted"
        it.pass_time(MINUTE)
        it.report(applied=False, key="1", reference=reference)
        it.hear()
        assert it.books.call().state == ("failed" if reference else "accepted")

    def test_one_that_may_be_about_the_attempt_before_settles_nothing(self, desk: Any) -> None:
        it = desk(manners.lose_the_request, manners.lose_the_reply)
        it.bank.replays = True
        it.call()
        it.report(applied=False)
        it.pass_time(timedelta(seconds=3))
        it.ledger.sweep()
        it.pass_time(MINUTE)
        it.hear()
        assert it.books.call().state == "in_doubt"
        assert "may be about the attempt before" in it.books.incidents()[0][1]
        it.ledger.sweep()
        assert (it.books.call().state, it.bank.worst) == ("succeeded", 1)

    def test_while_an_attempt_is_under_way_it_waits(self, desk: Any) -> None:
        def report_first(bank: Bank, sending: Any) -> Paid:
            it.report(applied=False)
            it.hear()
            assert (it.books.call().state, it.kept().handled_at) == ("in_flight", None)
            return bank.apply(sending)

        it = desk(report_first)
        assert isinstance(it.call(), Succeeded)
        it.pass_time(timedelta(seconds=2))
        it.hear()
        assert [kind for kind, _ in it.books.incidents()] == ["conflict"]


class TestConflicts:
    """Evidence against how a call is settled changes nothing and is for people."""

    def test_a_report_against_a_success(self, desk: Any) -> None:
        it = desk()
        it.call()
        it.report(applied=False)
        it.hear()
        call = it.books.call()
        assert (call.state, call.conflict_at is not None) == ("succeeded", True)
        assert it.books.incidents() == [
            ("conflict", "bank/pay is recorded as succeeded, but the provider reports that it took no effect")
        ]

    def test_a_report_against_a_failure(self, desk: Any) -> None:
        it = desk(manners.refuse)
        it.call()
        it.report(applied=True)
        it.hear()
        assert it.books.incidents() == [
            ("conflict", "bank/pay is recorded as failed, but the provider reports that it took effect")
        ]

    def test_a_second_effect_under_one_key_is_noticed(self, desk: Any) -> None:
        it = desk()
        it.call()
        it.report(applied=True, body=PAID.model_copy(update={"reference": "another"}))
        it.hear()
        assert "it may have done so twice" in it.books.incidents()[0][1]

    @pytest.mark.parametrize(
        ("answer", "applied"), [(manners.behave, True), (manners.refuse, False), (manners.refuse, None)]
    )
    def test_a_report_that_agrees_or_is_unclear_is_only_kept(
        self, desk: Any, answer: Any, applied: bool | None
    ) -> None:
        it = desk(answer)
        it.call()
        it.report(applied=applied, body=PAID.model_copy(update={"reference": "ref-1"}))
        assert it.hear() == 1
        assert it.books.incidents() == []
        assert it.kept().handled_at is not None

    def test_an_answer_that_comes_late_is_kept_as_evidence(self, desk: Any, ledger_of: Make) -> None:
        def answer_late(bank: Bank, sending: Any) -> Paid:
            it.pass_time(MINUTE)
            other.sweep()
            it.report(applied=False)
            it.hear()
            assert it.books.call().state == "failed"
            return bank.apply(sending)

        it = desk(answer_late, repeat=Never())
        other = ledger_of(it.provider, "other")
        it.call()
        with it.engine.connect() as connection:
            late = connection.execute(text("SELECT * FROM onceward.evidence WHERE kind = 'late_answer'")).one()
        assert (late.says, late.by_actor, late.reference, late.call_id) == (
            "applied",
            "worker",
            "ref-1",
            it.books.call().id,
        )
        assert it.books.incidents() == [
            ("conflict", "bank/pay is recorded as failed, but attempt 1 answered late that it took effect")
        ]


class TestAcceptedLate:
    """A 202 that comes when its lease is over settles nothing, but its reference is not lost."""

    @pytest.fixture
    def late(self, desk: Any, ledger_of: Make) -> Any:
        def make(meanwhile: Any = lambda it, other: other.sweep(), **declared: Any) -> Desk:
            def accept_late(bank: Bank, sending: Sending) -> Paid:
                it.pass_time(MINUTE)
                meanwhile(it, other)
                raise Accepted("taken on", reference="ref-late", http_status=202, answer=b'{"id": "ref-late"}')

            it: Desk = desk(accept_late, **{"repeat": Never(), "expect_within": timedelta(hours=1)} | declared)
            other = ledger_of(it.provider, "other")
            it.call()
            return it

        return make

    def late_answers(self, it: Desk) -> list[Any]:
        with it.engine.connect() as connection:
            query = "SELECT says, reference, body, call_id FROM onceward.evidence WHERE kind = 'late_answer'"
            return [tuple(row) for row in connection.execute(text(query))]

    def test_it_is_evidence_and_the_call_s_own_reference(self, late: Any) -> None:
        it = late()
        call = it.books.call()
        assert (call.state, call.provider_ref) == ("in_doubt", "ref-late")
        assert self.late_answers(it) == [("unclear", "ref-late", b'{"id": "ref-late"}', call.id)]

    def test_the_outcome_is_found_by_it_when_the_provider_reports(self, late: Any) -> None:
        it = late()
        it.report(applied=True, reference="ref-late")
        it.hear()
        assert (it.books.call().state, it.books.incidents()) == ("succeeded", [])

    def test_the_provider_is_asked_by_it(self, late: Any) -> None:
        asked: list[str | None] = []

        def by_reference(bank: Bank, sending: Sending) -> Paid | None:
            asked.append(sending.reference)
            return PAID if sending.reference else None

        def lose_the_lease(it: Desk, other: Ledger) -> None:
            it.bank.lookups = [by_reference, by_reference]
            other.sweep(limit=2)

        it = late(lose_the_lease, lookup="positive")
        it.ledger.sweep()
        assert (asked, it.books.call().state) == ([None, "ref-late"], "succeeded")

    def test_of_two_attempts_nobody_asks_about_the_wrong_one(self, late: Any) -> None:
        """The second one is in doubt as well: what became of the first under its reference is no outcome of the call."""

        def send_again(it: Desk, other: Ledger) -> None:
            it.bank.manners.append(manners.lose_the_reply)
            other.sweep(limit=2)
            assert len(it.bank.sent) == 2

        it = late(send_again, repeat=DAY)
        call = it.books.call()
        assert (call.state, call.provider_ref) == ("in_doubt", None)
        assert self.late_answers(it) == [("unclear", "ref-late", b'{"id": "ref-late"}', call.id)]
        it.report(applied=True, reference="ref-late")
        it.hear()
        assert it.books.call().state == "succeeded", "an effect is an effect, of whichever attempt"

    def test_a_reference_of_an_attempt_before_is_not_that_of_one_that_is_accepted(self, desk: Any) -> None:
        it = desk(manners.lose_the_reply, take_on_without_reference, repeat=DAY, expect_within=timedelta(hours=1))
        it.call()
        with it.engine.begin() as connection:
            connection.execute(text("UPDATE onceward.call SET provider_ref = 'ref-before'"))
        it.pass_time(MINUTE)
        it.ledger.sweep()
        assert (it.books.call().state, it.books.call().provider_ref) == ("accepted", None)

    def test_it_contradicts_that_the_call_has_failed(self, late: Any) -> None:
        def settle_as_failed(it: Desk, other: Ledger) -> None:
            other.sweep()
            it.report(applied=False)
            it.hear()
            assert it.books.call().state == "failed"

        it = late(settle_as_failed)
        assert it.books.incidents() == [
            ("conflict", "bank/pay is recorded as failed, but attempt 1 answered late that it was accepted")
        ]


class TestUnmatched:
    """A report about no call is looked at again, and people hear of it after a quarter of an hour."""

    def test_a_report_may_come_before_its_call_is_committed(self, desk: Any) -> None:
        it = desk(manners.lose_the_reply, repeat=Never())
        it.report(applied=True)
        it.hear()
        it.call()
        it.pass_time(timedelta(seconds=2))
        it.hear()
        assert it.books.call().state == "succeeded"

    def test_people_hear_of_it_and_a_call_that_comes_later_ends_that(self, desk: Any) -> None:
        it = desk()
        it.report(applied=True, key="nobody's")
        for minutes in 14, 2:
            assert it.books.incidents() == []
            it.pass_time(timedelta(minutes=minutes))
            it.hear()
        assert it.books.incidents() == [("unmatched", 'bank reports applied of key "nobody\'s", which fits no call')]
        it.call("nobody's")
        it.pass_time(timedelta(hours=1))
        it.hear()
        assert it.kept().handled_at is not None
        assert [kind for kind, _ in it.books.incidents()] == ["conflict"], "paid under another reference"

    def test_a_reference_of_several_calls_is_nobody_s(self, desk: Any) -> None:
        it = desk()
        it.bank.apply = lambda sending: PAID
        it.call("1")
        it.call("2")
        it.report(applied=False, reference="ref-1")
        it.pass_time(timedelta(minutes=16))
        it.hear()
        assert "fits 2 calls" in it.books.incidents()[0][1]

    def test_reports_of_a_provider_that_no_worker_knows_are_told(self, desk: Any) -> None:
        it = desk()
        with it.engine.begin() as connection:
            connection.execute(text("SELECT onceward.report('unknown', 'k', NULL, true, 'x', gen_random_uuid())"))
        it.pass_time(timedelta(minutes=16))
        it.hear()
        assert [kind for kind, _ in it.books.incidents()] == ["unmatched"]


def test_evidence_is_never_changed(desk: Any) -> None:
    it = desk()
    it.report(applied=None)
    with pytest.raises(Exception, match="is not changed any more"), it.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.evidence SET says = 'applied'"))


def test_a_key_s_lifetime_is_of_no_matter_to_a_report(desk: Any) -> None:
    it = desk(manners.lose_the_reply, repeat=SameKey(timedelta(minutes=10)))
    it.call()
    it.pass_time(timedelta(hours=2))
    it.ledger.sweep()
    it.report(applied=True)
    it.hear()
    assert (it.books.call().state, len(it.bank.sent)) == ("succeeded", 1)
