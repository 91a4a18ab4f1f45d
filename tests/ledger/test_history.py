"""A database that has lost committed rows is noticed, and nothing is sent that a lost life of it may have sent already."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text

from onceward.database import sqlalchemy_url
from onceward.ledger import Ledger, Succeeded, Unsettled
from onceward.ledger.history import History
from onceward.ledger.making import SEND_WINDOW
from onceward.providers import Always, Never, Repeat
from onceward_relay.cli import main
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import Database, fresh_database
from tests.ledger.bank import DAY, Bank, Pay, provider_of
from tests.ledger.conftest import Books, Make
from tests.people.desk import calling
from tests.servers.copies import promote, standby_of, wait_replayed
from tests.servers.postgres import TestServer

MINUTE = timedelta(minutes=1)
TABLES = "onceward.history, onceward.call, onceward.incident"


class Life:
    """A ledger whose database may begin a new life, and a bank that remembers the one before."""

    def __init__(self, database: Database, ledger_of: Make, books: Books, repeat: Repeat, lookup: str = "none") -> None:
        self.bank = Bank()
        provider, self.pay = provider_of(self.bank, repeat, lookup=lookup)
        self.ledger = ledger_of(provider)
        self.books = books
        self.database = database
        self.look()

    def look(self) -> None:
        """Look as a worker does that has just started, with a participant's rights."""
        engine = create_engine(sqlalchemy_url(self.database.participant_url))
        History(engine, "worker-1", SEND_WINDOW).look()
        engine.dispose()

    def begin_anew(self, lost: timedelta = timedelta(0), *, looked: bool = True) -> None:
        """Let the database be on another timeline, with the last so much of what it knew lost."""
        with self.database.engine.begin() as connection:
            first_seen = {"lost": lost}
            connection.execute(text("UPDATE onceward.history SET first_seen = first_seen - :lost"), first_seen)
            connection.execute(text("UPDATE onceward.history SET timeline = '000000FF', xid = pg_current_xact_id()"))
        if looked:
            self.look()

    def paid_before(self, key: str = "1") -> None:
        """Let the bank have paid, in a life that the database has lost."""
        self.bank.effects[self.bank.scope, key] = 1

    def call(self) -> Any:
        return self.ledger.call(self.pay, Pay(), key="1")

    def go_on(self, times: int = 4) -> None:
        for _ in range(times):
            self.ledger.sweep()
            self.books.pass_time(MINUTE)

    def confirm(self, life: int | None = None) -> None:
        with psycopg.connect(self.database.console_url, row_factory=dict_row) as console:
            row = console.execute("SELECT max(no) AS no FROM onceward.history").fetchone()
            assert row is not None
            calling(console, "confirm_history", seen=life or row["no"], actor="ada", reason="compared with the bank")


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
    return shared


@pytest.fixture
def life_of(database: Database, ledger_of: Make, books: Books) -> Any:
    return lambda *declared, **more: Life(database, ledger_of, books, *declared, **more)


def test_while_the_database_is_the_one_it_was_nothing_changes(life_of: Any) -> None:
    life = life_of(Never())
    life.look()
    assert isinstance(life.call(), Succeeded)
    assert life.books.incidents() == []


def test_without_a_key_a_new_call_is_held_until_a_person_has_looked(life_of: Any) -> None:
    life = life_of(Never())
    life.paid_before()
    life.begin_anew()
    assert isinstance(life.call(), Unsettled)
    life.go_on()
    assert (life.bank.sent, life.books.call().state) == ([], "pending")
    ((kind, title),) = life.books.incidents()
    assert (kind, "onceward recover" in title) == ("history_lost", True)
    life.confirm()
    life.ledger.sweep()
    assert (life.books.call().state, life.books.incidents()) == ("succeeded", [])


def test_a_call_that_waited_already_is_held_too(life_of: Any) -> None:
    life = life_of(Never())
    life.begin_anew(looked=False)
    life.call()
    with life.database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.call SET error_code = 'waits'"))
    life.look()
    life.go_on()
    assert (life.bank.sent, life.books.call().error_code) == ([], "history_lost")


def test_a_lost_call_is_sent_again_under_its_key_and_takes_effect_once(life_of: Any) -> None:
    life = life_of(DAY)
    life.paid_before()
    life.begin_anew(lost=timedelta(hours=3))
    life.call()
    life.go_on(2)
    assert (life.books.call().state, len(life.bank.sent), life.bank.worst) == ("succeeded", 1, 1)


def test_a_key_that_may_have_been_forgotten_since_is_not_sent(life_of: Any) -> None:
    life = life_of(DAY)
    life.begin_anew(lost=timedelta(hours=30))
    life.call()
    life.go_on()
    assert (life.bank.sent, life.books.call().state) == ([], "in_doubt")
    assert [kind for kind, _ in life.books.incidents()] == ["history_lost", "in_doubt"]


@pytest.mark.parametrize("repeat", [Never(), DAY])
def test_the_provider_is_asked_first_if_it_can_be(life_of: Any, repeat: Repeat) -> None:
    life = life_of(repeat, lookup="authoritative")
    life.paid_before()
    life.begin_anew()
    life.call()
    life.go_on()
    assert (life.books.call().state, life.books.call().settled_by, life.bank.sent) == ("succeeded", "lookup", [])


def test_what_the_provider_does_not_know_is_sent(life_of: Any) -> None:
    life = life_of(Never(), lookup="authoritative")
    life.begin_anew()
    life.call()
    life.go_on()
    assert life.books.attempts() == [("lookup", "absent"), ("send", "applied")]
    assert life.books.call().state == "succeeded"


def test_a_lookup_counts_only_once_no_lost_attempt_can_be_under_way(life_of: Any) -> None:
    """The other life's last attempt may have left its worker a moment before that noticed."""
    life = life_of(Never(), lookup="authoritative")
    life.begin_anew()
    life.call()
    life.ledger.sweep()
    life.books.pass_time(timedelta(seconds=30))  # send window 5 s, timeout 1 s, settle delay 30 s
    life.ledger.sweep()
    assert life.books.attempts() == []


def test_a_lookup_that_only_finds_is_no_proof_without_a_key(life_of: Any) -> None:
    life = life_of(Never(), lookup="positive")
    life.begin_anew()
    life.call()
    life.go_on()
    assert (life.books.attempts(), life.books.call().state) == ([], "pending")


def test_what_may_always_be_repeated_goes_on(life_of: Any) -> None:
    life = life_of(Always())
    life.begin_anew(looked=False)
    assert isinstance(life.call(), Succeeded)


def test_until_a_worker_has_looked_everything_else_is_held(life_of: Any) -> None:
    """Which worker meets the new life first is chance, and its call comes before its look."""
    life = life_of(DAY)
    life.begin_anew(looked=False)
    life.call()
    life.ledger.sweep()
    assert (life.bank.sent, life.books.call().error_code) == ([], "history_lost")
    life.look()
    life.go_on()
    assert life.books.call().state == "succeeded"


def test_what_is_in_doubt_is_proven_absent_only_by_a_lookup_after_the_new_life_began(life_of: Any) -> None:
    life = life_of(Never(), lookup="authoritative")
    life.bank.manners = [lambda bank, sending: 1 / 0]
    life.call()
    before = life.books.call()
    life.books.pass_time(MINUTE)
    life.begin_anew()
    call = life.books.call()
    assert call.send_by > before.send_by
    assert call.version > before.version, "what a person saw of it counts no more"
    life.ledger.sweep()
    assert life.books.call().state == "in_doubt", "a lost attempt of it may be under way"
    life.go_on()
    assert life.books.call().state == "succeeded"


def test_a_restored_dump_is_another_life_on_the_same_server(life_of: Any) -> None:
    life = life_of(Never())
    with life.database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.history SET seen_by = seen_by"))  # written by another transaction
    life.call()
    life.look()
    assert [kind for kind, _ in life.books.incidents()] == ["history_lost"]
    life.go_on()
    assert life.bank.sent == []


def test_only_the_life_that_was_seen_is_confirmed(life_of: Any) -> None:
    life = life_of(Never())
    with pytest.raises(psycopg.Error, match="there is nothing to confirm"):
        life.confirm()
    life.begin_anew()
    with pytest.raises(psycopg.Error, match="has changed since it was seen"):
        life.confirm(life=10**6)
    life.begin_anew(looked=False)
    with pytest.raises(psycopg.Error, match="has changed since it was seen"):
        life.confirm()


def test_a_person_is_led_through_it_on_the_command_line(life_of: Any) -> None:
    def run(*arguments: str, status: int = 0) -> str:
        environment = {"ONCEWARD_DATABASE": life.database.console_url, "COLUMNS": "200"}
        done = CliRunner().invoke(main, ["recover", *arguments], env=environment)
        assert done.exit_code == status, done.output
        return done.output

    life = life_of(Never())
    assert "is the one that its workers know" in run()
    life.ledger.call(life.pay, Pay(), key="known")
    life.begin_anew(looked=False)
    assert "no worker has looked at yet" in run()
    life.look()
    life.call()
    life.ledger.sweep()
    shown = run()
    assert "may be lost" in shown
    assert "known" in shown
    assert "bank/pay" in shown
    assert "5 EUR" in shown
    with life.database.engine.connect() as connection:
        newest = connection.scalar(text("SELECT max(no) FROM onceward.history"))
    assert "--reason is needed" in run("--confirm", str(newest), status=2)
    said = run("--confirm", str(newest), "--reason", "compared with the bank", "--actor", "ada")
    assert "1 calls that were held go on" in said
    with life.database.engine.connect() as connection:
        entry = connection.execute(text("SELECT actor, action FROM onceward.audit ORDER BY no DESC LIMIT 1")).one()
    assert tuple(entry) == ("ada", "history.confirm")


class Server:
    """A ledger on a server, whose worker has looked what server that is."""

    def __init__(self, url: str, keyed: Bank, unkeyed: Bank) -> None:
        self.engine = create_engine(sqlalchemy_url(url))
        providers = provider_of(keyed, DAY, name="keyed"), provider_of(unkeyed, Never(), name="unkeyed")
        self.operations = [operation for _, operation in providers]
        self.ledger = Ledger(self.engine, "payer", [provider for provider, _ in providers], worker="worker")
        self.ledger.declare()
        History(self.engine, "worker", SEND_WINDOW).look()

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


def test_an_asynchronous_promotion_that_loses_calls_pays_nothing_twice(own_postgres: EmbeddedPostgres) -> None:
    """Two payments are lost with the old primary: one provider takes a key, the other does not."""
    name = TestServer(own_postgres).create_database(installed=True).rpartition("/")[2]
    keyed, unkeyed = Bank(), Bank(replays=False)
    with standby_of(own_postgres) as standby:
        old = Server(own_postgres.url(name), keyed, unkeyed)
        wait_replayed(standby, own_postgres)
        standby.stop()
        for operation in old.operations:
            assert isinstance(old.ledger.call(operation, Pay(), key="1"), Succeeded)
        old.engine.dispose()
        own_postgres.kill()
        standby.start()
        promote(standby)
        new = Server(standby.url(name), keyed, unkeyed)
        for operation in new.operations:
            assert isinstance(new.ledger.call(operation, Pay(), key="1"), Unsettled), "the database has lost them"
        new.ledger.sweep()
        states = new.rows("SELECT provider, state FROM onceward.call ORDER BY provider")
        assert states == [("keyed", "succeeded"), ("unkeyed", "pending")]
        assert (keyed.worst, unkeyed.worst) == (1, 1)
        assert new.rows("SELECT kind FROM onceward.incident WHERE closed_at IS NULL") == [("history_lost",)]
        new.engine.dispose()
