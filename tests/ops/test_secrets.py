"""No log of any level holds a password, a key, a payload or a header: not even where a driver's error repeats them."""

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.ledger import Ledger, Unsettled
from onceward.providers import Never, Provider, Sending
from onceward_relay.embedded.postgres import free_port
from onceward_relay.logs import configure
from onceward_relay.records import Recorder
from tests.conftest import Database
from tests.consumer.support import Books, record
from tests.relay.support import connect, publish, rows, running, settings
from tests.servers.kafka import TestKafka
from tests.support import eventually

SECRET = "swordfish"
SEEN = (SECRET, SECRET.encode().hex())
"""How it could show: as text, or in PostgreSQL's hexadecimal form of bytes."""


class Secret(BaseModel):
    card: str


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything that this process logs, down to debug, in the form in which the relay writes it."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    configure("debug", getattr(request, "param", "json"), stream)
    yield stream
    root.handlers[:], _ = before
    root.setLevel(before[1])
    structlog.reset_defaults()


def leaks(*texts: str) -> list[str]:
    return [line for found in texts for line in found.splitlines() if any(secret in line for secret in SEEN)]


def faulty_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the relay itself fail once, with an error that repeats what it was at."""
    own = Recorder.own
    failed: list[bool] = []

    def fails(recorder: Recorder, payload: bytes | None, headers: str) -> Any:
        if not failed:
            failed.append(True)
            raise LookupError(f"{payload!r} {headers}")
        return own(recorder, payload, headers)

    monkeypatch.setattr(Recorder, "own", fails)


def test_the_relay_logs_no_secret(
    database: Database, kafka: TestKafka, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.create_topic(max_message_bytes="2000")
    place = database.relay_url.replace("relay@", f"relay:{SECRET}@")
    nowhere = f"postgresql://relay:{SECRET}@127.0.0.1:{free_port()}/nothing"
    header = f'{{"authorization": "{SECRET}"}}'
    faulty_once(monkeypatch)
    with (
        running(settings(kafka, {"payer": place, "nowhere": nowhere}, {"sasl.password": SECRET})) as daemon,
        connect(database.participant_url) as app,
        connect(database.url) as owner,
    ):
        publish(app, topic, SECRET, SECRET, header)
        eventually(lambda: len(kafka.records(topic)) == 1, describe=log.getvalue)
        owner.execute(
            "INSERT INTO onceward.hold (hold_id, scope, topic, key, reason, actor) VALUES (gen_random_uuid(), 'key', %s, %s, 'r', 'a')",
            (topic, SECRET.encode()),
        )  # unseen by the relay, whose own hold of this key is then refused: DETAIL: Key (topic, key)=(...)
        publish(app, topic, SECRET, SECRET * 1000, header)
        eventually(lambda: "duplicate key value" in log.getvalue(), describe=log.getvalue)
        owner.execute("DELETE FROM onceward.hold WHERE reason = 'r'")
        eventually(lambda: rows(database, "SELECT FROM onceward.held_message"), describe=log.getvalue)
        eventually(lambda: "message set aside" in log.getvalue(), describe=log.getvalue)
        reasons = [state.reason for state in daemon.metrics.states.values()]
    told = log.getvalue()
    assert "a fault of the relay itself" in told
    assert "LookupError" in told
    assert "records.py" in told or "test_secrets.py" in told, "the place of a fault is told"
    assert "refused" in told, "the source that cannot be reached is told"
    assert leaks(told, *reasons) == []


def test_consumers_and_calls_log_no_secret(database: Database, log: io.StringIO) -> None:
    books = Books(database.engine, database.participant_url)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE card (number text PRIMARY KEY CHECK (number <> 'short'))"))
        connection.execute(text("GRANT SELECT, INSERT ON card TO onceward_participant"))
    refusals: list[Callable[[Session], Any]] = [
        lambda session: session.execute(text("INSERT INTO card VALUES (:n), (:n)"), {"n": SECRET}),
        lambda session: session.execute(text("SELECT CAST(:n AS int)"), {"n": SECRET}),
        lambda session: Secret.model_validate_json(f'{{"card": {{"number": "{SECRET}"}}}}'),
        lambda session: _raise(ValueError(SECRET)),
    ]
    books.before = lambda session, event: refusals[event.number](session)
    for number in range(len(refusals)):
        books.take(
            record(
                number, key=f"{SECRET}-{number}".encode(), value=f'{{"number": {number}, "note": "{SECRET}"}}'.encode()
            )
        )
    books.take(record(9, key=SECRET.encode(), value=f'{{"{SECRET}": "{SECRET}"}}'.encode()))
    books.retry()
    assert len(books.parked) == len(refusals) + 1
    refused_calls(database, books)
    books.engine.dispose()
    told = log.getvalue()
    assert "IntegrityError" in told
    assert "nothing was sent" in told
    assert leaks(told) == []
    assert leaks(*books.errors[:1]) == [], "nor does what is stored of a driver's error repeat the row"
    assert leaks(*books.rows("SELECT title || grp FROM onceward.incident")) == []


def refused_calls(database: Database, books: Books) -> None:
    """Make calls whose own code fails, before and after sending, with errors that repeat the request."""
    bank: Provider[object] = Provider("bank", object)

    @bank.operation(repeat=Never())
    def charge(client: object, request: Secret, call: Sending) -> Secret:
        raise ValueError(request.card)

    @bank.operation(repeat=Never(), ref=lambda result: _raise(ValueError(result.card)))
    def refund(client: object, request: Secret, call: Sending) -> Secret:
        return request

    refund.check(lambda request, result: _raise(ValueError(request.card)))
    ledger = Ledger(books.engine, "books", [bank], worker="w")
    ledger.declare()
    assert isinstance(ledger.call(charge, Secret(card=SECRET), key="1"), Unsettled)
    ledger.call(refund, Secret(card=SECRET), key="2")
    broken: Provider[object] = Provider("broken", lambda: _raise(ValueError(SECRET)))

    @broken.operation(repeat=Never())
    def pay(client: object, request: Secret, call: Sending) -> Secret:
        return request

    unlucky = Ledger(books.engine, "books", [broken], worker="w")
    unlucky.declare()
    unlucky.call(pay, Secret(card=SECRET), key="3")


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize("log", ["json", "console"], indirect=True)
def test_a_console_shows_no_variables(log: io.StringIO) -> None:
    """Its library prints each frame's variables unless it is told not to: a page of rows, with their payloads."""

    def fails(payload: str) -> None:
        raise KeyError(payload)

    try:
        fails(SECRET)
    except KeyError:
        logging.getLogger("apscheduler.executors").exception("a job failed")
        structlog.get_logger("onceward.relay").exception("a run failed")
    told = log.getvalue()
    assert told.count("KeyError") >= 2
    assert leaks(told) == []
