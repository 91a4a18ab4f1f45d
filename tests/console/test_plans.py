"""What a page asks costs what it shows, however large the tables are: no query reads one of them whole."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from onceward_relay.console.filters import Filters
from onceward_relay.console.pages.search import wanted
from onceward_relay.console.participants import READING, text_of
from tests.conftest import Database, fresh_database
from tests.console.fill import Size, fill
from tests.servers.postgres import TestServer

SIZE = Size(calls=60_000, incidents=6000, entries=3000)
LARGE = {
    "call",
    "flow",
    "attempt",
    "incident",
    "inbox",
    "inbox_parked",
    "held_message",
    "audit",
    "outbox_0",
    "outbox_1",
    "outbox_2",
}
"""Tables that grow."""
NOTHING = {"after_severity": None, "after_opened": None, "after_id": None}


@pytest.fixture(scope="module")
def filled(postgres: TestServer) -> Iterator[Database]:
    with fresh_database(postgres, installed=True) as database:
        fill(database.url, SIZE)
        yield database


@pytest.fixture
def reader(filled: Database) -> Iterator["psycopg.Connection[dict[str, Any]]"]:
    """A connection as the console reads by. Only a superuser may see plans through every function and view."""
    with psycopg.connect(filled.url, row_factory=dict_row, options=READING) as connection:
        yield connection


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def blocks(reader: "psycopg.Connection[dict[str, Any]]", query: str, **parameters: Any) -> int:
    """Return how many blocks a query touches; none of its parts may read a large table whole."""
    # As literals: what the console prepares is planned for its parameters, too.
    with psycopg.ClientCursor(reader) as cursor:
        explained = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text_of(query)}", parameters).fetchone()
    assert explained is not None
    plan = explained["QUERY PLAN"][0]["Plan"]
    for node in nodes(plan):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE and node["Actual Loops"]:
            looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert looked_at <= 600, json.dumps(node, indent=1)  # one that ends soon reads no table whole
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def some(reader: "psycopg.Connection[dict[str, Any]]", query: str) -> Any:
    row = reader.execute(query.encode()).fetchone()
    assert row is not None
    return next(iter(row.values()))


def test_the_worklist(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    rows = {**NOTHING, "limit": 51}
    group = some(reader, "SELECT grp FROM onceward.incident WHERE closed_at IS NULL LIMIT 1")
    ref = some(reader, "SELECT ref FROM onceward.incident WHERE closed_at IS NULL AND ref IS NOT NULL LIMIT 1")
    for asked, most in (({}, 300), ({"group": group}, 500), ({"ref": ref}, 60), ({"severity": "1"}, 300)):
        assert blocks(reader, "worklist", **Filters.read(asked).parameters("ada"), **rows) < most, asked


def test_the_next_page_of_the_worklist_costs_what_the_first_does(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    last = reader.execute(
        "SELECT severity, opened_at, id FROM onceward.incident WHERE closed_at IS NULL ORDER BY severity, opened_at, id OFFSET 4000 LIMIT 1"
    ).fetchone()
    assert last is not None
    place = {"after_severity": last["severity"], "after_opened": last["opened_at"], "after_id": last["id"], "limit": 51}
    assert blocks(reader, "worklist", **Filters.read({}).parameters("ada"), **place) < 300


def test_groups_are_counted_from_so_many_incidents_and_no_more(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    asked = Filters.read({}).parameters("ada")
    assert blocks(reader, "worklist_groups", **asked, most=500, groups=101) < 1200
    rows = reader.execute(text_of("worklist_groups"), {**asked, "most": 500, "groups": 101}).fetchall()
    assert sum(row["number"] for row in rows) == 501
    assert all(row["capped"] for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        "order-77",
        "key-12345",
        "ref-12345",
        "flow-777",
        "nothing of that name",
        "SELECT id::text FROM onceward.call LIMIT 1",
        "SELECT id::text FROM onceward.flow LIMIT 1",
        "SELECT id::text FROM onceward.incident LIMIT 1",
        "SELECT message_id::text FROM onceward.inbox LIMIT 1",
        "SELECT message_id::text FROM onceward.inbox_parked LIMIT 1",
        "SELECT message_id::text FROM onceward.held_message LIMIT 1",
    ],
)
def test_each_kind_of_thing_is_found_by_an_index(reader: "psycopg.Connection[dict[str, Any]]", text: str) -> None:
    given = some(reader, text) if text.startswith("SELECT") else text
    assert blocks(reader, "search", **wanted(given)) < 1500
    found = reader.execute(text_of("search"), wanted(given)).fetchall()
    assert bool(found) is (text != "nothing of that name")


def test_providers(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    assert blocks(reader, "provider_figures", most=50_000, newest=500) < 2500


def test_messages(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    nothing = {"topic": None, "message": None, "limit": 51}
    assert blocks(reader, "parked_messages", after=None, **nothing) < 600
    assert blocks(reader, "held_groups", **nothing) < 600
    message = some(reader, "SELECT message_id FROM onceward.inbox_parked WHERE state = 'parked' LIMIT 1")
    assert isinstance(message, UUID)
    assert blocks(reader, "parked_messages", **{**nothing, "message": message}, after=None) < 60
    assert blocks(reader, "parked_message", seq=4) < 60
    hold = some(reader, "SELECT hold_id FROM onceward.hold LIMIT 1")
    assert blocks(reader, "messages_of_hold", hold=hold, after=None, limit=101) < 60


def test_the_audit(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    nobody = {"actor": None, "action": None, "subject": None, "before": None, "limit": 51}
    assert blocks(reader, "audit_page", **nobody) < 30
    assert blocks(reader, "audit_page", **{**nobody, "before": 1000}) < 30
    for filters in ({"actor": "nobody"}, {"action": "purge"}, {"subject": "nothing"}):
        assert blocks(reader, "audit_page", **{**nobody, **filters}) < 30, filters
    part = {"number": 2000, "hash": b"", "limit": 100}
    assert blocks(reader, "audit_chain_part", **part) < 100


def test_what_open_pages_ask_every_two_seconds(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    call = some(reader, "SELECT id FROM onceward.call LIMIT 1")
    assert blocks(reader, "live", calls=[call], flows=[call]) < 400


def test_a_look_at_a_source(reader: "psycopg.Connection[dict[str, Any]]") -> None:
    assert blocks(reader, "source") < 3000, "of twenty thousand rows that wait it looks at ten"
