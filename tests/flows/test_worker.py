"""The worker: everything of a participant in one process, which ends cleanly, or loudly."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from sqlalchemy import create_engine, text

from onceward import migrations
from onceward import worker as worker_module
from onceward.database import sqlalchemy_url
from onceward.errors import ConfigError, SchemaError, WorkerFailed
from onceward.flows.flow import Flow
from onceward.flows.listening import Listen
from onceward.ids import derived, uuid7
from onceward.participant import Participant
from onceward.providers import Provider
from onceward.worker import Worker
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.flows.support import NO_KAFKA, Answer, Noted, Payer, Transfer, book, flow_id, request
from tests.ledger import bank as manners
from tests.servers.kafka import TestKafka
from tests.support import eventually

SECRET = "IBAN DE00 1234"


class Running:
    """A worker that runs in a thread of its own."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:  # noqa: BLE001 -- looked at by the test
            self.error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def wait(self, seconds: float = 30) -> None:
        self._thread.join(seconds)
        assert not self.alive, f"still running after {seconds} s"


@contextmanager
def running(worker: Worker) -> Iterator[Running]:
    started = Running(worker)
    try:
        yield started
    finally:
        worker.stop()
        started.wait()
    if started.error is not None:
        raise started.error


def produce(kafka: TestKafka, topic: str, *events: Transfer | Answer) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    for event in events:
        kind = type(event).__name__
        headers = {"ce_specversion": "1.0", "ce_id": str(uuid7()), "ce_source": "test", "ce_type": kind}
        pairs: list[tuple[str, str | bytes | None]] = [(name, value.encode()) for name, value in headers.items()]
        producer.produce(topic, event.model_dump_json().encode(), str(event.number).encode(), headers=pairs)
    assert producer.flush(30) == 0


def test_from_a_message_through_calls_to_messages(database: Database, kafka: TestKafka) -> None:
    """A record in Kafka, a flow, a bank that loses two replies, business rows, and messages in the outbox."""
    topic = kafka.create_topic(partitions=2)
    payer = Payer(database, topic=topic)
    payer.bank.manners, payer.bank.replays = [manners.lose_the_reply, manners.be_unreachable], True

    def code(flow: Flow, event: Transfer) -> None:
        paid = flow.call(payer.pay, request(event), ref=f"transfer {event.number}")
        booked = flow.transact(book, event.number)
        flow.publish(Noted(number=booked, note=paid.reference), topic="noted", key=event.number)

    payer.code = code
    produce(kafka, topic, *(Transfer(number=number) for number in range(20)))
    with running(payer.worker(kafka.bootstrap, name="whole")):
        eventually(lambda: payer.states == {"completed": 20}, 60, lambda: (payer.states, payer.calls))
    assert sorted(payer.booked) == list(range(20))
    assert {message_id for message_id, *_ in payer.outbox} == {
        derived(str(flow_id(number)), "Noted") for number in range(20)
    }
    assert payer.bank.worst == 1
    assert len(payer.bank.effects) == 20
    assert payer.rows("SELECT DISTINCT worker FROM onceward.flow") == ["whole"]
    assert payer.rows("SELECT ref FROM onceward.call WHERE flow_id = :id", id=flow_id(7)) == ["transfer 7"]
    assert payer.rows("SELECT count(*) FROM onceward.inbox WHERE state = 'done'") == [20]
    payer.engine.dispose()


def test_messages_start_and_wake_flows_in_whatever_order_they_come(database: Database, kafka: TestKafka) -> None:
    """Requests and answers by way of Kafka, at the same time; every flow gets its own answer."""
    topic, answers = kafka.create_topic(partitions=2), kafka.create_topic(partitions=2)
    payer = Payer(database, topic=topic, listen=[Listen(answers, Answer, key=lambda event: event.number)])
    payer.code = lambda flow, event: flow.transact(book, flow.wait(Answer, expect_within=timedelta(hours=1)).number)
    produce(kafka, answers, *(Answer(number=number) for number in range(10)))
    produce(kafka, topic, *(Transfer(number=number) for number in range(30)))
    with running(payer.worker(kafka.bootstrap)):
        produce(kafka, answers, *(Answer(number=number) for number in range(10, 30)))
        eventually(lambda: payer.states == {"completed": 30}, 60, lambda: (payer.states, payer.incidents))
    assert sorted(payer.booked) == list(range(30))
    assert payer.open_incidents == []
    payer.engine.dispose()


def test_a_worker_looks_each_second_for_messages_that_their_flow_does_not_know_of(waiter: Payer) -> None:
    waiter.run(lambda flow, event: flow.wait(Answer))
    with waiter.admin.connect() as busy:
        busy.execute(text("SELECT FROM onceward.flow FOR UPDATE"))
        waiter.deliver(Answer(number=1))
    assert waiter.rows("SELECT noticed FROM onceward.signal") == [False]
    with running(waiter.worker()):
        eventually(lambda: waiter.states == {"completed": 1})


def test_a_message_wakes_the_threads_that_sleep(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = Event()

    class Sleepy:
        def seconds(self, failures: int) -> float:
            if failures > 10:
                asleep.set()
            return 0.02 if failures <= 10 else 3600

    monkeypatch.setattr(worker_module, "IDLE", Sleepy())
    payer = Payer(database, topic=kafka.create_topic())
    with running(payer.worker(kafka.bootstrap, threads=1)):
        assert asleep.wait(30)
        produce(kafka, payer.participant.topics[0], Transfer(number=1))
        eventually(lambda: payer.states == {"completed": 1})
    payer.engine.dispose()


def test_a_worker_shows_that_it_lives_and_what_it_can_do(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "SHOWN_EVERY", timedelta(milliseconds=20))
    with payer.admin.begin() as connection:
        connection.execute(text("DELETE FROM onceward.worker"))
        old = "INSERT INTO onceward.worker (name, flows, providers, seen_at) VALUES ('old', '{}', '{}', now() - interval '25 h')"
        connection.execute(text(old))
    with running(payer.worker(name="here", code_version="7.1")):
        eventually(lambda: payer.rows("SELECT seen_at > started_at FROM onceward.worker") == [True])
        found = payer.rows("SELECT name, code_version, flows, providers, resting FROM onceward.worker")
        assert found == [("here", "7.1", ["transfer"], ["bank"], [])]
        began = payer.rows("SELECT started_at FROM onceward.worker")
    assert payer.rows("SELECT DISTINCT code_version FROM onceward.operation") == ["7.1"]
    with running(payer.worker(name="here")):
        eventually(lambda: payer.rows("SELECT started_at FROM onceward.worker") > began)


def test_a_client_that_sends_again_by_itself_ends_the_worker_before_it_begins(payer: Payer) -> None:
    payer.participant.providers += (Provider("careless", lambda: httpx.Client(follow_redirects=True)),)
    with pytest.raises(ConfigError, match=r"^client: of careless follows redirects"):
        payer.worker().run()


def test_flows_are_run_at_the_same_time(payer: Payer) -> None:
    together = Event()
    inside: list[int] = []

    def code(flow: Flow, event: Transfer) -> None:
        inside.append(event.number)
        if len(inside) == 3:
            together.set()
        assert together.wait(30)

    payer.code = code
    for number in range(3):
        payer.start(number)
    with running(payer.worker(threads=3)):
        eventually(lambda: payer.states == {"completed": 3})


@pytest.mark.timeout(60)
def test_the_end_waits_for_the_step_under_way_and_gives_the_flow_back(payer: Payer) -> None:
    inside, go_on = Event(), Event()

    def slow(bank: Any, sending: Any) -> Any:
        inside.set()
        assert go_on.wait(30)
        return bank.apply(sending)

    def code(flow: Flow, event: Transfer) -> None:
        flow.call(payer.pay, request(event))
        flow.transact(book, event.number)

    payer.bank.manners, payer.code = [slow], code
    payer.start()
    with running(payer.worker()) as started:
        assert inside.wait(30)
        started.worker.stop()
        eventually(started.worker._stopping.is_set)
        go_on.set()
        started.wait()
    flow = payer.flow()
    assert (flow.state, flow.epoch, payer.booked, payer.bank.worst) == ("running", 1, [], 1)
    assert payer.run_due() == 1, "it is due at once"
    assert (payer.flow().state, payer.booked, payer.bank.worst) == ("completed", [1], 1)


def test_the_end_does_not_wait_for_ever(payer: Payer, caplog: pytest.LogCaptureFixture) -> None:
    inside, go_on = Event(), Event()

    def hang(bank: Any, sending: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return bank.apply(sending)

    payer.bank.manners = [hang]
    payer.code = lambda flow, event: flow.call(payer.pay, request(event))
    payer.start()
    try:
        with running(payer.worker(grace=timedelta(milliseconds=100))) as started:
            assert inside.wait(30)
        assert started.error is None
        assert "its work is left to the lease" in caplog.text
    finally:
        go_on.set()
        assert started.worker._crew.join(30) == []
        assert payer.calls == [("pay", "succeeded")]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("ALTER TABLE onceward.flow RENAME COLUMN due_at TO gone", 'column "due_at" does not exist'),
        ("REVOKE UPDATE ON onceward.flow FROM onceward_participant", "permission denied for table flow"),
        ("DROP TABLE onceward.attempt", "does not exist"),
    ],
)
def test_a_thread_that_dies_ends_the_worker(
    own_payer: Payer, caplog: pytest.LogCaptureFixture, broken: str, words: str
) -> None:
    own_payer.code = lambda flow, event: flow.call(own_payer.pay, request(event))
    started = Running(own_payer.worker())
    try:
        own_payer.start(1)
        eventually(lambda: own_payer.states == {"completed": 1})
        with own_payer.admin.begin() as connection:
            connection.execute(text(broken))
        if "attempt" in broken:
            in_doubt(own_payer)
        started.wait()
    finally:
        started.worker.stop()
        started.wait()
    assert isinstance(started.error, WorkerFailed)
    assert words in str(started.error)
    assert "died" in caplog.text


def in_doubt(payer: Payer) -> None:
    """Give the sweep something to stumble over."""
    with payer.admin.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, state, due_at, epoch,"
                " first_sent_at, send_by, scope, ambiguous)"
                " SELECT gen_random_uuid(), provider, operation, 'k', request, fingerprint, 'in_doubt', now(), 1,"
                " now(), now(), scope, true"
                " FROM onceward.call LIMIT 1"
            )
        )


def test_a_death_is_told_without_payload(own_payer: Payer, caplog: pytest.LogCaptureFixture) -> None:
    with own_payer.admin.begin() as connection:
        connection.execute(text(f"ALTER TABLE onceward.flow ADD COLUMN secret text DEFAULT '{SECRET}'"))
        connection.execute(text("ALTER TABLE onceward.flow ADD CONSTRAINT odd CHECK (epoch = 0) NOT VALID"))
    own_payer.start()
    started = Running(own_payer.worker())
    started.wait()
    assert isinstance(started.error, WorkerFailed)
    assert 'violates check constraint "odd"' in str(started.error)
    assert SECRET not in caplog.text + str(started.error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE onceward.schema_version SET version_num = '0000'", "onceward schema upgrade"),
        ("UPDATE onceward.schema_version SET version_num = '9999'", "newer than this program knows"),
        ("REVOKE onceward_participant FROM app", "GRANT onceward_participant"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(own_payer: Payer, change: str, words: str) -> None:
    with own_payer.admin.begin() as connection:
        connection.execute(text(change))
    try:
        with pytest.raises(SchemaError, match=words):
            own_payer.worker().run()
    finally:
        with own_payer.admin.begin() as connection:
            connection.execute(text("GRANT onceward_participant TO app"))


def test_a_missing_schema_is_refused(empty_database: Database) -> None:
    engine = create_engine(sqlalchemy_url(empty_database.participant_url))
    with pytest.raises(SchemaError, match="onceward schema install"):
        Worker(Participant("payer"), engine, {}).run()
    engine.dispose()


def test_a_setting_that_cannot_be_is_refused(payer: Payer) -> None:
    with pytest.raises(ConfigError, match=r"enable\.auto\.commit"):
        Worker(payer.participant, payer.engine, {"bootstrap.servers": NO_KAFKA, "enable.auto.commit": True}).run()
    with pytest.raises(ConfigError, match="threads"):
        payer.worker(threads=0)


def test_flows_without_code_are_told_at_the_start(payer: Payer, caplog: pytest.LogCaptureFixture) -> None:
    payer.start()
    with payer.admin.begin() as connection:
        connection.execute(text("UPDATE onceward.flow SET name = 'removed'"))
    with running(payer.worker()):
        eventually(lambda: "no flow of that name" in caplog.text)
    assert "1 flows removed" in caplog.text


def test_a_participant_with_nothing_to_do_waits_for_its_end(database: Database) -> None:
    with running(Worker(Participant("idle"), database.engine, {})) as started:
        eventually(lambda: started.alive)


def test_an_outage_of_the_database_is_waited_out(
    own_postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_postgres.url()
    migrations.install(url)
    engine = create_engine(sqlalchemy_url(url))
    database = Database(url, url, url, url, url, engine, "postgres")
    payer = Payer(database)
    payer.code = lambda flow, event: flow.call(payer.pay, request(event))
    with running(payer.worker()) as started:
        payer.start(1)
        eventually(lambda: payer.states == {"completed": 1})
        own_postgres.stop()
        eventually(lambda: caplog.text.count("database error, trying again") >= 5)
        assert started.alive
        own_postgres.start()
        engine.dispose()
        payer.start(2)
        eventually(lambda: payer.states == {"completed": 2})
    payer.engine.dispose()
    engine.dispose()


def test_a_database_that_is_not_there_yet_is_waited_for(
    own_postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "onceward")
    url = own_postgres.url()
    migrations.install(url)
    own_postgres.stop()
    engine = create_engine(sqlalchemy_url(url))
    with running(Worker(Participant("payer"), engine, {})):
        eventually(lambda: caplog.text.count("database error, trying again") >= 2)
        own_postgres.start()
        eventually(lambda: "begins" in caplog.text)
    engine.dispose()
