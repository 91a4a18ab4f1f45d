"""Every way of docs/kafka.md to show who one is, from the outbox to a consumer, with no more rights than it names."""

import json
import logging
import re

import pytest
from click.testing import CliRunner

from onceward_relay.cli import main
from tests.conftest import Database
from tests.consumer.kafka import Running, new_group
from tests.consumer.support import Books
from tests.relay.support import connect, publish
from tests.support import eventually

from .support import PAGE, PASSWORD, Secure, as_options, relay_process

WAYS = ["TLS", "Mutual TLS", "SCRAM", "PLAIN", "OAUTHBEARER"]
OWNS = "source taken over"


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
            relay.wait_for_output(OWNS)
            eventually(lambda: books.paid == [7], describe=lambda: relay.output)
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
