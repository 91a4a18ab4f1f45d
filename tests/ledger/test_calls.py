"""Each transition of a call, its guard, and what a second effect would need."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from onceward.errors import ConfigError, KeyConflict
from onceward.inbox.faults import is_transient
from onceward.ledger import Failed, Ledger, Succeeded, Unsettled, store
from onceward.providers import Always, Money, Never, Provider, SameKey, Sending
from tests.conftest import Database
from tests.ledger import bank as manners
from tests.ledger.bank import DAY, Bank, Pay, provider_of
from tests.ledger.conftest import Books, Make
from tests.support import eventually

MINUTE = timedelta(minutes=1)


def test_a_call_is_made_once_and_then_answered_from_the_ledger(ledger_of: Make, books: Books) -> None:
    bank = Bank(replays=False)
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    first, second = (ledger.call(pay, Pay(), key="order-1", ref="order 1") for _ in range(2))
    assert isinstance(first, Succeeded)
    assert first == second
    assert bank.worst == 1
    call = books.call()
    assert (call.state, call.settled_by, call.provider_ref, call.ref, str(call.amount), call.currency) == (
        "succeeded",
        "answer",
        "ref-order-1",
        "order 1",
        "5.0000000000",
        "EUR",
    )
    assert books.attempts() == [("send", "applied")]


def test_the_attempt_is_on_disk_before_the_first_byte_leaves(database: Database, ledger_of: Make) -> None:
    seen: list[Any] = []

    def look(bank: Bank, sending: Any) -> Any:
        with database.engine.connect() as other:
            seen.append(
                other.execute(
                    text(
                        "SELECT state, ambiguous, a.verdict FROM onceward.call JOIN onceward.attempt a ON call_id = id"
                    )
                ).one()
            )
        return bank.apply(sending)

    provider, pay = provider_of(Bank(manners=[look]))
    ledger_of(provider).call(pay, Pay(), key="1")
    assert [tuple(row) for row in seen] == [("in_flight", False, None)]


def test_a_refusal_is_final(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.refuse])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    outcome = ledger.call(pay, Pay(), key="1")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.text) == ("no_funds", "no funds")
    assert ledger.call(pay, Pay(), key="1") == outcome
    assert len(bank.sent) == 1
    assert ledger.sweep() == 0


@pytest.mark.parametrize(
    "manner", [manners.lose_the_reply, manners.lose_the_request, manners.answer_nonsense, manners.be_busy]
)
def test_a_lost_answer_is_resent_under_its_key_and_takes_effect_once(
    ledger_of: Make, books: Books, manner: Any
) -> None:
    bank = Bank(manners=[manner])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    outcome = ledger.call(pay, Pay(), key="1")
    assert isinstance(outcome, Unsettled)
    assert (books.call().state, books.call().ambiguous) == ("in_doubt", True)
    assert outcome.due_at is not None
    assert ledger.sweep() == 0, "not before it is due"
    books.pass_time(MINUTE)
    assert ledger.sweep() == 1
    assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
    assert bank.worst == 1
    assert bank.sent[0] == bank.sent[1]
    assert books.incidents() == []


def test_without_a_key_a_lost_answer_is_in_doubt_and_never_sent_again(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply], replays=False)
    provider, pay = provider_of(bank, Never())
    ledger = ledger_of(provider)
    outcome = ledger.call(pay, Pay(), key="1")
    assert isinstance(outcome, Unsettled)
    assert outcome.due_at is None
    for _ in range(3):
        books.pass_time(MINUTE)
        ledger.sweep()
        ledger.call(pay, Pay(), key="1")
    assert len(bank.sent) == 1
    ((kind, title),) = books.incidents()
    assert kind == "in_doubt"
    assert "the provider takes no idempotency key" in title


def test_a_key_is_not_trusted_past_its_lifetime(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank, SameKey(timedelta(minutes=10)))
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(timedelta(minutes=9, seconds=5))  # less than a minute and the timeout are left
    ledger.sweep()
    assert len(bank.sent) == 1
    assert "may have forgotten the key" in books.incidents()[0][1]


def test_rule_2_a_key_is_not_sent_in_another_scope(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    bank.scope = "merchant-18"
    books.pass_time(MINUTE)
    ledger.sweep()
    assert len(bank.sent) == 1
    assert "'merchant-17', and ours is now 'merchant-18'" in books.incidents()[0][1]


def test_rule_1_a_rejection_after_a_lost_answer_is_not_failed(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply, manners.refuse])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)
    ledger.sweep()
    assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
    assert books.attempts() == [("send", "unknown"), ("send", "rejected")]
    assert "a refusal, which says nothing of the attempt before" in books.incidents()[0][1]


def test_a_rejection_after_a_lost_answer_is_failed_where_it_is_declared_final(ledger_of: Make, books: Books) -> None:
    provider, pay = provider_of(Bank(manners=[manners.lose_the_request, manners.refuse]), rejects_final=True)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)
    ledger.sweep()
    assert isinstance(ledger.call(pay, Pay(), key="1"), Failed)


@pytest.mark.parametrize("manner", [manners.be_unreachable, manners.throttle])
def test_rule_1_what_was_not_reached_after_a_lost_answer_stays_in_doubt(
    ledger_of: Make, books: Books, manner: Any
) -> None:
    bank = Bank(manners=[manners.lose_the_reply, manner])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)
    ledger.sweep()
    assert (books.call().state, books.call().ambiguous) == ("in_doubt", True)
    books.pass_time(MINUTE)
    ledger.sweep()
    assert books.call().state == "succeeded"
    assert bank.worst == 1


@pytest.mark.parametrize("repeat", [Never(), DAY, Always()])
def test_what_was_not_reached_is_sent_again_whatever_is_declared(ledger_of: Make, books: Books, repeat: Any) -> None:
    bank = Bank(manners=[manners.be_unreachable])
    provider, pay = provider_of(bank, repeat)
    ledger = ledger_of(provider)
    assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
    assert (books.call().state, books.call().ambiguous) == ("pending", False)
    books.pass_time(MINUTE)
    ledger.sweep()
    assert books.call().state == "succeeded"


def test_the_wait_that_a_provider_asks_for_is_kept(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.throttle])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(timedelta(seconds=28))
    assert ledger.sweep() == 0
    books.pass_time(timedelta(seconds=3))
    assert ledger.sweep() == 1


def test_always_is_sent_again_whatever_came_back(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_request, manners.lose_the_request])
    provider, pay = provider_of(bank, Always())
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    for _ in range(2):
        books.pass_time(MINUTE)
        ledger.sweep()
    assert books.call().state == "succeeded"


def test_always_is_sent_again_in_the_same_scope_only(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank, Always())
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    bank.scope = "merchant-18"
    books.pass_time(MINUTE)
    ledger.sweep()
    assert len(bank.sent) == 1
    assert "'merchant-17', and ours is now 'merchant-18'" in books.incidents()[0][1]


def test_a_key_s_lifetime_has_24_hours_a_day_where_clocks_go_back(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.execute(text("SET timezone = 'Europe/Berlin'"))
        store.durable(connection)
        autumn = text("SELECT timestamptz '2026-10-24 12:00+02' + CAST(:day AS interval) = '2026-10-25 12:00+02'")
        assert connection.execute(autumn, {"day": timedelta(days=1)}).scalar_one()


@pytest.mark.parametrize(
    ("default", "wanted"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_a_call_is_on_disk_whatever_the_session_s_default_is(database: Database, default: str, wanted: str) -> None:
    with database.engine.connect() as connection:
        connection.execute(text(f"SET synchronous_commit = {default}"))
        store.durable(connection)
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == wanted


@pytest.mark.parametrize(("default", "wanted"), [("0", "30s"), ("2min", "30s"), ("1s", "1s")])
def test_whoever_is_frozen_in_a_transaction_of_the_ledger_keeps_a_call_from_nobody_for_long(
    database: Database, default: str, wanted: str
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{default}'"))
        store.durable(connection)
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == wanted


def test_the_end_of_a_session_that_was_idle_in_a_transaction_is_a_fault_that_passes(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10ms'"))
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
            there = text("SELECT pid FROM pg_stat_activity WHERE pid = :pid")
            eventually(lambda: not other.execute(there, {"pid": pid}).all())
        with pytest.raises(DBAPIError) as ended:
            connection.execute(text("SELECT 1"))
    assert is_transient(ended.value)


def test_rule_7_a_provider_that_replays_errors_is_asked_twice_at_most(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply] * 5)
    provider, pay = provider_of(bank, SameKey(timedelta(hours=24), replays="everything"))
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    for _ in range(4):
        books.pass_time(MINUTE)
        ledger.sweep()
    assert len(bank.sent) == 2
    assert "replays what it stored" in books.incidents()[0][1]


class TestLookup:
    """Finding proves an effect; not finding proves none, if the provider knows, and only after its delay."""

    def test_what_is_found_took_effect(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_reply])
        provider, pay = provider_of(bank, Never(), lookup="positive")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert (books.call().state, books.call().settled_by) == ("succeeded", "lookup")
        assert books.attempts() == [("send", "unknown"), ("lookup", "applied")]
        assert len(bank.sent) == 1

    def test_what_is_absent_is_sent_again_if_the_lookup_is_authoritative(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_request], replays=False)
        provider, pay = provider_of(bank, Never(), lookup="authoritative")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call().state == "succeeded"
        assert books.attempts() == [("send", "unknown"), ("lookup", "absent"), ("send", "applied")]
        assert bank.worst == 1

    def test_rule_9_absent_counts_only_after_the_settle_delay(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_reply], lookups=[lambda *_: None], replays=False)
        provider, pay = provider_of(bank, Never(), lookup="authoritative")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(timedelta(seconds=30))  # send window 5 s, timeout 1 s, settle delay 30 s
        ledger.sweep()
        assert books.call().state == "in_doubt"
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call().state == "succeeded"
        assert bank.worst == 1

    def test_absent_in_another_scope_proves_nothing(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_reply], lookups=[lambda *_: None], replays=False)
        provider, pay = provider_of(bank, Never(), lookup="authoritative")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        bank.scope = "merchant-18"
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.attempts() == [("send", "unknown"), ("lookup", "absent")]
        assert books.call().state == "in_doubt"

    def test_absent_proves_nothing_if_the_lookup_is_not_authoritative(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_request])
        provider, pay = provider_of(bank, Never(), lookup="positive")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        for _ in range(3):
            books.pass_time(timedelta(minutes=6))
            ledger.sweep()
        assert books.call().state == "in_doubt"
        assert len(bank.sent) == 1
        assert [kind for kind, _ in books.incidents()] == ["in_doubt"], "people hear of it after a quarter of an hour"

    def test_a_lookup_that_fails_proves_nothing(self, ledger_of: Make, books: Books) -> None:
        bank = Bank(manners=[manners.lose_the_reply], lookups=[manners.fail_to_look])
        provider, pay = provider_of(bank, Never(), lookup="authoritative")
        ledger = ledger_of(provider)
        ledger.call(pay, Pay(), key="1")
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call().state == "in_doubt"
        books.pass_time(timedelta(minutes=6))
        ledger.sweep()
        assert books.call().state == "succeeded"
        assert books.incidents() == []


class TestDeadWorkers:
    """A worker that does not come back leaves a call that may have taken effect."""

    def begun(self, ledger: Ledger, bank: Bank, pay: Any, *, after: bool) -> None:
        def die(bank: Bank, sending: Any) -> Any:
            if after:
                bank.apply(sending)
            raise SystemExit  # not an Exception: nothing is recorded, as if the process had been killed

        bank.manners.append(die)
        with pytest.raises(SystemExit):
            ledger.call(pay, Pay(), key="1")

    @pytest.mark.parametrize("after", [True, False])
    def test_its_call_is_in_doubt_when_the_lease_ends(self, ledger_of: Make, books: Books, *, after: bool) -> None:
        bank = Bank()
        provider, pay = provider_of(bank)
        ledger = ledger_of(provider)
        self.begun(ledger, bank, pay, after=after)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
        assert ledger.sweep() == 0, "not while its lease runs"
        books.pass_time(MINUTE)
        ledger.sweep()
        assert books.call().state == "succeeded"
        assert bank.worst == 1
        assert books.attempts() == [("send", None), ("send", "applied")]

    def test_rule_9_a_late_answer_counts_while_the_call_is_unsettled(self, ledger_of: Make, books: Books) -> None:
        bank = Bank()
        provider, pay = provider_of(bank, Never())
        ledger, other = ledger_of(provider), ledger_of(provider, "other")

        def answer_late(bank: Bank, sending: Any) -> Any:
            books.pass_time(MINUTE)
            other.sweep()
            assert books.call().state == "in_doubt"
            return bank.apply(sending)

        bank.manners.append(answer_late)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)
        assert books.incidents() == [], "closed by the answer"
        assert books.attempts() == [("send", "applied")]

    def test_a_late_refusal_changes_nothing(self, ledger_of: Make, books: Books) -> None:
        bank = Bank()
        provider, pay = provider_of(bank, Never())
        ledger, other = ledger_of(provider), ledger_of(provider, "other")

        def refuse_late(bank: Bank, sending: Any) -> Any:
            books.pass_time(MINUTE)
            other.sweep()
            return manners.refuse(bank, sending)

        bank.manners.append(refuse_late)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Unsettled)
        assert books.call().state == "in_doubt"

    def test_a_late_effect_of_a_call_that_is_settled_otherwise_is_for_people(
        self, ledger_of: Make, books: Books
    ) -> None:
        bank = Bank()
        provider, pay = provider_of(bank, rejects_final=True)
        ledger, other = ledger_of(provider), ledger_of(provider, "other")

        def answer_late(bank: Bank, sending: Any) -> Any:
            bank.manners.append(manners.refuse)  # which it has declared to be final, and it is not
            books.pass_time(MINUTE)
            other.sweep()
            return bank.apply(sending)

        bank.manners.append(answer_late)
        assert isinstance(ledger.call(pay, Pay(), key="1"), Failed)
        assert books.incidents() == [
            ("conflict", "bank/pay is recorded as failed, but attempt 1 answered late that it took effect")
        ]

    def test_rule_9_an_attempt_that_is_too_late_sends_nothing(
        self, ledger_of: Make, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bank = Bank()
        provider, pay = provider_of(bank)
        monkeypatch.setattr("onceward.ledger.making.SEND_WINDOW", timedelta(seconds=-1))
        assert isinstance(ledger_of(provider).call(pay, Pay(), key="1"), Unsettled)
        assert bank.sent == []
        assert books.attempts() == [("send", "not_sent")]
        assert books.call().state == "pending"


def test_the_same_key_with_another_request_is_refused(ledger_of: Make, books: Books) -> None:
    bank = Bank()
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    with pytest.raises(KeyConflict):
        ledger.call(pay, Pay(to="Bob"), key="1")
    assert len(bank.sent) == 1


def test_rule_8_a_field_that_was_added_since_is_no_other_request(
    database: Database, ledger_of: Make, books: Books
) -> None:
    provider, pay = provider_of(Bank())
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    older = b'{"amount":"5.00"}'
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE onceward.call DISABLE TRIGGER call_final"))
        connection.execute(
            text("UPDATE onceward.call SET request = :older, fingerprint = sha256(:older)"), {"older": older}
        )
    assert isinstance(ledger.call(pay, Pay(), key="1"), Succeeded)


def test_keys_that_differ_in_case_are_two(ledger_of: Make) -> None:
    bank = Bank()
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="a")
    ledger.call(pay, Pay(), key="A")
    assert len(bank.effects) == 2


@pytest.mark.parametrize("key", ["", "k" * 256, "k" * 10_240, "a b", "ä", "a\n", "a\0"])
def test_a_bad_key_is_refused(ledger_of: Make, key: str) -> None:
    bank = Bank()
    provider, pay = provider_of(bank)
    with pytest.raises(ConfigError, match=r"^key: "):
        ledger_of(provider).call(pay, Pay(), key=key)
    assert bank.sent == []


@pytest.mark.parametrize("amount", ["NaN", "-1", "Infinity", "1e30", "1e-11"])
def test_what_is_no_money_is_refused_before_anything_is_recorded(
    ledger_of: Make, database: Database, amount: str
) -> None:
    bank = Bank()
    provider, pay = provider_of(bank)
    with pytest.raises(ConfigError, match=r"^amount: "):
        ledger_of(provider).call(pay, Pay.model_construct(amount=Decimal(amount), to="Ada"), key="1")
    assert bank.sent == []


@pytest.mark.parametrize("currency", ["eur", "EURO", "", "E\nR", "\u20ac"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(ConfigError, match=r"^currency: "):
        Money(Decimal(1), currency)


def test_rule_18_another_effect_than_asked_for_is_an_incident(ledger_of: Make, books: Books) -> None:
    provider, pay = provider_of(Bank(manners=[manners.pay_another_amount]), check=True)
    assert isinstance(ledger_of(provider).call(pay, Pay(), key="1"), Succeeded)
    ((kind, title),) = books.incidents()
    assert (kind, "5.00 became 4.00" in title) == ("mismatch", True)


class Reading(BaseModel):
    text: str = ""
    number: float | None = None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"number": 1e400}', "the result cannot be stored and read again: it holds NaN or an infinity"),
        (b'{"number": NaN}', "the result cannot be stored and read again: it holds NaN or an infinity"),
        (b'{"text": "a\\u0000b"}', "the result holds a NUL, which cannot be stored"),
    ],
)
def test_an_answer_that_cannot_be_kept_proves_nothing(ledger_of: Make, books: Books, answer: bytes, why: str) -> None:
    provider = Provider("meter", lambda: None)

    @provider.operation(repeat=Never(), timeout=timedelta(seconds=1))
    def read(client: None, request: Reading, call: Sending) -> Reading:
        return Reading.model_validate_json(answer)

    found = ledger_of(provider).call(read, Reading(), key="1")
    assert isinstance(found, Unsettled)
    assert found.reason.startswith(why)
    assert books.attempts() == [("send", "unknown")]
    assert [kind for kind, _ in books.incidents()] == ["in_doubt"]


def test_a_request_with_a_number_that_json_does_not_have_is_refused(ledger_of: Make, books: Books) -> None:
    provider = Provider("meter", lambda: None)

    @provider.operation(repeat=Never(), timeout=timedelta(seconds=1))
    def read(client: None, request: Reading, call: Sending) -> Reading:
        raise AssertionError("nothing may be sent")

    with pytest.raises(ConfigError, match=r"^request: .* it holds NaN or an infinity"):
        ledger_of(provider).call(read, Reading(number=float("inf")), key="1")
    assert books.attempts() == []


def test_an_operation_of_a_stranger_is_refused(ledger_of: Make) -> None:
    provider, _ = provider_of(Bank())
    _, stranger = provider_of(Bank())
    with pytest.raises(ConfigError, match=r"^provider: "):
        ledger_of(provider).call(stranger, Pay(), key="1")


def no_scope() -> str:
    raise ConnectionError


def test_a_scope_that_cannot_be_told_leaves_the_provider_s_calls_alone(ledger_of: Make, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank)
    ledger = ledger_of(provider)
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)
    provider.scope = no_scope
    assert ledger.sweep() == 0
    provider.scope = lambda: "merchant-17"
    assert ledger.sweep() == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE onceward.call SET state = 'failed', settled_by = 'answer'",
        "UPDATE onceward.call SET result = '{}'",
        "DELETE FROM onceward.call",
    ],
)
def test_a_settled_call_cannot_be_changed_even_by_hand(ledger_of: Make, database: Database, change: str) -> None:
    provider, pay = provider_of(Bank())
    ledger_of(provider).call(pay, Pay(), key="1")
    with database.engine.begin() as connection, pytest.raises(DBAPIError, match="is settled as succeeded"):
        connection.execute(text(change))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'failed', settled_at = now(), settled_by = 'answer', due_at = NULL", "failed_is_proven"),
        ("state = 'pending', due_at = now()", "nothing_ambiguous_is_pending"),
        ("ambiguous = false", "in_doubt_is_ambiguous"),
        ("state = 'succeeded', settled_at = now(), settled_by = 'answer', due_at = NULL", "success_has_a_result"),
        ("settled_at = now(), settled_by = 'answer', due_at = NULL", "settled_says_when_and_by_what"),
        (
            "state = 'failed', settled_at = now(), settled_by = 'person', due_at = NULL",
            "a_person_settles_by_a_resolution",
        ),
        ("state = 'in_flight', due_at = NULL", "what_code_can_move_is_due"),
        ("scope = NULL", "what_was_sent_says_when_and_where"),
        ("currency = NULL", "an_amount_has_a_currency"),
        ("amount = 'NaN'", "an_amount_is_a_number"),
    ],
)
def test_a_wrong_state_is_impossible_even_by_hand(
    ledger_of: Make, database: Database, change: str, constraint: str
) -> None:
    provider, pay = provider_of(Bank(manners=[manners.lose_the_reply]), DAY)
    ledger_of(provider).call(pay, Pay(), key="1")
    with database.engine.begin() as connection, pytest.raises(IntegrityError, match=constraint):
        connection.execute(text(f"UPDATE onceward.call SET {change}"))


def test_a_provider_s_name_is_declared_with_its_terms(ledger_of: Make, database: Database) -> None:
    provider, _ = provider_of(Bank(), SameKey(timedelta(hours=24), replays="everything"), lookup="authoritative")
    ledger_of(provider)
    ledger_of(provider)
    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM onceward.operation")).one()
    assert (row.provider, row.name, row.repeat, row.replays, row.lookup, row.shown) == (
        "bank",
        "pay",
        "same_key",
        "everything",
        "authoritative",
        ["amount"],
    )
    assert row.request_schema["properties"].keys() == {"amount", "to"}


def test_two_workers_never_have_one_call(ledger_of: Make, database: Database, books: Books) -> None:
    bank = Bank(manners=[manners.lose_the_reply])
    provider, pay = provider_of(bank)
    ledger, other = ledger_of(provider), ledger_of(provider, "other")
    ledger.call(pay, Pay(), key="1")
    books.pass_time(MINUTE)

    def meanwhile(bank: Bank, sending: Any) -> Any:
        assert other.sweep() == 0
        return bank.apply(sending)

    bank.manners.append(meanwhile)
    assert ledger.sweep() == 1
    assert len(bank.sent) == 2


def test_provider_types() -> None:
    with pytest.raises(ConfigError, match=r"^name: "):
        Provider("a/b", Bank)
