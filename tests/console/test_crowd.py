"""The stream works with two hundred open pages."""

import asyncio

import pytest

from tests.conftest import Database
from tests.console.crowd import Crowd, people
from tests.console.running import RunningConsole
from tests.people.desk import Desk
from tests.support import eventually

PAGES = 200


@pytest.mark.long  # it fills a machine that other tests share
def test_two_hundred_open_pages_are_told_by_one_poller(desk: Desk, console: RunningConsole, home: Database) -> None:
    hub = console.app.state.live

    def meanwhile(crowd: Crowd) -> None:
        eventually(lambda: min(crowd.heard) == 1, timeout=60, describe=lambda: crowd.heard)
        assert hub.open == PAGES, crowd.ended
        looks = hub.looks
        desk.incident(call_id=desk.call())
        eventually(lambda: min(crowd.heard) == 2, timeout=30, describe=lambda: crowd.heard)
        assert hub.looks - looks <= 15, "one look every two seconds, whoever looks"

    crowd = Crowd(console.address, people(home.url, PAGES))
    asyncio.run(crowd.listen(meanwhile))
    eventually(lambda: hub.open == 0)
