"""Clocks that are an hour off: order and completeness go by snapshots and ids, leases by sessions."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.conftest import without
from tests.crash.scene import OWNS, Scene

HOUR = 3600
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def test_relays_whose_clocks_are_off(scene: Scene) -> None:
    """One after the other owns the source: an hour ahead, an hour behind, and right."""
    workload = scene.workload()
    workload.start()
    for seconds in HOUR, -HOUR:
        relay = scene.relay(f"off-by-{seconds}", clock=seconds)
        relay.wait_for_output(OWNS)
        workload.wait_for(100)
        relay.kill()
    scene.relay("right")
    workload.stop()
    scene.check()


@contextmanager
def clock_of_what_starts(offset: str) -> Iterator[None]:
    """Shift the clock of all processes that are started."""
    changes = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": offset}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]


def test_a_database_whose_clock_jumps(fragile_database: Scene, own_postgres: EmbeddedPostgres) -> None:
    """An hour ahead, then an hour behind, then right: rows carry times that go back, and slots that are not current."""
    if not LIBRARIES:
        without("no libfaketime on this machine")
    scene = fragile_database
    workload = scene.workload()
    workload.start()
    relay = scene.relay()
    for offset in "+1h", "-1h", "+0h":
        with clock_of_what_starts(offset):
            own_postgres.restart("immediate")
        with psycopg.connect(scene.url) as connection:
            told = connection.execute(
                "SELECT round(extract(epoch FROM clock_timestamp() - %s)::numeric / 3600)", (datetime.now(UTC),)
            )
            assert told.fetchone() == (int(offset[:-1]),)
        workload.wait_for(100)
    workload.stop()
    scene.check()
    assert relay.running
