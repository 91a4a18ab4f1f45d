"""Every way of docs/kafka.md to show who one is, from the outbox to a consumer, with no more rights than it names."""

import json
import logging
import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from onceward_relay.cli import main
from tests.conftest import Database
from tests.consumer.kafka import Running, new_group
from tests.consumer.support import Books
from tests.crash.scene import Scene
from tests.relay.support import connect, publish, values
from tests.servers.certificates import Authority
from tests.servers.secure_kafka import CONSUMER, RELAY
from tests.support import Process, eventually

from .support import PAGE, PASSWORD, Secure, as_options, relay_process

WAYS = ["TLS", "Mutual TLS", "SCRAM", "PLAIN", "OAUTHBEARER"]
OWNS = "source taken over"
LONG = 180.0
"""Seconds that a process may take to begin its work, and a broker to be itself again."""
pytestmark = pytest.mark.timeout(600)


def test_the_page_shows_no_other_way() -> None:
    assert re.findall(r"^### (.*)\n```toml\n\[kafka\]", PAGE, re.MULTILINE) == WAYS


@pytest.mark.parametrize("way", [*WAYS, "SCRAM, the shorter"])
def test_from_the_outbox_to_the_consumer(
    database: Database, books: Books, secure: Secure, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    topic = secure.kafka.create_topic()
    books.consume(topic)
    heading = way.partition(",")[0]
    snippet, options = secure.snippet(heading), secure.consumer_options(heading)
    if heading != way:
        snippet = snippet.replace("SHA-512", "SHA-256", 1)
        options = {**options, "sasl.mechanism": "SCRAM-SHA-256"}
    config = secure.write_config(database, snippet)
    with connect(database.participant_url) as app:
        publish(app, topic, "k", '{"number": 7}', kind="Paid")
    consumer = Running(books, **{"bootstrap": "", **as_options(options)}, group=new_group())
    try:
        with relay_process(config) as relay:
            relay.wait_for_output(OWNS, LONG)
            eventually(lambda: books.paid == [7], LONG, lambda: relay.output)
            assert relay.terminate() == 0
            assert PASSWORD not in relay.output
    finally:
        consumer.stop()
    assert consumer.error is None
    assert PASSWORD not in caplog.text + repr(consumer.consumer.__dict__)


@pytest.mark.parametrize("way", ["Mutual TLS", "SCRAM", "OAUTHBEARER"])
def test_check_and_doctor(database: Database, secure: Secure, way: str) -> None:
    config = secure.write_config(database, secure.snippet(way))
    topic = secure.kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, "k", "x")
    for command in (["relay", "check"], ["doctor"]):
        done = CliRunner().invoke(main, [*command, "--config", str(config), "--json"])
        findings = json.loads(done.output)["findings"]
        about = [each for each in findings if each["subject"].startswith(("kafka ", f"topic {topic}"))]
        assert len(about) >= 2, done.output
        assert all(each.get("ok", each.get("level") != "problem") for each in about), about
        assert PASSWORD not in done.output


def test_what_the_exactly_once_mode_needs_is_checked_beside_a_relay_at_work(database: Database, secure: Secure) -> None:
    """Each right in turn, of those that the page names; with all of them the relay does its work, and `check` looks on."""
    pages, server, topic = f"pages-{database.name}", secure.server, secure.kafka.create_topic()
    once = f'delivery = "exactly_once"\npages_topic = "{pages}"'
    config = secure.write_config(database, secure.snippet("SCRAM"), once)

    def said() -> tuple[bool, str]:
        done = CliRunner().invoke(main, ["relay", "check", "--config", str(config), "--json"])
        (found,) = (it for it in json.loads(done.output)["findings"] if it["subject"] == "exactly once payer")
        return found["ok"], found["text"]

    def after(operation: str, kind: str, name: str, ok: bool, text: str) -> None:
        server.allow(RELAY, operation, kind, name)
        eventually(lambda: (found := said())[0] is ok and text in found[1], LONG, said)

    def arrived(relay: Process, count: int) -> None:
        eventually(lambda: len(secure.kafka.records(topic)) == count, LONG, lambda: relay.output)

    ok, text = said()
    assert not ok
    assert "grant Read on the group onceward-payer; make the topic" in text
    after("READ", "GROUP", "onceward-payer", ok=False, text=f"let it: make the topic {pages}, with one partition")
    after("CREATE", "TOPIC", pages, ok=True, text="its transactional id was not asked")
    secure.kafka.create_topic(pages)
    after("CREATE", "TOPIC", pages, ok=False, text=f"let it: grant Read on the topic {pages}")
    after("READ", "TOPIC", pages, ok=True, text="its transactional id was not asked")
    try:
        id_denied = "let it: grant Write and Describe on the transactional id onceward-payer"
        after("DESCRIBE_CONFIGS", "BROKER", "kafka-cluster", ok=False, text=id_denied)
        after("DESCRIBE", "TRANSACTIONAL_ID", "onceward-payer", ok=False, text=id_denied)
        after("WRITE", "TRANSACTIONAL_ID", "onceward-payer", ok=True, text="the relay may do what the mode needs")
        assert said() == (True, "the relay may do what the mode needs")
        with relay_process(config) as relay, connect(database.participant_url) as app:
            for number in range(3):
                publish(app, topic, "k", str(number))
                arrived(relay, number + 1)
                assert said()[0]
            assert relay.terminate() == 0
            assert "taken over; starting again" not in relay.output, "nobody fenced it off"
        assert values(secure.kafka.records(topic)) == ["0", "1", "2"]
    finally:
        server.lift(RELAY, "DESCRIBE_CONFIGS", "kafka-cluster", "BROKER", deny=False)


NEW_PASSWORD = "albatross-77d1"


def new_password(secure: Secure, *clients: Process) -> None:
    """The cluster knows the new one first; the file has it once the old one was refused."""
    for user in (RELAY, CONSUMER):
        secure.server.set_password(user, NEW_PASSWORD)
    secure.server.restart()
    for client in clients:
        client.wait_for_output("Authentication failed", LONG)
    secure.write_password(NEW_PASSWORD)


def new_certificates(secure: Secure, *_: Process) -> None:
    """Of another authority, in the same files; the broker has them after its restart."""
    secure.server.authority = Authority()
    secure.server.make_certificates()
    secure.server.restart()


@pytest.mark.parametrize(("way", "rotate"), [("SCRAM", new_password), ("Mutual TLS", new_certificates)])
def test_a_secret_is_rotated_under_load(guarded: Scene, secure: Secure, way: str, rotate: Callable[..., None]) -> None:
    secure.lead(guarded, way)
    workload = guarded.workload()
    workload.start(writers=2)
    relay, reader = guarded.relay(), guarded.reader()
    eventually(lambda: guarded.taken().total() > 50, LONG, lambda: relay.output + reader.output)
    try:
        rotate(secure, relay, reader)
        reader.wait_for_output("secrets or certificates of Kafka have changed", LONG)
        workload.wait_for(50)
        workload.stop()
        guarded.check()
        guarded.check_taken(LONG)
    finally:
        for user in (RELAY, CONSUMER):
            secure.server.set_password(user, PASSWORD)
    assert (relay.terminate(), reader.terminate()) == (0, 0)
    for output in (relay.output, reader.output):
        assert PASSWORD not in output
        assert NEW_PASSWORD not in output


def test_what_is_denied_under_load_waits_and_goes_on_once_it_is_allowed(guarded: Scene, secure: Secure) -> None:
    secure.lead(guarded, "SCRAM")
    server, denials = secure.server, ((RELAY, "WRITE"), (CONSUMER, "READ"))
    free, workload = secure.kafka.create_topic(), guarded.workload()
    workload.start(writers=2)
    relay, reader = guarded.relay(), guarded.reader()
    eventually(lambda: guarded.taken().total() > 50, LONG, lambda: relay.output + reader.output)
    for user, operation in denials:
        server.allow(user, operation, name=guarded.topic, deny=True)
    relay.wait_for_output("topic held", timeout=LONG)
    workload.wait_for(50)
    with connect(guarded.url) as app:
        publish(app, free, "k", "the others flow")
        eventually(lambda: values(secure.kafka.records(free)) == ["the others flow"])
        [(reason,)] = app.execute("SELECT reason FROM onceward.hold").fetchall()
    assert reason == "is denied to the relay"
    for user, operation in denials:
        server.lift(user, operation, guarded.topic)
    relay.wait_for_output("hold released", timeout=LONG)
    workload.stop()
    guarded.check()
    guarded.check_taken(LONG)
    assert (relay.terminate(), reader.terminate()) == (0, 0)
