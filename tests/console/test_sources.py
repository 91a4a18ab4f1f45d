"""Sources: lag, throughput, owner, slots, as the console's role sees them."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import psycopg
import pytest

from onceward_relay.console.charts import Line, chart
from onceward_relay.console.participants import Participants
from onceward_relay.console.samples import Samples
from tests.conftest import Database
from tests.console.running import Person, settings_of
from tests.console.set_aside import clear
from tests.people.desk import Desk

LEASE = "SELECT pg_advisory_lock(1869505381, 1)"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    clear(desk)
    return desk


def publish(desk: Desk, number: int) -> None:
    desk.owner.execute(
        "SELECT onceward.publish('orders', 'k', 'order.placed', 'xxxx', '{}') FROM generate_series(1, %s)", (number,)
    )


def relay_everything(desk: Desk) -> None:
    """Write a checkpoint behind all that is there."""
    desk.owner.execute("INSERT INTO onceward.ownership (epoch, relay) VALUES (1, 'relay-1') ON CONFLICT DO NOTHING")
    desk.owner.execute(
        "INSERT INTO onceward.checkpoint (epoch, seq, s1) SELECT 1, coalesce(max(seq), 0) + 1, pg_current_snapshot() FROM onceward.checkpoint"
    )


def figures(desk: Desk) -> dict[str, Any]:
    row = desk.console.execute("SELECT * FROM onceward.source_figures()").fetchone()
    assert row is not None
    return row


def test_lag_counts_what_no_checkpoint_covers(desk: Desk) -> None:
    publish(desk, 3)
    found = figures(desk)
    assert (found["lag_rows"], found["lag_bytes"], found["owned"], found["relay"]) == (3, 12, False, None)
    assert found["oldest"] is not None
    relay_everything(desk)
    assert (figures(desk)["lag_rows"], figures(desk)["oldest"]) == (0, None)
    with psycopg.connect(desk.database.url) as slow:
        slow.execute("SELECT onceward.publish('orders', 'k', 'order.placed', 'late', '{}')")
        publish(desk, 2)
        assert figures(desk)["lag_rows"] == 2, "what is not committed does not wait yet"
        relay_everything(desk)
        assert figures(desk)["lag_rows"] == 0
    assert figures(desk)["lag_rows"] == 1, "one of a transaction that was running at the checkpoint"
    assert figures(desk)["relay"] == "relay-1"


def test_lag_of_an_open_window_is_what_lies_behind_its_place(desk: Desk) -> None:
    relay_everything(desk)
    publish(desk, 10)
    desk.owner.execute(
        """INSERT INTO onceward.checkpoint (epoch, seq, s1, s2, last_id)
           SELECT 1, max(seq) + 1, (array_agg(s1 ORDER BY seq DESC))[1], pg_current_snapshot(), (SELECT min(id) + 3 FROM onceward.outbox) FROM onceward.checkpoint"""
    )
    found = figures(desk)
    assert (found["lag_rows"], found["open_window"], found["lag_estimated"]) == (6, True, False)


def test_beyond_ten_thousand_rows_it_is_an_estimate(desk: Desk) -> None:
    publish(desk, 12_000)
    found = figures(desk)
    assert found["lag_estimated"] is True
    assert (found["lag_rows"], found["lag_bytes"]) == (12_000, 48_000)


def test_who_holds_the_lease_and_who_keeps_a_slot_is_seen(desk: Desk) -> None:
    relay_everything(desk)
    part = desk.one("SELECT (onceward.slot() + 1) %% 3 AS part")["part"]
    with psycopg.connect(desk.database.url, application_name="a long report") as other:
        other.execute(LEASE)
        other.execute(f"SELECT count(*) FROM onceward.outbox_{part}".encode())
        assert figures(desk)["owned"] is True
        slots = desk.console.execute("SELECT * FROM onceward.slots()").fetchall()
    assert [slot["part"] for slot in slots] == [0, 1, 2]
    assert [slot["current"] for slot in slots].count(True) == 1
    assert "a long report" in slots[part]["blockers"][0]["name"]


def test_a_restored_checkpoint_halts_the_source(desk: Desk) -> None:
    desk.owner.execute(
        "INSERT INTO onceward.checkpoint (epoch, seq, s1, xid) VALUES (1, 0, pg_current_snapshot(), '3')"
    )
    found = figures(desk)
    assert (found["halted"], found["lag_rows"]) == ("copied", None)


def test_rates_are_told_between_two_samples(desk: Desk, home: Database) -> None:
    async def sampled() -> Samples:
        settings = settings_of(home, {"payer": desk.database.console_url})
        async with Participants(settings.participant, 5) as participants:
            samples = Samples(participants)
            await samples.take()
            publish(desk, 40)
            await samples.take()
            relay_everything(desk)
            await samples.take()
            return samples

    publish(desk, 1)
    relay_everything(desk)
    first, second, third = asyncio.run(sampled()).of("payer")
    assert (first.published, first.relayed) == (None, None)
    assert second.published is not None
    assert second.published > 0
    assert (second.relayed, second.lag_rows) == (0, 40)
    assert third.published == 0
    assert third.relayed is not None
    assert third.relayed > 0
    assert (third.lag_rows, third.lag_seconds) == (0, 0.0)


def test_the_page_shows_charts_with_words_and_a_table(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/sources")
    assert page.status_code == 200
    for drawing in re.findall(r"<svg.*?</svg>", page.text, re.DOTALL):
        svg = ET.fromstring(drawing)
        ids = {each.get("id") for each in svg}
        assert set(svg.get("aria-labelledby", "").split()) <= ids
    assert page.text.count("<svg") == 2
    assert "The same as a table" in page.text


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("points", "moves", "joins"),
    [
        ([], 0, 0),
        ([(at(30), 1.0), (at(15), 2.0), (at(0), 3.0)], 1, 2),
        ([(at(60), 1.0), (at(15), 2.0), (at(0), 3.0)], 2, 1),
        ([(at(30), 1.0), (at(15), None), (at(0), 3.0)], 2, 0),
        ([(at(7200), 1.0), (at(0), 0.0)], 1, 0),
    ],
)
def test_a_line_is_broken_where_nothing_is_known(
    points: list[tuple[datetime, float | None]], moves: int, joins: int
) -> None:
    drawn = chart("x", "Lag", "messages", [Line("waiting", points)], NOW)
    path = "".join(re.findall(r' d="([^"]*)"', drawn))
    assert (path.count("M"), path.count("L")) == (moves, joins)


def test_a_chart_tells_in_words_what_it_shows() -> None:
    drawn = chart("x", "<Lag>", "messages", [Line("waiting", [(at(15), 20_000.0), (at(0), 5.0)])], NOW)
    assert "&lt;Lag&gt;" in drawn
    assert "waiting: 5 messages now, between 5 and 20 k" in drawn
    assert ">20 k</text>" in drawn


@pytest.fixture(autouse=True)
def _nothing_is_left(desk: Desk) -> Iterator[None]:
    yield
    clear(desk)
