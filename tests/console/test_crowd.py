"""The stream works with two hundred open pages."""

import asyncio

import psycopg

from tests.conftest import Database
from tests.console.crowd import Crowd
from tests.console.running import RunningConsole
from tests.people.desk import Desk
from tests.support import eventually

PAGES, PEOPLE = 200, 20


def cookies_of(home: Database, console: RunningConsole) -> list[str]:
    """Log so many people in, each with ten pages."""
    found = []
    for number in range(PEOPLE):
        with psycopg.connect(home.url) as connection:
            connection.execute(
                """WITH new AS (INSERT INTO onceward_console.person (name, issuer, subject) VALUES (%(name)s, 'test', %(name)s)
                                ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name RETURNING id),
                        role AS (INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)
                                 SELECT id, '*', 'viewer', 'test' FROM new ON CONFLICT DO NOTHING)
                   INSERT INTO onceward_console.session (token_sha256, person_id, form_token, expires_at)
                   SELECT sha256(convert_to(%(name)s, 'UTF8')), id, 'f', now() + interval '1 h' FROM new ON CONFLICT DO NOTHING""",
                {"name": f"person-{number}"},
            )
        found += [f"onceward=person-{number}"] * (PAGES // PEOPLE)
    return found


def test_two_hundred_open_pages_are_told_by_one_poller(desk: Desk, console: RunningConsole, home: Database) -> None:
    hub = console.app.state.live

    def meanwhile(crowd: Crowd) -> None:
        eventually(lambda: min(crowd.heard) == 1, timeout=60, describe=lambda: crowd.heard)
        assert hub.open == PAGES, crowd.ended
        looks = hub.looks
        desk.incident(call_id=desk.call())
        eventually(lambda: min(crowd.heard) == 2, timeout=30, describe=lambda: crowd.heard)
        assert hub.looks - looks <= 15, "one look every two seconds, whoever looks"

    crowd = Crowd(console.address, cookies_of(home, console))
    asyncio.run(crowd.listen(meanwhile))
    eventually(lambda: hub.open == 0)
