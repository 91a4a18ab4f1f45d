"""`onceward status` says how each source stands, exactly where it can, and one in trouble delays nobody."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from onceward_relay.cli import main
from onceward_relay.cli.status_table import rendered
from onceward_relay.position import Snapshot
from onceward_relay.status.model import Count, Lag, Owner, SourceStatus
from tests.conftest import Database
from tests.relay.support import Connection, connect, publish, publish_many, relaying
from tests.servers.kafka import TestKafka
from tests.servers.proxy import proxy
from tests.support import Process, eventually


def shown(*databases: str, options: tuple[str, ...] = ("--json",)) -> Result:
    arguments = [part for url in databases for part in ("--database", url)]
    return CliRunner().invoke(main, ["status", *arguments, *options])


def status(database: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(database).output)["sources"][0]
    return found


def waiting(database: str) -> int:
    return int(status(database)["lag"]["rows"]["number"])


def present(connection: Connection) -> str:
    row = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
    assert row is not None
    return str(row[0])


def put_checkpoint(
    connection: Connection, seq: int, s1: str, s2: str | None = None, last_id: int | None = None, age: float = 0
) -> None:
    connection.execute(
        """INSERT INTO onceward.checkpoint (epoch, seq, s1, s2, last_id, written_at)
           VALUES (1, %s, %s::pg_snapshot, %s::pg_snapshot, %s, clock_timestamp() - make_interval(secs => %s))""",
        (seq, s1, s2, last_id, age),
    )


def test_a_source_that_was_never_relayed(database: Database) -> None:
    with connect(database.participant_url) as app:
        publish(app, "t", "k", "12345")
        publish(app, "t", "k", "123")
    found = status(database.relay_url)
    assert found["state"] == "free"
    assert found["owner"] is None
    assert found["lag"]["rows"] == {"number": 2, "capped": False}
    assert found["lag"]["bytes"] == 8
    assert 0 < found["lag"]["seconds"] < 60
    assert (found["rate"], found["checkpoint_age"], found["unseen"]) == (None, None, [])


def test_an_owner_and_what_it_has_sent(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    with connect(database.url) as app:
        with relaying(database, kafka) as relay:
            for number in range(3):
                publish_many(app, topic, 100)
                relay.wait_settled(100 * (number + 1))
            eventually(lambda: waiting(database.relay_url) == 0)
            found = status(database.relay_url)
            assert found["state"] == "owned"
            assert (found["owner"]["relay"], found["owner"]["holds_lease"]) == ("test", True)
            assert found["lag"] == {"rows": {"number": 0, "capped": False}, "bytes": 0, "seconds": 0.0}
            assert found["rate"] > 0
            assert found["checkpoint_age"] < 30
            assert found["open_window"] is False
        eventually(lambda: status(database.relay_url)["state"] == "free")
        assert status(database.relay_url)["owner"]["relay"] == "test", "who had it last"


def test_the_lag_is_exact_whatever_is_open(database: Database) -> None:
    """Rows of a transaction that was open at the checkpoint count once it has ended; those before it do not."""
    with connect(database.url) as app, connect(database.url) as late, connect(database.url) as later:
        late.execute("BEGIN")
        publish(late, "t", "late", "1")
        publish_many(app, "t", 5)
        later.execute("BEGIN")
        publish(later, "t", "later", "1")
        put_checkpoint(app, 0, s1 := present(app))
        assert waiting(database.relay_url) == 0
        late.execute("COMMIT")
        assert waiting(database.relay_url) == 1
        publish_many(app, "t", 10)
        row = app.execute("SELECT min(id) + 3 FROM onceward.outbox WHERE key <> 'late' AND id > 7").fetchone()
        assert row is not None
        put_checkpoint(app, 1, s1, present(app), row[0])
        found = status(database.relay_url)
        assert found["open_window"] is True
        assert found["lag"]["rows"]["number"] == 6, "four of the ten and the late one are settled"
        later.execute("COMMIT")
        publish_many(app, "t", 2)
        assert waiting(database.relay_url) == 9, "the later one's id lies before what is settled"


def test_the_rate_of_the_last_minute(database: Database) -> None:
    with connect(database.url) as app:
        put_checkpoint(app, 0, present(app), age=600)
        publish_many(app, "t", 50)
        put_checkpoint(app, 1, present(app), age=100)
        publish_many(app, "t", 120)
        put_checkpoint(app, 2, present(app), age=30)
        publish_many(app, "t", 180)
        put_checkpoint(app, 3, present(app), age=1)
        assert status(database.relay_url)["rate"] == pytest.approx(300 / 60)
        app.execute("DELETE FROM onceward.checkpoint WHERE seq > 1")
        assert status(database.relay_url)["rate"] == 0, "nothing in the last minute"


def test_the_rate_inside_an_open_window(database: Database) -> None:
    with connect(database.url) as app:
        s1 = present(app)
        publish_many(app, "t", 1000)
        s2 = present(app)
        put_checkpoint(app, 0, s1, age=50)
        put_checkpoint(app, 1, s1, s2, 0, age=40)
        put_checkpoint(app, 2, s1, s2, 400, age=1)
        assert status(database.relay_url)["rate"] == pytest.approx(400 / 40, rel=0.1)


def test_counts_that_end_early_say_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.status.look.MOST_ROWS", 20)
    with connect(database.url) as app:
        publish_many(app, "t", 50)
    assert status(database.relay_url)["lag"]["rows"] == {"number": 20, "capped": True}
    assert " 20+ " in shown(database.relay_url, options=()).output


def test_holds_need_a_person(database: Database, kafka: TestKafka) -> None:
    topic = kafka.create_topic(max_message_bytes="1000")
    with connect(database.participant_url) as app, relaying(database, kafka) as relay:
        publish(app, topic, "k", "x" * 5000)
        publish(app, topic, "k", "behind")
        relay.wait_settled(2)
        result = shown(database.relay_url)
        found = json.loads(result.output)["sources"][0]
    assert result.exit_code == 1
    assert (found["held_keys"]["number"], found["held_topics"]["number"], found["held_messages"]["number"]) == (1, 0, 2)
    assert found["incidents"]["number"] == 1
    assert found["needs"][0] == "1 key held: onceward held list"


def test_what_the_inbox_and_the_ledger_wait_with(database: Database) -> None:
    with connect(database.url) as owner:
        owner.execute(
            """INSERT INTO onceward.inbox_parked (consumer, topic, partition, "offset", headers, record_hash, state, error)
               VALUES ('c', 't', 0, 0, '[]', sha256('x'), 'parked', 'e')"""
        )
        owner.execute(
            """INSERT INTO onceward.provider (name) VALUES ('p');
               INSERT INTO onceward.operation (provider, name, repeat, timeout, request_schema, result_schema) VALUES ('p', 'o', 'never', '1 s', '{}', '{}');
               INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, state, ambiguous, first_sent_at, send_by, scope)
               VALUES (gen_random_uuid(), 'p', 'o', 'k', '', sha256('x'), 'in_doubt', true, now(), now(), 's')"""
        )
    found = status(database.relay_url)
    assert (found["parked"]["number"], found["in_doubt"]["number"]) == (1, 1)
    assert found["unseen"] == []


def test_the_relay_reads_counts_and_no_content(database: Database) -> None:
    from psycopg.errors import InsufficientPrivilege

    with connect(database.relay_url) as relay:
        for forbidden in ("SELECT request FROM onceward.call", "SELECT payload FROM onceward.inbox_parked"):
            with pytest.raises(InsufficientPrivilege):
                relay.execute(forbidden)


def test_a_role_sees_what_it_may(database: Database) -> None:
    found = status(database.participant_url)
    assert found["lag"] is None
    assert {"owner", "lag", "holds"} <= set(found["unseen"])
    assert "GRANT onceward_relay" in shown(database.participant_url, options=()).output


def test_a_halted_source_says_why(database: Database) -> None:
    with connect(database.url) as owner:
        owner.execute("INSERT INTO onceward.checkpoint (epoch, seq, s1) VALUES (1, 0, '4000000000:4000000000:')")
    result = shown(database.relay_url, options=())
    assert result.exit_code == 1
    assert "ahead of the server's transactions" in result.output


def test_a_broken_source_is_a_row_and_delays_nobody(database: Database, empty_database: Database) -> None:
    parts = urlsplit(database.relay_url)
    with proxy(str(parts.hostname), parts.port or 5432) as stuck:
        stuck.freeze()
        frozen = parts._replace(netloc=f"relay:relay@127.0.0.1:{stuck.port}").geturl()
        gone = "postgresql://relay:secret@127.0.0.1:1/gone"
        began = time.monotonic()
        options = ("--json", "--timeout", "2")
        result = shown(frozen, gone, empty_database.url, database.relay_url, options=options)
        took = time.monotonic() - began
        stuck.thaw()
    found = json.loads(result.output)["sources"]
    assert took < 6
    assert [each["state"] for each in found] == ["broken", "broken", "broken", "free"]
    assert "refused" in found[1]["reason"]
    assert "onceward schema install" in found[2]["reason"]
    assert "secret" not in result.output
    assert result.exit_code == 1


def test_rows_that_nobody_relays_need_a_person(database: Database) -> None:
    with connect(database.url) as owner:
        owner.execute(
            """INSERT INTO onceward.outbox (message_id, topic, key, type, payload, created_at)
               VALUES (gen_random_uuid(), 't', 'k', 'T', '', now() - interval '2 min')"""
        )
    result = shown(database.relay_url, options=())
    assert result.exit_code == 1
    assert "no relay owns it" in result.output


def test_sources_of_a_configuration(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    text = (
        f'[kafka]\n"bootstrap.servers" = "127.0.0.1:1"\n[[source]]\nname = "payer"\ndatabase = "{database.relay_url}"\n'
    )
    file.write_text(text)
    env = {"ONCEWARD_DATABASE": "postgresql://127.0.0.1:1/not-asked"}
    result = CliRunner().invoke(main, ["status", "--config", str(file), "--json"], env=env)
    assert result.exit_code == 0
    assert json.loads(result.output)["sources"][0]["name"] == "payer"


def test_either_a_configuration_or_databases(database: Database) -> None:
    assert CliRunner().invoke(main, ["status"], env={"ONCEWARD_DATABASE": ""}).exit_code == 2
    assert shown(database.url, options=("--json", "--watch")).exit_code == 2
    assert shown("mysql://u:secret@h/x").exit_code == 2


def test_watching_looks_again_and_ends_with_ctrl_c(database: Database) -> None:
    with Process(["-m", "onceward_relay", "status", "--watch", "--database", database.relay_url]) as watching:
        watching.wait_for_output("Ctrl-C ends")
        with connect(database.participant_url) as app:
            publish(app, "t", "k", "x" * 77)
        watching.wait_for_output("77 B")
        watching.interrupt()
        assert watching.wait() == 0


HOUR_AGO = "now() - interval '1 h'"


def write(database: Database, rows: int, created_at: str = "now()") -> None:
    with connect(database.url) as owner:
        owner.execute(
            f"""INSERT INTO onceward.outbox (message_id, topic, key, type, payload, created_at)
                SELECT gen_random_uuid(), 't', 'k', 'T', decode(repeat('ab', 1000), 'hex'), {created_at} FROM generate_series(1, {rows})"""
        )


def test_how_fast_the_outbox_grows(database: Database) -> None:
    """What was written in the last ten minutes counts, over ten minutes, or over less if a slot was emptied since."""
    assert status(database.relay_url)["outbox_growth_per_hour"] == 0, "nothing is written"
    write(database, 3000, HOUR_AGO)
    assert status(database.relay_url)["outbox_growth_per_hour"] == 0, "nothing was in the last ten minutes"
    write(database, 2000)
    assert status(database.relay_url)["outbox_growth_per_hour"] == pytest.approx(2000 * 1150 * 6, rel=0.15)
    with connect(database.url) as owner:
        owner.execute("INSERT INTO onceward.slot_emptied VALUES (0, now(), now() - interval '2 min')")
        found = status(database.relay_url)["outbox_growth_per_hour"]
        assert found == pytest.approx(2000 * 1150 * 30, rel=0.15)
        owner.execute("UPDATE onceward.slot_emptied SET rows_before = now() - interval '10 s'")
    found = status(database.relay_url)
    assert (found["outbox_growth_per_hour"], found["outbox_bytes"] > 5_000_000) == (None, True), "too short to tell"


def test_one_small_message_is_no_growth(database: Database) -> None:
    """The pages that an index has while it is empty are not what is written."""
    write(database, 1)
    assert 0 < status(database.relay_url)["outbox_growth_per_hour"] < 500_000


def test_when_the_outbox_is_full(database: Database, tmp_path: Path) -> None:
    def configured(limit: int | None) -> Result:
        file, said = tmp_path / "relay.toml", "" if limit is None else f"outbox_limit = {limit}\n"
        source = f'[[source]]\nname = "payer"\ndatabase = "{database.relay_url}"\n{said}'
        file.write_text(f'[kafka]\n"bootstrap.servers" = "127.0.0.1:1"\n{source}')
        return CliRunner().invoke(main, ["status", "--config", str(file), "--json"])

    def full_in(limit: int | None) -> Any:
        (found,) = json.loads(configured(limit).output)["sources"]
        assert found["outbox_limit"] == limit
        return found["outbox_full_in"]

    write(database, 2000, HOUR_AGO)
    assert full_in(10**8) is None, "it does not grow"
    write(database, 2000)
    found = status(database.relay_url)
    left = 10**8 - found["outbox_bytes"]
    assert full_in(10**8) == pytest.approx(left / found["outbox_growth_per_hour"] * 3600, rel=0.05)
    assert full_in(2**20) == 0
    assert full_in(None) is None
    assert found["outbox_full_in"] is None, "without a configuration there is no limit"


@pytest.mark.parametrize(("width", "lines"), [(80, 4), (120, 3), (170, 2)])
def test_the_outbox_stands_in_the_table_and_in_a_narrow_one_below_it(width: int, lines: int) -> None:
    owner = Owner("relay-1", datetime(2026, 11, 27, 8, tzinfo=UTC), 3, holds_lease=True)
    source = SourceStatus(
        "payer-eu-west", "h:1/d", "owned", owner=owner, lag=Lag(Count(12_345), 7_000_000, 3.2), open_window=False,
        checkpoint_age=3, rate=1234.5, held_messages=Count(0), parked=Count(0), in_doubt=Count(0), incidents=Count(0),
        outbox_bytes=3_200_000_000, outbox_growth_per_hour=1e8, outbox_limit=5_000_000_000,
    )  # fmt: skip
    console = Console(width=width, record=True, markup=False)
    with console.capture() as captured:
        for part in rendered([source], width):
            console.print(part)
    shown = [line.rstrip() for line in captured.get().splitlines()]
    assert len(shown) == lines, "nothing is folded but the line below a narrow table"
    assert max(map(len, shown)) <= width
    for value in ("3.2 GB", "100 MB", "18 h", "3.0 s ago", "relay-1 since 2026-11-27 08:00 UTC"):
        assert value in " ".join(shown)


@pytest.mark.parametrize("width", [80, 120, 170])
def test_the_table_fits_and_nothing_in_it_steers_a_terminal(width: int) -> None:
    evil = SourceStatus("a-source-of-some-length", "h:1/d", "broken", "\x1b[31mred\x07\u202e")
    held = SourceStatus("payer", "h:1/d", "owned", held_keys=Count(3), held_topics=Count(0), held_messages=Count(9999))
    console = Console(width=width, record=True, markup=False)
    with console.capture() as captured:
        for part in rendered([evil, held], width):
            console.print(part)
    assert "\x1b[31mred" not in captured.get()
    assert "\\x1b[31mred\\x07\\u202e" in captured.get()
    assert max(map(len, captured.get().splitlines())) <= width
    assert "9,999" in captured.get()


def test_a_million_rows_cost_no_more_than_what_waits(database: Database) -> None:
    """A lag of three rows touches few blocks of a large outbox, and a lag of everything ends at its cap."""
    from onceward.sqlfiles import statement
    from onceward_relay.outbox import filled_in
    from onceward_relay.position import START, Window
    from onceward_relay.session import sql
    from onceward_relay.status.look import PACKAGE
    from tests.relay.test_plans import Filled, nodes

    with connect(database.url) as admin:
        for number in range(3):
            admin.execute(f"ALTER TABLE onceward.outbox_{number} SET (autovacuum_enabled = off)")
        for first in range(0, 1_000_000, 50_000):
            publish_many(admin, "t", 50_000, first=first)
        before = Snapshot.parse(present(admin))
        publish_many(admin, "t", 3)
        after = Snapshot.parse(present(admin))
        for setting in (sql("session") + statement(PACKAGE, "session")).split(";"):
            admin.execute(setting)
        filled = Filled(admin, before, after, 1_000_003)

        def blocks(name: str, **literals: Any) -> int:
            return filled.buffers(filled_in(statement(PACKAGE, name), **literals))

        small, whole = Window(before, after), Window(START, after)
        assert blocks("waiting", window=small, limit=100_000) < 60
        assert blocks("settled", window=small, limit=100_000) < 60
        assert blocks("waiting", window=whole, limit=100_000) < 10_000
        assert blocks("waiting_behind", s1=START, last_id=1_000_000, limit=100_000) < 60
        assert blocks("waiting_behind", s1=START, last_id=0, limit=100_000) < 10_000
        assert blocks("waiting_before", window=small, last_id=500_000, limit=100_000) < 60
        bounds = {"first_id": 999_000, "last_id": 1_000_000}
        growth = filled_in(statement(PACKAGE, "outbox_growth"), bytes=10**9, most=600, least=60)
        explained: Any = admin.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {growth}").fetchone()
        plan = explained[0][0]["Plan"]
        scanned = {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
        assert scanned == {"slot_emptied"}, "which has three rows"
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1000
        assert blocks("settled_in_window", s1=START, s2=after, limit=100_000, **bounds) < 600
        admin.execute("SET enable_seqscan = on")
        assert filled.buffers(statement("onceward_relay.doctor", "topics")) < 3000, "what doctor samples"
        began = time.monotonic()
        found = status(database.relay_url)
        assert found["lag"]["rows"] == {"number": 100_000, "capped": True}
        assert time.monotonic() - began < 10


def test_the_mode_of_a_source(database: Database, kafka: TestKafka) -> None:
    topic, once = kafka.create_topic(partitions=1), {"delivery": "exactly_once"}
    with connect(database.url) as owner:
        with relaying(database, kafka, name=database.name, source=once) as relay:
            publish(owner, topic, "k", "1")
            relay.wait_settled(1)
        found = status(database.relay_url)
        assert (found["page"], found["page_confirmed"], found["needs"]) == (1, True, [])
        assert "exactly once, page 1 committed" in shown(database.relay_url, options=()).output
        owner.execute(
            "UPDATE onceward.checkpoint SET written_at = written_at - interval '2 min', xid = pg_current_xact_id()"
        )
        owner.execute("DELETE FROM onceward.checkpoint WHERE confirmed")
        found = status(database.relay_url)
        assert (found["page"], found["page_confirmed"]) == (1, False)
        assert "page 1 is planned and not known to be committed" in found["needs"][0]
