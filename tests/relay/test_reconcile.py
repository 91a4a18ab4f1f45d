"""`onceward relay reconcile`: a dry run that changes nothing, and a decision that is audited."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import by_key, connect, publish, relaying, rows, values

FOREIGN = "INSERT INTO onceward.checkpoint (epoch, seq, s1, xid) VALUES (1, 0, '1:1:', '7')"
"""A checkpoint as a dump brings it."""
PRESENT = "SELECT id, xid::text, message_id, topic, key, created_at FROM onceward.outbox ORDER BY id"
RECONCILE = "SELECT onceward.reconcile('ada', 'because')"


def reconcile(url: str, *options: str) -> Result:
    arguments = ["relay", "reconcile", "--actor", "ada", "--reason", "restored after the fire", *options]
    return CliRunner().invoke(main, arguments, env={"ONCEWARD_DATABASE": url, "COLUMNS": "200"})


@pytest.fixture
def halted(database: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection as superuser to a database on which a relay halts."""
    with connect(database.url) as owner:
        owner.execute("INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'old relay')")
        owner.execute(FOREIGN)
        yield owner


def test_a_dry_run_shows_what_would_be_sent_and_changes_nothing(database: Database, halted: Any) -> None:
    for topic, key in (("orders", "a"), ("orders", "b"), ("bills", None)):
        publish(halted, topic, key, "x")
    before = halted.execute(PRESENT).fetchall()
    shown = reconcile(database.url)
    assert shown.exit_code == 0
    assert "HALTED: its checkpoint was copied from another database" in shown.output
    assert "last owner: old relay" in shown.output
    assert [line.split()[:2] for line in shown.output.splitlines() if line.startswith((" orders", " bills"))] == [
        ["bills", "1"],
        ["orders", "2"],
    ]
    assert "With --apply 3 messages will be sent again" in shown.output
    assert "onceward relay reconcile --actor ada --reason 'restored after the fire' --apply" in shown.output
    document = json.loads(reconcile(database.url, "--json").output)
    assert (document["applied"], document["halted"], document["messages"]) == (False, "copied", 3)
    assert halted.execute(PRESENT).fetchall() == before
    assert rows(
        database, "SELECT (SELECT count(*) FROM onceward.checkpoint), (SELECT count(*) FROM onceward.audit)"
    ) == [(1, 0)]


def test_apply_gives_every_message_a_new_place_and_keeps_its_order(database: Database, halted: Any) -> None:
    for number in range(5):
        publish(halted, "orders", "a", str(number))
    before = halted.execute(PRESENT).fetchall()
    shown = reconcile(database.url, "--apply")
    assert shown.exit_code == 0, shown.output
    assert "5 messages will be sent again under the same ids" in shown.output
    after = halted.execute(PRESENT).fetchall()
    assert [row[2:] for row in after] == [row[2:] for row in before]
    assert min(row[0] for row in after) > max(row[0] for row in before) + 999
    assert {row[1] for row in after}.isdisjoint(row[1] for row in before)
    checkpoint = "SELECT epoch, seq, s1::text, s2, xmin = xid::xid FROM onceward.checkpoint ORDER BY epoch DESC LIMIT 1"
    assert rows(database, checkpoint) == [(2, 0, "1:1:", None, True)]
    assert rows(database, "SELECT relay FROM onceward.ownership ORDER BY epoch") == [
        ("old relay",),
        ("reconciled by ada",),
    ]


def test_the_decision_is_audited_with_what_stood_there_before(database: Database, halted: Any) -> None:
    publish(halted, "orders", "secret key", "secret payload")
    number = json.loads(reconcile(database.url, "--apply", "--json").output)["audit"]
    ((actor, action, kind, reason, body),) = rows(
        database, "SELECT actor, action, subject_kind, reason, body FROM onceward.audit WHERE no = %s", number
    )
    assert (actor, action, kind, reason) == ("ada", "relay.reconcile", "outbox", "restored after the fire")
    assert (body["halted"], body["sent_again"], body["checkpoint"]["epoch"]) == ("copied", 1, 1)
    assert "secret" not in json.dumps(body)


def test_a_halted_relay_goes_on_once_it_is_applied(database: Database, kafka: TestKafka, halted: Any) -> None:
    """It tries for the lease now and then, so the command may have to wait for a moment."""
    topic = kafka.create_topic(partitions=2)
    for number in range(20):
        publish(halted, topic, f"k{number % 3}", str(number))
    with relaying(database, kafka) as relay:
        eventually(lambda: relay.state.state == "halted", describe=lambda: relay.state)
        assert reconcile(database.url, "--apply").exit_code == 0
        publish(halted, topic, "k0", "20")
        relay.wait_settled(21)
        assert relay.state.state == "owner"
    expected = {f"k{key}".encode(): [str(n) for n in range(key, 20, 3)] for key in range(3)}
    expected[b"k0"].append("20")
    assert by_key(kafka.records(topic)) == expected


def test_it_refuses_while_a_relay_owns_the_source(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.cli.options.PATIENCE", 0.3)
    with relaying(database, kafka) as relay:
        relay.wait_owner()
        shown = reconcile(database.url, "--apply", "--anyway")
        assert (shown.exit_code, shown.output.count("\n")) == (1, 1)
        assert "a relay owns this source" in shown.output
        assert "Stop it first" in reconcile(database.url, "--anyway").output


def test_it_refuses_a_source_that_is_well_unless_told_so(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "k", "1")
        relay.wait_settled(1)
    shown = reconcile(database.url, "--apply")
    assert shown.exit_code == 1
    assert "is not halted" in shown.output
    assert "Nothing has to be done" in reconcile(database.url).output
    assert reconcile(database.url, "--anyway", "--apply").exit_code == 0
    with relaying(database, kafka) as relay:
        relay.wait_settled(1)
    first, second = kafka.records(topic)
    assert first.headers() == second.headers(), "the inbox must know it"
    assert values([first, second]) == ["1", "1"]


def test_it_waits_for_publishers_and_then_gives_up(
    database: Database, halted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an open transaction has published could otherwise go before what was published long ago."""
    monkeypatch.setattr("onceward_relay.cli.options.PATIENCE", 0.3)
    with psycopg.connect(database.participant_url) as app:
        app.execute("SELECT onceward.publish('orders', 'k', 'Tested', '')")
        shown = reconcile(database.url, "--apply")
        assert (shown.exit_code, shown.output.count("\n")) == (1, 1)
        assert "lock timeout" in shown.output
        app.commit()
    assert reconcile(database.url, "--apply").exit_code == 0


def test_what_is_set_aside_stays_where_it_is(database: Database, kafka: TestKafka) -> None:
    """Its outbox rows are not sent again, nor is what a person decided to skip; the key waits on, in order."""
    topic = kafka.create_topic(partitions=1, **{"max.message.bytes": "1000"})
    with connect(database.url) as owner:
        with relaying(database, kafka) as relay:
            publish(owner, topic, "poison", "x" * 2000)
            publish(owner, topic, "poison", "behind")
            publish(owner, topic, "good", "1")
            publish(owner, topic, None, "y" * 2000)
            relay.wait_settled(4)
        owner.execute("UPDATE onceward.held_message SET state = 'skipped' WHERE key IS NULL")
        before = rows(database, "SELECT id, message_id, state FROM onceward.held_message ORDER BY id")
        assert [row[2] for row in before] == ["poison", "behind", "skipped"]
        document = json.loads(reconcile(database.url, "--anyway", "--json").output)
        assert (document["messages"], document["set_aside"]) == (1, 3)
        assert [(t["held_keys"], t["set_aside"]) for t in document["topics"]] == [(1, 3)]
        assert reconcile(database.url, "--anyway", "--apply").exit_code == 0
        publish(owner, topic, "poison", "behind too")
        with relaying(database, kafka) as relay:
            relay.wait_settled(2)
    after = rows(database, "SELECT id, message_id, state FROM onceward.held_message ORDER BY id")
    assert after[:3] == before
    assert [row[2] for row in after[3:]] == ["behind"]
    assert values(kafka.records(topic)) == ["1", "1"]


def test_only_a_console_may(database: Database, halted: Any) -> None:
    for url in (database.participant_url, database.relay_url):
        for options in ((), ("--apply",)):
            shown = reconcile(url, *options)
            assert (shown.exit_code, "permission denied" in shown.output) == (1, True)
    halted.execute("SET ROLE onceward_console")
    halted.execute(RECONCILE)


@pytest.mark.parametrize("option", ["--actor", "--reason"])
def test_a_decision_needs_somebody_and_a_reason(database: Database, option: str) -> None:
    shown = reconcile(database.url, option, " ")
    assert (shown.exit_code, "must not be empty" in shown.output) == (2, True)


def test_it_refuses_transactions_in_which_it_could_lose_messages(database: Database, halted: Any) -> None:
    halted.autocommit = False
    halted.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with pytest.raises(psycopg.errors.InvalidTransactionState, match="READ COMMITTED"):
        halted.execute(RECONCILE)
    halted.rollback()
    halted.isolation_level = None
    halted.execute("SAVEPOINT mine")
    with pytest.raises(psycopg.errors.InvalidTransactionState, match="savepoint"):
        halted.execute(RECONCILE)


def test_messages_count_as_new_although_others_commit_meanwhile(
    database: Database, kafka: TestKafka, halted: Any
) -> None:
    """A snapshot of the reconciling transaction would show its own rows as settled."""
    topic = kafka.create_topic(partitions=1)
    publish(halted, topic, "k", "1")
    with connect(database.url) as other:
        with halted.transaction():
            halted.execute("SELECT pg_current_xact_id()")
            other.execute("SELECT pg_current_xact_id()")  # now the next snapshot's xmax is past the first one
            halted.execute(RECONCILE)
        with relaying(database, kafka) as relay:
            relay.wait_settled(1)
    assert values(kafka.records(topic)) == ["1"]


def test_errors_are_one_line(empty_database: Database) -> None:
    shown = reconcile(empty_database.url)
    assert (shown.exit_code, shown.output.count("\n")) == (1, 1)
    assert "onceward schema install" in shown.output


def test_topics_that_kafka_has_can_be_skipped(database: Database, halted: Any) -> None:
    """Their messages are not sent again, and not lost: they stay as skipped, and the audit says who decided that."""
    for topic, key in (("orders", "a"), ("bills", "b"), ("bills", None), ("mails", "c")):
        publish(halted, topic, key, "x")
    shown = reconcile(database.url, "--skip-topic", "bills")
    assert [line.split()[:3] for line in shown.output.splitlines() if line.startswith(" bills")] == [
        ["bills", "2", "skip"]
    ]
    assert "With --apply 2 messages will be sent again" in shown.output
    assert "2 messages will not be sent again and kept as skipped" in shown.output
    assert "--skip-topic bills --apply" in shown.output
    assert rows(database, "SELECT count(*) FROM onceward.outbox") == [(4,)]
    document = json.loads(reconcile(database.url, "--skip-topic", "bills", "--apply", "--json").output)
    assert (document["sent_again"], document["skipped"], document["skipped_topics"]) == (2, 2, ["bills"])
    assert rows(database, "SELECT topic FROM onceward.outbox ORDER BY id") == [("orders",), ("mails",)]
    kept = rows(database, "SELECT topic, state, hold_id, error FROM onceward.held_message")
    assert [row[:3] for row in kept] == [("bills", "skipped", None)] * 2
    assert "ada" in kept[0][3]
    [(body,)] = rows(database, "SELECT body FROM onceward.audit")
    assert (body["skipped"], body["skipped_topics"]) == (2, ["bills"])


def test_only_topics_that_are_there_can_be_skipped(database: Database, halted: Any) -> None:
    publish(halted, "orders", "a", "x")
    shown = reconcile(database.url, "--skip-topic", "order")
    assert (shown.exit_code, "no message to order; there are orders" in shown.output) == (2, True)
    assert reconcile(database.url, "--skip-topic", "order", "--apply").exit_code == 1
    assert rows(database, "SELECT count(*) FROM onceward.outbox") == [(1,)]
