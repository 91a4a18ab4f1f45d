"""What workers, people and the relay ask costs what it returns, however many calls and incidents there are."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from onceward_relay.bench.full_ledger import TABLES, filled, newest
from onceward_relay.bench.questions import Question, questions
from onceward_relay.bench.stage import connect
from tests.conftest import Database, fresh_database
from tests.servers.postgres import TestServer

CALLS, INCIDENTS = 50_000, 7_000
PAGE = 450
"""Blocks that a list of a hundred rows may touch: each of them may lie in a block of its own, and has its index entry."""
BLOCKS: Mapping[str, int] = {
    "worker: claim a flow": 100,
    "worker: claim a call": 40,
    "worker: are calls due": 40,
    "worker: is a decision due": 10,
    "worker: is a report due": 10,
    "worker: is a message unnoticed": 10,
    "approvals list": 900,
    "calls show": 200,
    "flows show": 200,
}
"""What others than lists may touch."""
WHOLE = ("incidents groups", "providers list", "relay: figures")
"""What adds up everything that is open, and nothing that is not."""
NAMES = tuple(questions("", ""))


@dataclass
class Filled:
    """A ledger that is as full as a test can make it in seconds."""

    database: Database
    questions: Mapping[str, Question]
    blocks: Mapping[str, int]
    """Of each table."""

    def cost(self, name: str) -> tuple[int, dict[str, Any]]:
        """Return how many blocks a question touches, and its plan."""
        with self.database.engine.connect() as connection:
            blocks, plan = self.questions[name].cost(connection)
            connection.rollback()
        return blocks, json.loads(plan)


@pytest.fixture(scope="module")
def ledger(postgres: TestServer) -> Iterator[Filled]:
    size = "SELECT pg_relation_size(CAST('onceward.' || %s AS regclass)) / 8192"
    with (
        fresh_database(postgres, installed=True) as database,
        connect(database.url) as owner,
        filled(owner, CALLS, INCIDENTS),
    ):
        sizes = {table: owner.execute(size, (table,)).fetchone() for table in TABLES}
        blocks = {table: int(size[0]) for table, size in sizes.items() if size is not None}
        yield Filled(database, questions(*newest(owner)), blocks)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("name", NAMES)
def test_a_question_reads_what_it_returns_and_no_table_whole(ledger: Filled, name: str) -> None:
    blocks, plan = ledger.cost(name)
    shown = json.dumps(plan, indent=1)
    scanned = {node["Relation Name"] for node in nodes(plan) if node["Node Type"].endswith("Seq Scan")}
    assert not scanned & set(TABLES), shown
    open_ones = ledger.blocks["incident"] / 5 + ledger.blocks["call"] * INCIDENTS / CALLS
    assert blocks < (2.5 * open_ones if name in WHOLE else BLOCKS.get(name, PAGE)), shown


def test_the_ledger_is_large_enough_to_tell(ledger: Filled) -> None:
    """Reading a table whole would cost more than what any question may touch."""
    assert ledger.blocks["call"] > 4 * PAGE
    assert ledger.blocks["incident"] > 2 * PAGE
