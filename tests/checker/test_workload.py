"""The workload's log says what became of each transaction, and its writers do what makes a relay's life hard."""

import json
import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from onceward import migrations
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.checker import workload as workloads
from tests.checker.workload import Log, Outcome, Workload, keys
from tests.conftest import Database


def written(log: Log, outcome: Outcome) -> set[str]:
    return {message.message_id for message in log.sent if message.outcome is outcome}


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def outbox(url: str) -> set[str]:
    return {row[0] for row in rows(url, "SELECT message_id::text FROM onceward.outbox")}


@pytest.fixture
def log(tmp_path: Path) -> Any:
    log = Log(tmp_path / "log.jsonl")
    yield log
    log.close()


def test_the_log_says_what_was_committed(database: Database, log: Log, tmp_path: Path) -> None:
    workload = Workload(database.url, "counted", log)
    workload.start()
    workload.wait_for(500)
    workload.stop()
    assert outbox(database.url) == written(log, Outcome.COMMITTED)
    assert written(log, Outcome.ROLLED_BACK)
    assert not written(log, Outcome.UNKNOWN)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    last = {message_id: outcome for _, message_id, _, _, outcome in lines}
    assert last == {message.message_id: message.outcome.value for message in log.sent}
    counts = rows(database.url, "SELECT key, n FROM account")
    highest = {
        key: max((m.n for m in log.sent if (m.key, m.outcome) == (key, Outcome.COMMITTED)), default=0) for key in keys()
    }
    assert {key: n for key, n in counts if key in highest} == highest


def test_transactions_commit_out_of_the_order_of_their_ids(database: Database, log: Log) -> None:
    workload = Workload(database.url, "counted", log)
    workload.start()
    workload.wait_for(500)
    workload.stop()
    place = {message.message_id: message.transaction for message in log.sent}
    ends = [place[str(row[0])] for row in rows(database.url, "SELECT message_id FROM onceward.outbox ORDER BY xid")]
    assert ends != sorted(ends)


def test_what_each_writer_does_follows_from_the_seed(database: Database, tmp_path: Path) -> None:
    def first(seed: int, name: str) -> list[tuple[str, int]]:
        log = Log(tmp_path / name)
        with psycopg.connect(database.url) as connection:
            connection.execute("DROP TABLE IF EXISTS account")
        workload = Workload(database.url, "counted", log, seed)
        workload.start(writers=1)
        workload.wait_for(40)
        workload.stop()
        log.close()
        return [(message.key if message.key in keys() else "own", message.n) for message in log.sent[:40]]

    assert first(3, "a") == first(3, "b") != first(4, "c")


@pytest.mark.parametrize("mode", ["kill", "fast"])
def test_nothing_stays_prepared_and_the_unknown_is_told_from_the_known(
    own_postgres: EmbeddedPostgres, log: Log, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(workloads, "PREPARED", 0.8)
    url = own_postgres.url()
    migrations.install(url)
    workload = Workload(url, "counted", log)
    workload.start(writers=8)
    for _ in range(3):
        workload.wait_for(random.Random(mode).randint(50, 150))
        own_postgres.kill() if mode == "kill" else own_postgres.stop("fast")
        own_postgres.start()
    workload.wait_for(50)
    workload.stop()
    assert rows(url, "SELECT gid FROM pg_prepared_xacts") == []
    assert (
        written(log, Outcome.COMMITTED)
        <= outbox(url)
        <= written(log, Outcome.COMMITTED) | written(log, Outcome.UNKNOWN)
    )
    assert not written(log, Outcome.ROLLED_BACK) & outbox(url)
    transactions = {
        m.transaction: {n.message_id for n in log.sent if n.transaction == m.transaction}
        for m in log.sent
        if m.outcome is Outcome.UNKNOWN
    }
    assert all(messages <= outbox(url) or not messages & outbox(url) for messages in transactions.values())
