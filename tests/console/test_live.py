"""Open pages hear of changes: one poller for all of them, ended with the session, and limited."""

import re
import time
from datetime import datetime

import httpx
import psycopg
import pytest

from onceward_relay.console.live import Hub
from tests.conftest import Database
from tests.console.listening import listening
from tests.console.running import Person, RunningConsole
from tests.people.desk import REASON, Desk
from tests.support import eventually


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.console.live.EVERY", 0.05)
    monkeypatch.setattr("onceward_relay.console.live.CHECKED_EVERY", 0.1)


def hub_of(console: RunningConsole) -> Hub:
    hub: Hub = console.app.state.live
    return hub


def test_the_worklist_hears_of_what_is_opened_taken_and_settled(desk: Desk, somebody: Person) -> None:
    somebody.look("/")
    with listening(somebody, page="worklist") as events:
        _, before = next(events)
        incident = desk.incident(call_id=desk.call())
        _, opened = next(events)
        desk.do("claim", incident=incident, actor="ada")
        _, taken = next(events)
        desk.owner.execute("UPDATE onceward.incident SET closed_at = now(), closed_by = 'x'")
        _, closed = next(events)
    marks = [state["mark"] for state in (before, opened, taken, closed)]
    assert None not in marks
    assert len(set(marks)) == 4


def test_a_page_is_marked_with_what_it_showed(desk: Desk, somebody: Person) -> None:
    somebody.look("/")
    with listening(somebody, page="worklist") as events:
        _, state = next(events)
        assert f'data-mark="{state["mark"]}"' in somebody.look("/").text
    call = desk.call()
    assert re.search(
        rf'data-live="call" data-about="payer/{call}" data-mark="1"', somebody.look(f"/calls/payer/{call}").text
    )


def test_the_number_of_decisions_that_wait_is_told_to_every_page(desk: Desk, somebody: Person) -> None:
    somebody.look("/")
    call = desk.call()
    with listening(somebody, page="call", about=f"payer/{call}") as events:
        assert next(events)[1] == {"mark": "1", "approvals": 0}
        desk.propose("not_applied", call)
        assert next(events)[1]["approvals"] == 1


def test_a_call_and_a_flow_hear_of_their_own_changes_alone(desk: Desk, somebody: Person) -> None:
    somebody.look("/")
    call, other, flow = desk.call(), desk.call(), desk.flow()
    with (
        listening(somebody, page="call", about=f"payer/{call}") as of_call,
        listening(somebody, page="flow", about=f"payer/{flow}") as of_flow,
    ):
        assert next(of_call)[1]["mark"] == "1"
        assert next(of_flow)[1]["mark"] == "1"
        desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (other,))
        desk.do("pause", flow=flow, actor="ada", reason=REASON)
        assert next(of_flow)[1]["mark"] == "2"
        desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
        assert next(of_call)[1]["mark"] == "2"


def test_one_poller_serves_all_pages_and_ends_with_the_last(
    desk: Desk, somebody: Person, console: RunningConsole
) -> None:
    somebody.look("/")
    hub = hub_of(console)
    with (
        listening(somebody, page="worklist") as one,
        listening(somebody, page="worklist") as two,
        listening(somebody, page="sources") as three,
    ):
        assert next(one)[1]["mark"] == next(two)[1]["mark"]
        next(three)
        looks, began = hub.looks, time.monotonic()
        eventually(lambda: hub.looks >= looks + 4)
        assert hub.looks - looks <= (time.monotonic() - began) / 0.05 + 1, "as many as of one page"
    eventually(lambda: hub.open == 0)
    eventually(lambda: all(task.done() for task in hub._pollers.values()))


def test_a_stream_ends_with_its_session(desk: Desk, console: RunningConsole) -> None:
    with console.person() as person:
        page = person.look("/")
        with listening(person, page="worklist") as events:
            next(events)
            person.send("/logout", page)
            assert [name for name, _ in events] == ["end"]


def test_a_stream_keeps_no_session_alive(desk: Desk, console: RunningConsole, home: Database) -> None:
    with console.person() as person, psycopg.connect(home.url, autocommit=True) as database:
        person.look("/")
        database.execute("UPDATE onceward_console.session SET seen_at = now() - interval '30 min'")

        def last_use() -> datetime:
            [(used,)] = database.execute("SELECT max(seen_at) FROM onceward_console.session").fetchall()
            assert isinstance(used, datetime)
            return used

        seen = last_use()
        with listening(person, page="worklist") as events:
            next(events)
        person.http.get("/", headers={"X-Onceward-By-Itself": "1"})
        assert last_use() == seen
        person.look("/")
        assert last_use() > seen
        with listening(person, page="worklist") as events:
            next(events)
            database.execute("UPDATE onceward_console.session SET seen_at = now() - interval '61 min'")
            assert [event for event in events if event[0] == "end"] == [("end", {"end": "session"})]


def test_one_person_has_so_many_streams_and_no_more(
    desk: Desk, somebody: Person, console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.console.live.MOST_OF_ONE", 2)
    somebody.look("/")
    with listening(somebody, page="worklist") as one, listening(somebody, page="worklist") as two:
        next(one), next(two)
        assert somebody.look("/events", page="worklist").status_code == 429
    eventually(lambda: hub_of(console).open == 0)
    with listening(somebody, page="worklist") as again:
        next(again)


def test_a_stream_is_asked_for_anew_after_a_while(
    desk: Desk, somebody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.console.live.LONGEST", 0.3)
    somebody.look("/")
    with listening(somebody, page="worklist") as events:
        assert [name for name, _ in events] == ["state"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 400),
        ({"page": "settings"}, 400),
        ({"page": "call"}, 404),
        ({"page": "call", "about": "payer/x"}, 404),
        ({"page": "flow", "about": "nobody/00000000-0000-0000-0000-000000000000"}, 404),
    ],
)
def test_what_no_page_shows_is_refused(somebody: Person, asked: dict[str, str], status: int) -> None:
    somebody.look("/")
    assert somebody.look("/events", **asked).status_code == status


def test_nobody_listens_without_a_session(console: RunningConsole) -> None:
    answer = httpx.get(f"{console.address}/events", params={"page": "worklist"})
    assert answer.status_code == 303
