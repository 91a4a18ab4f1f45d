"""`onceward held`: what an operator sees and decides when Kafka has refused something."""

import json
import re

import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import connect, publish, relaying, rows, values

BIG = b"x" * 3000
WHY = ("--reason", "agreed with the shop", "--actor", "ada")


def held(*arguments: str, database: Database, user: str | None = None) -> Result:
    environment = {"ONCEWARD_DATABASE": user or database.url, "COLUMNS": "200"}
    return CliRunner().invoke(main, ["held", *arguments], env=environment)


@pytest.fixture
def topic(database: Database, kafka: TestKafka) -> str:
    """A topic with a held key, its poison and one message behind; a poison without a key; an ANSI escape in a key."""
    topic = kafka.create_topic(partitions=1, max_message_bytes="2000")
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k\x1b[31m", BIG)
        publish(app, topic, "k\x1b[31m", "behind")
        publish(app, topic, None, BIG)
        relay.wait_settled(3)
    return topic


def hold(database: Database) -> str:
    return str(rows(database, "SELECT hold_id::text FROM onceward.hold")[0][0])


def test_what_is_held_is_listed_and_shown(database: Database, topic: str) -> None:
    listed = held("list", database=database)
    assert listed.exit_code == 0
    assert rf"key k\x1b[31m of {topic}" in listed.output
    assert f"a message to {topic}" in listed.output
    assert "larger than max.message.bytes of" in " ".join(listed.output.split())
    first, second = json.loads(held("list", "--json", database=database).output)
    assert (first["scope"], first["messages"], second["scope"], second["messages"]) == ("key", 2, "message", 1)
    shown = held("show", hold(database), database=database)
    assert re.findall(r" (poison|behind) ", shown.output) == ["poison", "behind"]
    assert "\x1b" not in listed.output + shown.output
    assert "xxx" not in listed.output + shown.output, "never a payload"
    assert "nothing is held" in held("list", "--topic", "other", database=database).output


def test_skip_and_retry_let_the_key_go_on(database: Database, kafka: TestKafka, topic: str) -> None:
    [(poison,)] = rows(
        database, "SELECT message_id::text FROM onceward.held_message WHERE state = 'poison' AND key IS NOT NULL"
    )
    skipped = held("skip", poison, *WHY, database=database)
    assert skipped.output == f"skipped; what waits behind it goes on with: onceward held retry {hold(database)}\n"
    assert held("retry", hold(database), *WHY, database=database).exit_code == 0
    with relaying(database, kafka):
        eventually(lambda: rows(database, "SELECT count(*) FROM onceward.hold") == [(0,)])
    assert values(kafka.records(topic)) == ["behind"]
    assert rows(database, "SELECT actor, action, reason FROM onceward.audit ORDER BY no") == [
        ("ada", "message.skip", "agreed with the shop"),
        ("ada", "hold.release", "agreed with the shop"),
    ]


def test_a_message_without_a_key_is_retried_by_its_id(database: Database, kafka: TestKafka, topic: str) -> None:
    [(poison,)] = rows(database, "SELECT message_id::text FROM onceward.held_message WHERE hold_id IS NULL")
    assert held("retry", poison, *WHY, database=database).exit_code == 0
    kafka.configure(topic, max_message_bytes="10000")
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    assert values(kafka.records(topic)) == [BIG.decode()]


def test_refusals_are_one_line_with_what_to_do(database: Database, topic: str) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for command in ("retry", "skip"):
        refused = held(command, nobody, *WHY, database=database)
        assert refused.exit_code == 1
        assert "no message 00000000" in refused.output
        assert len(refused.output.splitlines()) == 1
    assert held("show", nobody, database=database).exit_code == 1
    assert held("skip", nobody, database=database).exit_code == 2, "a decision has a reason"
    assert held("retry", hold(database), "--reason", " ", "--actor", "ada", database=database).exit_code == 1
    denied = held("skip", nobody, *WHY, database=database, user=database.participant_url)
    assert "grant onceward_console to this role" in denied.output
