"""Idle sources: found quickly, also where others are busy, and in nobody's way."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from onceward_relay.outbox import Outbox, Probe, Wait
from onceward_relay.position import Snapshot
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import connect, publish, relaying


@contextmanager
def busy_server(url: str) -> Iterator[None]:
    """Let transactions without messages end all the time."""
    over = Event()

    def work() -> None:
        with connect(url) as other:
            while not over.wait(0.002):
                other.execute("SELECT pg_current_xact_id()")

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """What the server answers to a relay that waits, as it comes."""
    answers: list[Probe] = []
    probe = Outbox.probe

    def noted(self: Outbox, since: Snapshot, wait: Wait) -> Probe:
        answers.append(probe(self, since, wait))
        return answers[-1]

    monkeypatch.setattr(Outbox, "probe", noted)
    return answers


def test_transactions_without_messages_do_not_wake_the_relay(
    database: Database, kafka: TestKafka, probes: list[Probe]
) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app, relaying(database, kafka, poll_interval=2) as relay:
        relay.wait_owner()
        with busy_server(database.url):
            for _ in range(2):
                asked = len(probes)
                eventually(lambda: len(probes) == asked + 1)  # noqa: B023 -- called at once
                assert probes[-1].barren
            asked = len(probes)
            publish(app, topic, "k", "1")
            relay.wait_settled(1)
            assert not probes[asked].barren, "the wait that was under way has ended with the message"


def test_a_waiting_relay_locks_nothing(database: Database, kafka: TestKafka) -> None:
    """Not even the lock of a reader: a change of the schema has its lock within milliseconds."""
    with connect(database.url) as owner, relaying(database, kafka, poll_interval=2) as relay:
        relay.wait_owner()
        owner.execute("SET lock_timeout = '200ms'")
        with busy_server(database.url):
            for _ in range(20):
                with owner.transaction():
                    owner.execute("LOCK TABLE onceward.outbox IN ACCESS EXCLUSIVE MODE")


def test_a_transaction_that_was_running_when_the_wait_began_ends_it(database: Database, kafka: TestKafka) -> None:
    """Its id is older than the newest that the relay has passed over."""
    topic = kafka.create_topic()
    with psycopg.connect(database.participant_url) as app, relaying(database, kafka, poll_interval=2) as relay:
        publish(app, topic, "k", "late")
        with busy_server(database.url):
            relay.wait_owner()
            beats = relay.state.beat_at
            eventually(lambda: relay.state.beat_at > beats + 2)
            app.commit()
            relay.wait_settled(1)
