"""What the relay reads costs what it returns, however large the outbox is and whatever the planner believes of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from onceward_relay.outbox import FEW_ROWS, PAGE_ROWS, compose
from onceward_relay.position import START, Position, Snapshot, Window
from onceward_relay.session import sql
from tests.servers.postgres import TestServer

from .support import Connection, connect, publish, publish_many

ROWS = 30_000
AT_A_TIME = 500


@dataclass
class Filled:
    """An outbox of many transactions, of which only the last is new."""

    connection: Connection
    before: Snapshot
    after: Snapshot
    newest_id: int

    @property
    def window(self) -> Window:
        return Window(self.before, self.after)

    def buffers(self, query: str) -> int:
        """Run `query` as the relay does and return how many blocks it touched; no part of it may scan a table."""
        document: Any = self.connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}").fetchone()
        plan = document[0][0]["Plan"]
        kinds = {node["Node Type"] for node in nodes(plan)}
        assert not kinds & {"Seq Scan", "Gather", "Gather Merge"}, json.dumps(plan, indent=1)
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def snapshot(connection: Connection) -> Snapshot:
    row = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
    assert row is not None
    return Snapshot.parse(row[0])


@pytest.fixture(scope="module", params=["never analyzed", "analyzed when empty", "analyzed"])
def filled(postgres_of_each_version: TestServer, request: pytest.FixtureRequest) -> Iterator[Filled]:
    url = postgres_of_each_version.create_database(installed=True)
    with connect(url) as admin, connect(url) as running:
        admin.execute("ALTER TABLE onceward.outbox_0 SET (autovacuum_enabled = off)")
        admin.execute("ALTER TABLE onceward.outbox_1 SET (autovacuum_enabled = off)")
        admin.execute("ALTER TABLE onceward.outbox_2 SET (autovacuum_enabled = off)")
        if request.param == "analyzed when empty":
            admin.execute("ANALYZE onceward.outbox")
        running.execute("BEGIN; SELECT pg_current_xact_id()")
        for first in range(0, ROWS, AT_A_TIME):
            publish_many(admin, "topic", AT_A_TIME, first=first, size=100)
        if request.param == "analyzed":
            admin.execute("ANALYZE onceward.outbox")
        before = snapshot(admin)
        publish(running, "topic", "late", "1")
        running.execute("COMMIT")
        publish_many(admin, "topic", 3, first=ROWS)
        newest = admin.execute(sql("newest_id")).fetchone()
        assert newest is not None
        for setting in sql("session").split(";"):
            admin.execute(setting)
        yield Filled(admin, before, snapshot(admin), int(newest[0]))
    postgres_of_each_version.drop_database(url)


def test_a_small_window_in_a_large_outbox(filled: Filled) -> None:
    """Three rows behind thirty thousand, and one of a transaction that had begun before them all."""
    assert len(filled.window.late) == 1
    for name, more in {"count": {"limit": PAGE_ROWS + 1}, "window": {}, "window_start": {}}.items():
        query = compose(name, window=filled.window, **more)
        assert filled.buffers(query) < 60, name
    assert len(filled.connection.execute(compose("window", window=filled.window)).fetchall()) == 4


def test_a_small_window_read_at_one_go(filled: Filled) -> None:
    few = {"limit": FEW_ROWS + 1, "largest": 1000, "written": "0/0"}
    assert filled.buffers(compose("few", window=filled.window, **few)) < 60
    assert filled.buffers(compose("few", window=Window(START, filled.after), **few)) < 2000, "it gives up soon"


def test_an_empty_window(filled: Filled) -> None:
    assert filled.buffers(compose("count", window=Window(filled.after, filled.after), limit=PAGE_ROWS + 1)) < 20


def test_counting_a_window_of_everything_ends_after_a_page(filled: Filled) -> None:
    whole = Window(START, filled.after)
    blocks = filled.buffers(compose("count", window=whole, limit=PAGE_ROWS + 1))
    assert blocks < ROWS / 4, "it does not look at every row"


def test_a_page_of_a_window_of_everything(filled: Filled) -> None:
    """Each page costs its rows and not those before or behind it, even if the window's own rows are few."""
    for last_id in (0, filled.newest_id - PAGE_ROWS):
        bounds = Position(START, filled.after).bounds()
        page = compose("page", last_id=last_id, limit=1000, largest=10_000, **bounds)
        assert filled.buffers(page) < 1500, f"from {last_id}"


def test_a_page_holds_the_rows_of_its_window(filled: Filled) -> None:
    """That of a transaction which was running before, too, and not those that the window lies behind or before."""
    windows = {
        4: Window(filled.before, filled.after),
        0: Window(filled.after, filled.after),
        ROWS: Window(START, filled.before),
        ROWS + 4: Window(START, filled.after),
    }
    for rows, window in windows.items():
        bounds = Position(window.before, window.after).bounds()
        page = filled.connection.execute(compose("page", last_id=0, limit=ROWS * 2, largest=10_000, **bounds))
        whole = filled.connection.execute(compose("window", window=window))
        ids = [row[0] for row in page]
        assert ids == [row[0] for row in whole]
        assert len(ids) == rows


def test_the_newest_id(filled: Filled) -> None:
    assert filled.buffers(sql("newest_id")) < 20
