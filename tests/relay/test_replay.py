"""Messages that were sent before are sent again: under their ids, in their order, and only while they are all there."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from onceward import migrations
from onceward_relay.cli import main
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import Relay, by_key, connect, publish, publish_many, relaying, rows, values
from .test_rotation import freeze, rotate

BIG = b"x" * 3000
REPLAY = "SELECT onceward.replay('-infinity', 'infinity', 'ada', 'the search index was lost')"
SETTLE = (
    "INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, (SELECT count(*) FROM onceward.checkpoint), pg_current_snapshot())"
    " RETURNING 1"
)
in_each_mode = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])


def replay(database: Database, *options: str, url: str | None = None, since: str = "1h") -> Result:
    arguments = [
        "relay",
        "replay",
        "--since",
        since,
        "--actor",
        "ada",
        "--reason",
        "the search index was lost",
        *options,
    ]
    return CliRunner().invoke(main, arguments, env={"ONCEWARD_DATABASE": url or database.url, "COLUMNS": "250"})


def ids(kafka: TestKafka, topic: str) -> list[str]:
    return [str(dict(record.headers() or [])["ce_id"]) for record in kafka.records(topic)]


@contextmanager
def relaying_as(delivery: str, database: Database, kafka: TestKafka) -> Iterator[Relay]:
    """Run a relay of `database` under a name of its own: in exactly-once mode Kafka knows it."""
    with relaying(database, kafka, name=database.name, source={"delivery": delivery}) as relay:
        yield relay


@in_each_mode
def test_all_of_a_time_goes_again_in_order_under_its_ids(database: Database, kafka: TestKafka, delivery: str) -> None:
    topic, other = kafka.create_topic(partitions=2), kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying_as(delivery, database, kafka) as relay:
        publish_many(owner, topic, 30, keys=3)
        publish(owner, topic, None, "unordered", '{"h": "v"}')
        publish(owner, other, "k", "of another topic")
        relay.wait_settled(32)
        eventually(lambda: "31 messages, 119 bytes" in replay(database, "--topic", topic).output)
        done = replay(database, "--topic", topic, "--apply")
        assert "31 messages will be sent again under their ids. Audit entry 1." in done.output
        publish_many(owner, topic, 3, keys=3, first=30)
        relay.wait_settled(66)
    order = [[str(n) for n in range(30) if n % 3 == k] for k in range(3)]
    found = by_key(kafka.records(topic))
    assert [found[f"k{k}".encode()] for k in range(3)] == [order[k] * 2 + [str(30 + k)] for k in range(3)]
    assert sorted(Counter(ids(kafka, topic)).values()) == [1] * 3 + [2] * 31
    assert values(kafka.records(other)) == ["of another topic"]
    [(actor, action, reason, body)] = rows(database, "SELECT actor, action, reason, body FROM onceward.audit")
    assert (actor, action, reason) == ("ada", "outbox.replay", "the search index was lost")
    assert (body["topic"], body["sent_again"]) == (topic, 31)


def test_one_key_and_a_span_of_time(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish(owner, topic, "a", "too early")
        [(since,)] = owner.execute("SELECT clock_timestamp()::text").fetchall()
        publish(owner, topic, "a", "a1")
        publish(owner, topic, "b", "b1")
        [(until,)] = owner.execute("SELECT clock_timestamp()::text").fetchall()
        publish(owner, topic, "a", "too late")
        relay.wait_settled(4)
        chosen = ("--until", until, "--key", r"\x61", "--json")
        eventually(lambda: json.loads(replay(database, *chosen, since=since).output)["messages"] == 1)
        assert json.loads(replay(database, *chosen, "--apply", since=since).output)["sent_again"] == 1
        relay.wait_settled(5)
    assert by_key(kafka.records(topic)) == {b"a": ["too early", "a1", "too late", "a1"], b"b": ["b1"]}
    assert "61" not in str(rows(database, "SELECT body - 'key_sha256' - 'since' - 'until' FROM onceward.audit")), (
        "no key"
    )


def test_what_waits_or_is_held_is_left_alone_and_holds_stand(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1, max_message_bytes="2000")
    with connect(database.url) as owner:
        with relaying(database, kafka) as relay:
            publish(owner, topic, "a", "a1")
            poison = publish(owner, topic, "a", BIG)
            publish(owner, topic, "a", "behind")
            publish(owner, topic, "b", "b1")
            relay.wait_settled(4)
        publish(owner, topic, "b", "not sent yet")
        [found] = json.loads(replay(database, "--json").output)["topics"]
        assert (found["messages"], found["set_aside"], found["waiting"]) == (2, 2, 1)
        assert "2 messages will be sent again" in replay(database, "--apply").output
        again = json.loads(replay(database, "--json").output)["topics"][0]
        assert (again["messages"], again["waiting"]) == (0, 3), "what waits to go again is not sent a third time"
        with relaying(database, kafka) as relay:
            relay.wait_settled(3)
        assert by_key(kafka.records(topic)) == {b"a": ["a1"], b"b": ["b1", "not sent yet", "b1"]}
        rows(database, "SELECT onceward.skip_message(%s, 'ada', 'no')", poison)
        rows(database, "SELECT onceward.release_hold(hold_id, 'ada', 'go') FROM onceward.hold")
        with relaying(database, kafka):
            eventually(lambda: rows(database, "SELECT count(*) FROM onceward.hold") == [(0,)])
        assert by_key(kafka.records(topic))[b"a"] == ["a1", "behind", "a1"], "its copy waited behind the hold"
        [found] = json.loads(replay(database, "--json").output)["topics"]
        assert (found["messages"], found["set_aside"]) == (4, 1), "a message that was skipped is never sent"


def test_a_second_replay_sends_each_message_once_more_and_in_the_first_order(
    database: Database, kafka: TestKafka
) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.url) as owner, relaying(database, kafka) as relay:
        publish_many(owner, topic, 10, keys=1)
        relay.wait_settled(10)
        for turn in (2, 3):
            eventually(lambda: json.loads(replay(database, "--json").output)["messages"] == 10)
            rows(database, REPLAY)
            relay.wait_settled(10 * turn)
    assert by_key(kafka.records(topic))[b"k0"] == [str(n) for n in range(10)] * 3


def test_two_replays_at_once_send_each_message_once(database: Database) -> None:
    """The second waits for the first, and then finds that its messages are on their way already."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    with connect(database.url) as owner, ThreadPoolExecutor(1) as pool:
        publish(owner, "t", "k", "1")
        rows(database, SETTLE)
        with owner.transaction():
            owner.execute(REPLAY)
            second = pool.submit(replay, database, "--apply", "--json")
            eventually(lambda: rows(database, waits) == [(1,)])
        assert json.loads(second.result(30).output)["sent_again"] == 0
    assert rows(database, "SELECT count(*) FROM onceward.outbox") == [(2,)]


def test_what_is_gone_is_said_and_nothing_is_sent_by_halves(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    freeze(database, 0)
    with connect(database.url) as owner:
        with relaying(database, kafka) as relay:
            publish(owner, topic, "k", "1")
            relay.wait_settled(1)
        freeze(database, 1)
        assert rotate(database, 0) in ("emptied", "empty")
    [(since,)] = rows(database, "SELECT to_char(onceward.replayable_since(), 'YYYY-MM-DD\"T\"HH24:MI:SSOF:00')")
    shown = replay(database, since="2d")
    assert "what was written before" in shown.output
    assert "with --apply nothing would be" in shown.output
    refused = replay(database, "--apply", since="2d")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "since: what was written before" in refused.output
    assert "0 messages will be sent again" in replay(database, "--apply", since=since).output


def test_refusals(database: Database, tmp_path: Path) -> None:
    def said(*options: str, **more: str) -> str:
        result = replay(database, *options, **more)
        assert result.exit_code in (1, 2)
        return result.output

    assert "does not say where" in said(since="2026-01-01T00:00:00")
    assert "no length of time" in said(since="yesterday")
    assert "no hexadecimal number" in said("--key", r"\xzz")
    assert "must not be empty" in said("--reason", " ")
    assert "permission denied for function replay" in said("--apply", url=database.relay_url)
    file = tmp_path / "relay.toml"
    file.write_text(
        f'[kafka]\n"bootstrap.servers" = "127.0.0.1:1"\n[[source]]\nname = "payer"\ndatabase = "{database.url}"\n'
    )
    assert "has no source shop; it has payer" in said("--config", str(file), "--source", "shop")
    assert "give either --config and --source, or --database" in said("--config", str(file))
    assert "nothing was written then" in replay(database, "--config", str(file), "--source", "payer").output
    with connect(database.url) as owner:
        owner.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(psycopg.Error, match="READ COMMITTED"):
            owner.execute(REPLAY)
        owner.execute("ROLLBACK")
        owner.execute("INSERT INTO onceward.checkpoint (epoch, seq, s1, xid) VALUES (1, 0, '1:1:', '7')")
    assert "HALTED" in replay(database).output
    assert "reconcile it first" in said("--apply")


def replay_all(database: Database) -> int:
    """Replay all that is there of one key; nothing if a slot was emptied between the question and the act."""
    act = "SELECT onceward.replay(onceward.replayable_since(), 'infinity', 'ada', 'why not', p_key => 'k1')"
    try:
        return int(rows(database, act)[0][0]["sent_again"])
    except psycopg.errors.InvalidParameterValue:
        return 0


@in_each_mode
def test_replays_while_messages_come_and_slots_turn_lose_nothing(
    database: Database, kafka: TestKafka, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    """First occurrences stay in order; what is not covered by a checkpoint is never taken for sent."""
    monkeypatch.setattr("onceward_relay.rotation.ROTATE_EVERY", 0.05)
    topic, stop = kafka.create_topic(partitions=2), threading.Event()
    written: dict[int, int] = {}

    def write(key: int) -> None:
        with connect(database.participant_url) as app:
            number = 0
            while not stop.is_set():
                with app.transaction():
                    for _ in range(3):
                        publish(app, topic, f"k{key}", str(number))
                        number += 1
                written[key] = number

    with relaying_as(delivery, database, kafka) as relay:
        writers = [threading.Thread(target=write, args=(key,)) for key in range(3)]
        for writer in writers:
            writer.start()
        again = 0
        for turn in range(8):
            freeze(database, turn % 3)
            eventually(lambda: relay.count("sent_total") > 100 * (turn + 1))  # noqa: B023 -- called at once
            again += eventually(lambda: replay_all(database))
        stop.set()
        for writer in writers:
            writer.join()
        relay.wait_settled(sum(written.values()) + again)
        assert relay.count("rotations_total", result="emptied") >= 1
    found = by_key(kafka.records(topic))
    assert again > 0
    for key in range(3):
        assert list(dict.fromkeys(found[f"k{key}".encode()])) == [str(n) for n in range(written[key])]
    assert sum(map(len, found.values())) == sum(written.values()) + again


class TestKeep:
    """How long what is settled stays."""

    def keep(self, database: Database, span: str) -> Result:
        arguments = ["relay", "keep", "--for", span, "--actor", "ada", "--reason", "an index may have to be rebuilt"]
        return CliRunner().invoke(main, arguments, env={"ONCEWARD_DATABASE": database.url})

    def test_it_is_a_decision_that_every_session_follows_at_once(self, database: Database) -> None:
        periods = "SELECT onceward.keep_for(), onceward.slot_period()"
        slot = "SELECT slot = onceward.slot() FROM onceward.outbox ORDER BY id DESC LIMIT 1"
        with connect(database.participant_url, prepare_threshold=1) as app:
            for span, expected in (("24h", (86400, 57600)), ("31d", (2678400, 1785600)), ("0s", (0, 600))):
                assert self.keep(database, span).exit_code == 0
                publish(app, "t", "k", "x")
                assert rows(database, periods) == [expected]
                assert rows(database, slot) == [(True,)]
        assert migrations.check(database.url) == []
        found = rows(database, "SELECT actor, action, body FROM onceward.audit ORDER BY no")
        assert found[1] == ("ada", "outbox.keep", {"seconds": 2678400, "before": 86400})
        refused = self.keep(database, "32d")
        assert (refused.exit_code, "seconds: must be 0 to 2678400" in refused.output) == (1, True)
        assert self.keep(database, "long").exit_code == 2

    def test_nothing_is_promised_of_what_was_written_before(self, database: Database) -> None:
        publish_before = rows(database, "SELECT now()")[0][0]
        self.keep(database, "1h")
        assert rows(database, "SELECT onceward.replayable_since() > %s", publish_before) == [(True,)]

    def test_a_slot_is_emptied_no_earlier(self, database: Database) -> None:
        with connect(database.url) as owner:
            owner.execute(
                "CREATE OR REPLACE FUNCTION onceward.slot_period() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 2"
            )
            owner.execute(
                "CREATE OR REPLACE FUNCTION onceward.keep_for() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 3"
            )
            for _ in range(3):
                began = time.monotonic()
                publish(owner, "t", "k", "x")
                [(slot,)] = owner.execute("SELECT slot FROM onceward.outbox").fetchall()
                rows(database, SETTLE)
                seen = [""]
                while seen[-1] != "emptied":
                    assert time.monotonic() - began < 60, seen
                    seen.append(rotate(database, slot))
                assert time.monotonic() - began > 3
                assert "kept" in seen
                assert owner.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (0,)
                [(sound,)] = owner.execute(
                    "SELECT onceward.replayable_since() <= now() - interval '3 s' AND onceward.replayable_since() > now() - interval '30 s'"
                ).fetchall()
                assert sound
