"""Providers that are slow, stopped, in trouble, or that tell the outcome later."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import Row, text

from onceward.errors import Accepted, ConfigError, LeaseLost, Rejected, Throttled
from onceward.ledger import Failed, FlowStep, Ledger, Occupancy, Succeeded, Unsettled, store
from onceward.providers import Money, Never, Provider, Sending
from tests.conftest import Database
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Paid, Pay, find, provider_of
from tests.ledger.conftest import Books, Make
from tests.ledger.test_limits import Clock
from tests.support import eventually

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(emptied: Database) -> Database:
    return emptied


def row(database: Database, query: str) -> Row[Any]:
    with database.engine.connect() as connection:
        return connection.execute(text(query)).one()


def person(database: Database, verb: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"SELECT onceward.{verb}('bank', 'ada', 'the credential was replaced')"))


def start_between(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    """Stop the provider just before the next call is to begin, and start it again just after."""
    begin = Ledger._begin

    def begin_while_it_is_stopped(self: Ledger, *what: Any) -> Any:
        monkeypatch.setattr(Ledger, "_begin", begin)
        person(database, "stop_provider")
        begun = begin(self, *what)
        person(database, "start_provider")
        assert begun is None
        return begun

    monkeypatch.setattr(Ledger, "_begin", begin_while_it_is_stopped)


class Hanging:
    """A bank whose next requests hang until they are let go."""

    def __init__(self, bank: Bank, requests: int) -> None:
        self.inside, self.go_on = 0, Event()
        bank.manners += [self._hang] * requests

    def _hang(self, bank: Bank, sending: Sending) -> Paid:
        self.inside += 1
        assert self.go_on.wait(30)
        return bank.apply(sending)


def in_threads(*work: Callable[[], object]) -> list[Thread]:
    threads = [Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    return threads


class TestLimits:
    """Over a limit a call is recorded and waits; no thread does."""

    def test_what_is_declared_is_written_down(self, database: Database, ledger_of: Make) -> None:
        ledger_of(Provider("bank", Bank, in_flight=3, per_second=0.5))
        found = row(database, "SELECT in_flight, per_second, stopped_at FROM onceward.provider")
        assert tuple(found) == (3, 0.5, None)

    def test_rule_17_over_in_flight_a_call_waits_and_goes_when_a_slot_is_free(
        self, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank(replays=False)
        provider, pay = provider_of(bank, in_flight=2)
        ledger, hanging = ledger_of(provider), Hanging(bank, 2)
        threads = in_threads(*(lambda key=key: ledger.call(pay, Pay(), key=key) for key in ("1", "2")))
        eventually(lambda: hanging.inside == 2)
        outcome = ledger.call(pay, Pay(), key="3", ref="third")
        assert isinstance(outcome, Unsettled)
        assert "as many calls are under way" in outcome.reason
        assert outcome.due_at is not None
        kept = books.call(outcome.call_id)
        assert (kept.state, kept.attempts, kept.first_sent_at, kept.ref) == ("pending", 0, None, "third")
        assert ledger.sweep() == 0, "nor does a sweep wait for a slot"
        hanging.go_on.set()
        for thread in threads:
            thread.join(30)
        assert ledger.sweep() == 1
        assert isinstance(ledger.call(pay, Pay(), key="3"), Succeeded)
        assert len(bank.sent) == 3

    def test_a_call_that_is_recorded_is_answered_without_a_slot(self, ledger_of: Make) -> None:
        bank = Bank()
        provider, pay = provider_of(bank, in_flight=1)
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        hanging = Hanging(bank, 1)
        (thread,) = in_threads(lambda: ledger.call(pay, Pay(), key="2"))
        eventually(lambda: hanging.inside == 1)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
        hanging.go_on.set()
        thread.join(30)

    def test_over_the_rate_a_call_waits_for_the_next_second(self, ledger_of: Make, books: Books) -> None:
        bank, clock = Bank(), Clock()
        provider, pay = provider_of(bank, per_second=2)
        ledger = ledger_of(provider, clock=clock)
        for key in ("1", "2", "1", "1"):
            ledger.call(pay, Pay(), key=key)  # those that are recorded already count for nothing
        outcome = ledger.call(pay, Pay(), key="3")
        assert isinstance(outcome, Unsettled)
        assert "no more calls in this second" in outcome.reason
        books.pass_time(MINUTE)
        assert ledger.sweep() == 0
        clock.now += 1
        assert ledger.sweep() == 1
        assert len(bank.sent) == 3


class TestBreaker:
    """A provider that fails again and again rests; its calls wait, its lookups go on."""

    def resting(self, ledger_of: Make, **declared: Any) -> tuple[Bank, Clock, Ledger, Any]:
        bank, clock = Bank(manners=[manners.lose_the_reply] * 5), Clock()
        provider, pay = provider_of(bank, **declared)
        ledger = ledger_of(provider, clock=clock)
        for number in range(5):
            ledger.call(pay, Pay(), key=f"lost-{number}")
        return bank, clock, ledger, pay

    def test_rule_17_new_calls_wait_and_one_probes(self, ledger_of: Make, books: Books) -> None:
        bank, clock, ledger, pay = self.resting(ledger_of)
        outcomes = [ledger.call(pay, Pay(), key=key) for key in ("a", "b")]
        assert all(isinstance(each, Unsettled) and "the provider rests" in each.reason for each in outcomes)
        assert ledger.counts.resting == ["bank"]
        assert len(bank.sent) == 5
        books.pass_time(MINUTE)
        assert ledger.sweep() == 7
        assert len(bank.sent) == 5, "what is due is put off"
        clock.now += 1
        bank.manners = [manners.be_unreachable]
        books.pass_time(MINUTE)
        ledger.sweep()
        assert len(bank.sent) == 6, "the probe fails, so it rests on"
        clock.now += 2
        books.pass_time(MINUTE)
        ledger.sweep()
        assert ledger.counts.resting == []
        assert isinstance(ledger.call(pay, Pay(), key="a"), Succeeded)

    def test_rule_17_lookups_go_on_and_end_the_rest(self, ledger_of: Make, books: Books) -> None:
        _, _, ledger, pay = self.resting(ledger_of, repeat=Never(), lookup="positive")
        assert isinstance(ledger.call(pay, Pay(), key="a"), Unsettled)
        books.pass_time(MINUTE)
        ledger.sweep(limit=1)
        assert ledger.counts.resting == []
        assert isinstance(ledger.call(pay, Pay(), key="b"), Succeeded)

    def test_putting_a_call_off_outdates_nobody_s_view_of_it(self, ledger_of: Make, books: Books) -> None:
        _, _, ledger, pay = self.resting(ledger_of)
        outcome = ledger.call(pay, Pay(), key="a")
        assert isinstance(outcome, Unsettled)
        version = books.call(outcome.call_id).version
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call(outcome.call_id).version == version


class TestStop:
    """While a provider is stopped nothing goes to it: no calls, no lookups."""

    def test_rule_17_new_calls_are_recorded_and_go_when_it_is_started(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank()
        provider, pay = provider_of(bank)
        ledger = ledger_of(provider)
        person(database, "stop_provider")
        outcome = ledger.call(pay, Pay(), key="1")
        assert isinstance(outcome, Unsettled)
        assert outcome.reason == "the provider is stopped: the credential was replaced"
        assert books.call().state == "pending"
        for _ in range(2):
            books.pass_time(timedelta(hours=2))
            ledger.sweep()
        assert (bank.sent, books.attempts()) == ([], [])
        person(database, "start_provider")
        assert ledger.sweep() == 1
        assert books.call().state == "succeeded"

    def test_one_that_is_started_while_a_call_is_being_recorded_gets_it_at_once(
        self, database: Database, ledger_of: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Named interleaving: stopped when the call was to begin, started again before it could be kept for later."""
        bank = Bank()
        provider, pay = provider_of(bank)
        ledger = ledger_of(provider)
        start_between(monkeypatch, database)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
        assert bank.worst == 1

    @pytest.mark.parametrize("lookup", ["none", "positive"])
    def test_nothing_is_sent_again_and_nothing_is_asked(
        self, database: Database, ledger_of: Make, books: Books, lookup: str
    ) -> None:
        bank = Bank(manners=[manners.lose_the_reply])
        provider, pay = provider_of(bank, Never() if lookup == "positive" else DAY, lookup=lookup)
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        person(database, "stop_provider")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert (books.call().state, books.attempts()) == ("in_doubt", [("send", "unknown")])
        person(database, "start_provider")
        ledger.sweep()
        assert books.call().state == "succeeded", "it is due at once"

    def test_people_hear_of_what_is_in_doubt_or_overdue_all_the_same(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank(manners=[manners.lose_the_reply, accept])
        provider, pay = provider_of(bank, lookup="positive", expect_within=timedelta(minutes=10))
        ledger = ledger_of(provider)
        for key in ("1", "2"):
            ledger.call(pay, Pay(), key=key)
        person(database, "stop_provider")
        for minutes in (1, 10, 6, 1):
            books.pass_time(timedelta(minutes=minutes))
            ledger.sweep()
        assert {kind for kind, _ in books.incidents()} == {"overdue", "in_doubt"}
        assert len(books.attempts()) == 2

    def test_what_may_not_begin_late_is_cancelled_in_its_time(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank()
        provider, pay = provider_of(bank)
        ledger = ledger_of(provider)
        person(database, "stop_provider")
        flow = uuid4()
        with database.engine.begin() as connection:
            start = "INSERT INTO onceward.flow (id, name, key, input) VALUES (:id, 'f', 'k', '')"
            connection.execute(text(start), {"id": flow})
        step = FlowStep(flow, "pay", start_within=timedelta(minutes=5))
        assert isinstance(ledger.call(pay, Pay(), flow=step), Unsettled)
        with database.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE onceward.call SET start_before = start_before - interval '5 min', due_at = due_at - interval '5 min'"
                )
            )
        ledger.sweep()
        outcome = ledger.call(pay, Pay(), flow=step)
        assert isinstance(outcome, Failed)
        assert (outcome.code, books.call().state, books.call().settled_by) == ("too_late", "cancelled", "system")
        assert row(database, "SELECT signals FROM onceward.flow").signals == 1, "its flow is told"
        person(database, "start_provider")
        assert (ledger.sweep(), bank.sent) == (0, [])

    def test_nothing_is_kept_for_a_flow_that_is_another_worker_s_now(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        provider, pay = provider_of(Bank())
        ledger = ledger_of(provider)
        person(database, "stop_provider")
        flow = uuid4()
        with database.engine.begin() as connection:
            start = "INSERT INTO onceward.flow (id, name, key, input, epoch) VALUES (:id, 'f', 'k', '', 2)"
            connection.execute(text(start), {"id": flow})
        with pytest.raises(LeaseLost):
            ledger.call(pay, Pay(), flow=FlowStep(flow, "pay", epoch=1))
        assert row(database, "SELECT count(*) AS calls FROM onceward.call").calls == 0

    def test_a_dead_worker_s_call_is_in_doubt_all_the_same(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        def die(bank: Bank, sending: Sending) -> Paid:
            raise SystemExit

        provider, pay = provider_of(Bank(manners=[die]), Never())
        ledger = ledger_of(provider)
        with pytest.raises(SystemExit):
            ledger.call(pay, Pay(), key="1")
        person(database, "stop_provider")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert (books.call().state, [kind for kind, _ in books.incidents()]) == ("in_doubt", ["in_doubt"])

    @pytest.mark.parametrize("move", ["send_again", "ask"])
    def test_each_statement_that_lets_a_byte_leave_asks_by_itself(
        self, database: Database, ledger_of: Make, books: Books, move: str
    ) -> None:
        provider, pay = provider_of(Bank(manners=[manners.lose_the_reply]))
        ledger_of(provider).call(pay, Pay(), key="1")
        books.pass_time(MINUTE)
        claim = {"id": books.call().id, "worker": "w", "lease": MINUTE, "send_window": MINUTE, "scope": "merchant-17"}
        terms = {"always": True, "key_lifetime": None, "timeout": MINUTE}
        for stopped, found in ((True, False), (False, True)):
            person(database, "stop_provider" if stopped else "start_provider")
            with database.engine.begin() as connection:
                assert (store.one(connection, move, **claim, **terms) is not None) == found

    @pytest.mark.parametrize("status", [401, 403])
    def test_rule_18_a_refused_credential_stops_the_provider(
        self, database: Database, ledger_of: Make, books: Books, status: int
    ) -> None:
        def refuse(bank: Bank, sending: Sending) -> Paid:
            raise Throttled(f"our credential was refused ({status})", code="unauthorized", http_status=status)

        bank = Bank(manners=[refuse, refuse])
        provider, pay = provider_of(bank)
        ledger = ledger_of(provider)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
        stopped = row(database, "SELECT stopped_by, stop_reason FROM onceward.provider")
        assert tuple(stopped) == ("ledger", f"it refused our credential: our credential was refused ({status})")
        assert isinstance(ledger.call(pay, Pay(), key="2"), Unsettled)
        assert len(bank.sent) == 1
        ((kind, title),) = books.incidents()
        assert (kind, "nothing is sent to it until somebody starts it again" in title) == ("provider_stopped", True)
        bank.manners = []
        person(database, "start_provider")
        assert ledger.sweep() == 2
        assert books.incidents() == []

    def test_rule_18_so_does_one_that_a_lookup_meets(self, database: Database, ledger_of: Make, books: Books) -> None:
        def refuse(bank: Bank, sending: Sending) -> Paid:
            raise Throttled("our credential was refused (401)", http_status=401)

        bank = Bank(manners=[manners.lose_the_reply], lookups=[refuse])
        provider, pay = provider_of(bank, Never(), lookup="authoritative")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert row(database, "SELECT stopped_by FROM onceward.provider").stopped_by == "ledger"
        assert (books.call().state, books.attempts()[1]) == ("in_doubt", ("lookup", "unknown"))


def accept(bank: Bank, sending: Sending) -> Paid:
    bank.apply(sending)
    raise Accepted("taken on", reference="tr-1", http_status=202)


def still_at_it(bank: Bank, sending: Sending) -> Paid:
    raise Accepted("still being carried out")


def refused_since(bank: Bank, sending: Sending) -> Paid:
    raise Rejected("the account is closed", code="closed")


def refused_to_say(bank: Bank, sending: Sending) -> Paid:
    raise Rejected("no such page", http_status=400)


class TestAsynchronous:
    """A provider that accepts a call tells the outcome later, when it is asked or by a webhook."""

    def accepted(self, ledger_of: Make, *lookups: Any, **declared: Any) -> tuple[Bank, Ledger, Any]:
        bank = Bank(manners=[accept], lookups=list(lookups), replays=False)
        provider, pay = provider_of(bank, **{"expect_within": HOUR, "lookup": "positive", **declared})
        ledger = ledger_of(provider)
        outcome = ledger.call(pay, Pay(), key="1")
        assert isinstance(outcome, Unsettled)
        return bank, ledger, pay

    def test_rule_18_it_is_accepted_and_asked_until_it_has_taken_effect(self, ledger_of: Make, books: Books) -> None:
        bank, ledger, pay = self.accepted(ledger_of, still_at_it)
        call = books.call()
        assert (call.state, call.ambiguous, call.provider_ref, call.error_text) == (
            "accepted",
            False,
            "tr-1",
            "taken on",
        )
        assert call.expect_by - call.created_at > timedelta(minutes=59)
        for state in ("accepted", "succeeded"):
            books.pass_time(MINUTE)
            ledger.sweep()
            assert books.call().state == state
        assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
        assert books.call().settled_by == "lookup"
        assert books.attempts() == [("send", "accepted"), ("lookup", "accepted"), ("lookup", "applied")]
        assert len(bank.sent) == 1

    def test_a_lookup_is_told_the_reference_that_came_with_the_acceptance(self, ledger_of: Make, books: Books) -> None:
        told: list[str | None] = []

        def note(bank: Bank, sending: Sending) -> Paid | None:
            told.append(sending.reference)
            return find(bank, sending)

        _, ledger, _ = self.accepted(ledger_of, note)
        books.pass_time(MINUTE)
        ledger.sweep()
        assert told == ["tr-1"]

    def test_what_the_provider_then_refuses_has_failed(self, ledger_of: Make, books: Books) -> None:
        _, ledger, pay = self.accepted(ledger_of, refused_since)
        books.pass_time(MINUTE)
        ledger.sweep()
        outcome = ledger.call(pay, Pay(), key="1")
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.text, books.call().settled_by) == ("closed", "the account is closed", "lookup")

    @pytest.mark.parametrize("lookup", [refused_to_say, manners.fail_to_look, lambda *_: None])
    def test_a_lookup_that_proves_nothing_leaves_it_accepted(self, ledger_of: Make, books: Books, lookup: Any) -> None:
        _, ledger, _ = self.accepted(ledger_of, lookup, lookup="authoritative")
        books.pass_time(MINUTE)
        ledger.sweep(limit=1)
        assert books.call().state == "accepted"

    def test_rule_9_a_refusal_that_is_found_before_its_time_settles_nothing(
        self, ledger_of: Make, books: Books
    ) -> None:
        """A request that is still on its way could take effect after the lookup: send window 5 s, timeout 1 s, settle delay 30 s."""
        _, ledger, _ = self.accepted(ledger_of, refused_since)
        books.pass_time(timedelta(seconds=30))
        ledger.sweep()
        assert books.call().state == "accepted"

    def test_when_it_is_overdue_people_hear_of_it_and_it_stays_accepted(self, ledger_of: Make, books: Books) -> None:
        _, ledger, _ = self.accepted(ledger_of, *[still_at_it] * 3)
        books.pass_time(timedelta(minutes=61))
        ledger.sweep()
        ((kind, title),) = books.incidents()
        assert (kind, "was accepted, but its outcome" in title) == ("overdue", True)
        assert books.call().state == "accepted"
        books.pass_time(timedelta(minutes=50))
        assert ledger.sweep() == 0, "from now on it is asked once an hour"
        for _ in range(3):
            books.pass_time(timedelta(minutes=61))
            ledger.sweep()
        assert (books.call().state, books.incidents()) == ("succeeded", [])

    def test_where_nobody_can_be_asked_it_waits_for_a_webhook_or_a_person(self, ledger_of: Make, books: Books) -> None:
        _, ledger, _ = self.accepted(ledger_of, lookup="none")
        books.pass_time(timedelta(minutes=59))
        assert ledger.sweep() == 0
        books.pass_time(timedelta(minutes=2))
        ledger.sweep()
        assert (books.call().state, books.call().due_at) == ("accepted", None)
        assert [kind for kind, _ in books.incidents()] == ["overdue"]

    def test_an_acceptance_that_nobody_declared_proves_nothing(self, ledger_of: Make, books: Books) -> None:
        self.accepted(ledger_of, expect_within=None)
        call = books.call()
        assert call.state == "in_doubt"
        assert "bank/pay does not declare expect_within" in call.error_text

    def test_a_lookup_that_finds_a_lost_call_being_carried_out_takes_it_out_of_doubt(
        self, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank(manners=[manners.lose_the_reply], lookups=[still_at_it], replays=False)
        provider, pay = provider_of(bank, Never(), expect_within=HOUR, lookup="positive")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(timedelta(minutes=20))
        ledger.sweep(limit=1)
        assert (books.call().state, books.call().ambiguous, books.incidents()) == ("accepted", True, [])
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call().state == "succeeded"

    def test_an_acceptance_that_comes_late_changes_nothing(self, ledger_of: Make, books: Books) -> None:
        """Another worker has taken the call for lost; whether this attempt was the one that counts nobody knows."""
        bank = Bank()
        provider, pay = provider_of(bank, Never(), expect_within=HOUR)
        ledger, other = ledger_of(provider), ledger_of(provider, "other")

        def accept_late(bank: Bank, sending: Sending) -> Paid:
            books.pass_time(MINUTE)
            other.sweep()
            return accept(bank, sending)

        bank.manners.append(accept_late)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
        assert (books.call().state, [kind for kind, _ in books.incidents()]) == ("in_doubt", ["in_doubt"])

    def test_the_reference_is_read_from_the_answer_if_that_is_a_result(self, ledger_of: Make, books: Books) -> None:
        def accept_in_full(bank: Bank, sending: Sending) -> Paid:
            raise Accepted("accepted", answer=b'{"reference": "tr-2", "amount": "5.00"}', http_status=202)

        bank = Bank(manners=[accept_in_full])
        provider, pay = provider_of(bank, expect_within=HOUR)
        ledger_of(provider).call(pay, Pay(), key="1")
        assert books.call().provider_ref == "tr-2"


@pytest.mark.parametrize("asked", ["lookup", "resend"])
def test_what_a_person_asks_for_is_done_once(database: Database, ledger_of: Make, books: Books, asked: str) -> None:
    bank = Bank(manners=[manners.lose_the_request, manners.refuse])
    provider, pay = provider_of(bank, lookup="positive")
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)
    ledger.sweep()
    assert books.attempts() == [("send", "unknown"), ("send", "rejected")]
    bank.lookups = [lambda *_: None]
    with database.engine.begin() as connection:
        connection.execute(
            text("SELECT onceward.ask(id, :what, 'ada', 'the bank says it is up again') FROM onceward.call"),
            {"what": asked},
        )
    ledger.sweep(limit=1)
    assert books.attempts()[2][0] == {"lookup": "lookup", "resend": "send"}[asked]
    assert books.call().asked is None


class TestFigures:
    """What metrics tell of the ledger."""

    def figures(self, database: Database) -> dict[tuple[str, ...], float]:
        with database.engine.connect() as connection:
            found = connection.execute(text("SELECT figure, provider, currency, value FROM onceward.ledger_figures()"))
            return {tuple(filter(None, each[:3])): float(each[3]) for each in found}

    def test_rule_20_no_call_is_forgotten_and_one_that_were_would_be_counted(
        self, database: Database, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank(manners=[manners.lose_the_reply, manners.throttle, accept])
        provider, pay = provider_of(bank, Never(), expect_within=HOUR)
        ledger = ledger_of(provider)
        for key in ("1", "2", "3"):
            ledger.call(pay, Pay(), key=key)
        books.pass_time(timedelta(hours=2))
        ledger.sweep()
        assert self.figures(database)["forgotten",] == 0
        with database.engine.begin() as connection:
            slip = "UPDATE onceward.incident SET closed_at = now(), closed_by = 'a slip' WHERE kind = 'in_doubt'"
            connection.execute(text(slip))
        assert self.figures(database)["forgotten",] == 1

    def test_money_in_doubt_is_told_for_each_currency(self, database: Database, ledger_of: Make) -> None:
        bank = Bank(manners=[manners.lose_the_reply] * 3)
        provider: Provider[Bank] = Provider("bank", lambda: bank)

        def pay(client: Bank, request: Pay, call: Sending) -> Paid:
            return client.take(call)

        euros = provider.operation(repeat=Never(), value=lambda pay: Money(pay.amount, "EUR"), name="euros")(pay)
        yen = provider.operation(repeat=Never(), value=lambda pay: Money(pay.amount, "JPY"), name="yen")(pay)
        ledger = ledger_of(provider)
        for number, operation in enumerate((euros, euros, yen)):
            ledger.call(operation, Pay(), key=str(number))
        figures = self.figures(database)
        assert figures["money_in_doubt", "bank", "EUR"] == 10
        assert figures["money_in_doubt", "bank", "JPY"] == 5
        assert figures["calls_in_doubt", "bank"] == 3
        assert 0 < figures["oldest_in_doubt_seconds", "bank"] < 60
        assert figures["stopped", "bank"] == 0

    def test_attempts_are_counted_for_each_operation_and_verdict(self, ledger_of: Make) -> None:
        provider, pay = provider_of(Bank(manners=[manners.lose_the_reply]))
        ledger = ledger_of(provider)
        for key in ("1", "2", "3"):
            ledger.call(pay, Pay(), key=key)
        counted = {(each.operation, each.kind, each.verdict): each.number for each in ledger.counts.attempts()}
        assert counted == {("pay", "send", "applied"): 2, ("pay", "send", "unknown"): 1}
        assert all(each.seconds > 0 for each in ledger.counts.attempts())
        assert ledger.counts.providers() == [Occupancy("bank", in_flight=0, resting=False)]


def test_a_request_over_the_limit_is_refused_before_anything_is_recorded(ledger_of: Make, books: Books) -> None:
    bank = Bank()
    provider, pay = provider_of(bank, max_request=100)
    ledger = ledger_of(provider)
    assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
    with pytest.raises(ConfigError, match=r"^request: of bank/pay has 1\d\d bytes, more than its max_request of 100$"):
        ledger.call(pay, Pay(to="x" * 100), key="2")
    assert (len(bank.sent), len(books.attempts())) == (1, 1)


@pytest.mark.parametrize(
    ("option", "value"), [("max_request", 0), ("max_request", 2 << 20), ("expect_within", timedelta(0))]
)
def test_a_declaration_that_cannot_be_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: "):
        provider_of(Bank(), **{option: value})


def test_the_digest_of_an_answer_is_of_all_of_it(database: Database, ledger_of: Make) -> None:
    class Nothing(BaseModel):
        pass

    provider = Provider("bank", lambda: None)

    @provider.operation(repeat=DAY)
    def pay(client: None, request: Pay, call: Sending) -> Nothing:
        call.answers.append((200, b"x" * 100_000))
        return Nothing()

    ledger_of(provider).call(pay, Pay(), key="1")
    found = row(
        database,
        "SELECT length(answer), answer_sha256 = sha256(convert_to(repeat('x', 100000), 'UTF8')) AS whole FROM onceward.attempt",
    )
    assert tuple(found) == (65536, True)
