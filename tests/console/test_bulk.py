"""Many at once: a dry run that freezes what it is about, then a result for each; stopped, and gone on with after a crash."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from onceward_relay.console import dry_run as dry_run_module
from onceward_relay.console.pages import bulk as bulk_page
from tests.conftest import Database, fresh_database
from tests.console.forms import done, send, whoami
from tests.console.running import Person, running, settings_of
from tests.people.desk import REASON, Desk
from tests.servers.postgres import TestServer
from tests.support import eventually

GROUP = "bank/pay/timeout"


def calls_in_doubt(desk: Desk, number: int) -> list[UUID]:
    calls = [desk.call(ref=f"order-{no}") for no in range(number)]
    for call in calls:
        desk.incident(call_id=call)
    return calls


def dry_run(person: Person, what: str, query: str = f"group={GROUP}") -> httpx.Response:
    """Freeze what a verb would be done to."""
    page = send(person, f"/bulk/new?{query}", to="/bulk", what=what)
    assert page.status_code == 200, page.text
    return page


def begun(person: Person, page: httpx.Response, **fields: Any) -> httpx.Response:
    return person.send(f"{page.url.path}/begin", page, **{"reason": REASON, **fields})


def test_a_dry_run_changes_nothing_and_says_what_is_not_possible(desk: Desk, somebody: Person) -> None:
    calls_in_doubt(desk, 3)
    desk.incident(call_id=desk.call(operation="wire"))
    page = dry_run(somebody, "call.lookup")
    assert "Nothing was changed yet. Of 4 calls it is possible for 3" in page.text
    assert "the provider offers no lookup" in page.text
    assert "300 EUR" in page.text, "the money at stake of what is possible"
    assert desk.audit() == []


def test_what_was_frozen_and_no_other_is_done_with_a_result_for_each(desk: Desk, somebody: Person) -> None:
    calls = calls_in_doubt(desk, 3)
    page = dry_run(somebody, "call.not_applied")
    calls_in_doubt(desk, 1)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (calls[0],))
    page = done(somebody, begun(somebody, page))
    assert "Done: 2 of 3, 1 refused" in page.text
    assert "it is at version 2, not 1" in page.text
    rows = desk.all("SELECT call_id, batch_id, approvals, reason FROM onceward.resolution")
    assert {row["call_id"] for row in rows} == set(calls[1:])
    assert {(str(row["batch_id"]), row["approvals"], row["reason"]) for row in rows} == {
        (page.url.path.rpartition("/")[2], 1, REASON)
    }
    assert [action for _, action, _ in desk.audit()].count("denied") == 1


def test_a_list_that_is_begun_twice_decides_nothing_twice(desk: Desk, somebody: Person) -> None:
    calls_in_doubt(desk, 2)
    page = dry_run(somebody, "call.not_applied")
    for _ in range(2):
        answer = begun(somebody, page)
        assert answer.status_code == 200
    assert "Done: 2 of 2" in done(somebody, answer).text
    assert begun(somebody, page, reason="another reason altogether").status_code == 409
    assert desk.one("SELECT count(*) AS n FROM onceward.resolution") == {"n": 2}


def test_flows_are_resumed_after_a_deploy(desk: Desk, somebody: Person) -> None:
    for _ in range(2):
        desk.incident("flow_error", flow_id=desk.flow("blocked"), grp="transfers/KeyError")
    page = done(somebody, begun(somebody, dry_run(somebody, "flow.resume", "group=transfers/KeyError")))
    assert "Done: 2 of 2" in page.text
    assert desk.all("SELECT DISTINCT state FROM onceward.flow") == [{"state": "running"}]


def test_a_filter_chooses(desk: Desk, somebody: Person) -> None:
    calls = calls_in_doubt(desk, 3)
    me = whoami(somebody)
    desk.owner.execute("UPDATE onceward.incident SET assignee = %s, ref = 'order-1' WHERE call_id = %s", (me, calls[1]))
    for query in ("assignee=me", "ref=order-1", "assignee=me&severity=1&kind=in_doubt&provider=bank"):
        assert "Of 1 calls it is possible for 1" in dry_run(somebody, "call.lookup", query).text
    for query, words in (("participant=nobody", "nothing that this filter finds"), ("group=x", "is about a call")):
        refused = send(somebody, f"/bulk/new?{query}", to="/bulk", what="call.lookup")
        assert refused.status_code == 400
        assert words in refused.text
    assert send(somebody, "/bulk/new", to="/bulk", what="call.applied").status_code == 400, "results are not for many"


def test_a_reason_is_needed(desk: Desk, somebody: Person) -> None:
    calls_in_doubt(desk, 1)
    page = begun(somebody, dry_run(somebody, "call.not_applied"), reason="because")
    assert page.status_code == 400
    assert "say why, in 10 to 4,000 characters" in page.text
    assert desk.audit() == []


def test_one_who_decides_alone_types_the_total(desk: Desk, somebody: Person) -> None:
    calls_in_doubt(desk, 2)
    desk.do("set_solo", solo=True, actor="ada", reason="there is but me")
    page = dry_run(somebody, "call.not_applied")
    assert "one person decides alone" in page.text
    wrong = begun(somebody, page, total_EUR="100")
    assert wrong.status_code == 400
    assert "type the total, 200" in wrong.text
    page = done(somebody, begun(somebody, page, total_EUR="200.00"))
    assert "Done: 2 of 2" in page.text
    assert desk.one("SELECT bool_and(solo) AS alone FROM onceward.resolution") == {"alone": True}


def test_a_list_is_nobody_elses(desk: Desk, somebody: Person, home: Database) -> None:
    calls_in_doubt(desk, 1)
    page = dry_run(somebody, "call.lookup")
    with psycopg.connect(home.url) as connection:
        other = "INSERT INTO onceward_console.person (name, issuer, subject) VALUES ('Eve', 'x', 'eve') RETURNING id"
        row = connection.execute(other).fetchone()
        assert row is not None
        connection.execute("UPDATE onceward_console.bulk SET person_id = %s WHERE state = 'frozen'", row)
    for answer in (somebody.look(page.url.path), begun(somebody, page), somebody.send(f"{page.url.path}/stop", page)):
        assert answer.status_code == 404
    assert desk.audit() == []


def test_what_has_expired_is_not_begun(desk: Desk, somebody: Person, home: Database) -> None:
    calls_in_doubt(desk, 1)
    page = dry_run(somebody, "call.lookup")
    with psycopg.connect(home.url) as connection:
        connection.execute("UPDATE onceward_console.bulk SET expires_at = now() WHERE state = 'frozen'")
    assert "This list has expired" in somebody.look(page.url.path).text
    assert begun(somebody, page).status_code == 409
    assert desk.audit() == []


def test_what_runs_is_stopped_and_what_is_left_is_left_alone(desk: Desk, somebody: Person) -> None:
    calls = calls_in_doubt(desk, 6)
    page = dry_run(somebody, "call.not_applied")
    with psycopg.connect(desk.database.url) as busy:
        busy.execute("SELECT FROM onceward.call WHERE id = ANY(%s) FOR UPDATE", (calls,))
        begun(somebody, page)
        waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'onceward console'"
        eventually(lambda: desk.one(waits)["n"] > 0)
        stopped = somebody.send(f"{page.url.path}/stop", somebody.look(page.url.path))
        assert "Stopped" in stopped.text
    eventually(lambda: desk.one(waits)["n"] == 0)
    eventually(lambda: "2 were done, 0 refused, 4 left alone" in somebody.look(page.url.path).text)
    assert desk.one("SELECT count(*) AS n FROM onceward.resolution") == {"n": 2}


@pytest.fixture
def own_home(postgres: TestServer) -> Iterator[Database]:
    """A home database that no console is at work on."""
    with fresh_database(postgres, installed=False) as database:
        yield database


class Begun:
    """A list that a console had begun when it died."""

    def __init__(self, home: Database, participant: str) -> None:
        self.home = home
        with running(settings_of(home, {"payer": participant})) as console, console.person() as person:
            self.path = dry_run(person, "call.not_applied").url.path
        self.id = UUID(self.path.rpartition("/")[2])
        self.do(
            "UPDATE onceward_console.bulk SET state = 'running', reason = %s, begun_at = now() WHERE id = %s",
            REASON,
            self.id,
        )

    def do(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.home.url) as connection:
            found = connection.execute(query.encode(), values)
            return found.fetchall() if found.description else []

    def outcomes(self) -> list[tuple[str, str | None]]:
        return self.do("SELECT state, outcome FROM onceward_console.bulk_item WHERE bulk_id = %s ORDER BY no", self.id)

    def ended(self) -> bool:
        return self.do("SELECT state FROM onceward_console.bulk WHERE id = %s", self.id) == [("done",)]


def test_a_console_that_died_leaves_its_items_to_the_next(desk: Desk, own_home: Database) -> None:
    calls_in_doubt(desk, 3)
    begun = Begun(own_home, desk.database.console_url)
    ((decision, call, me),) = begun.do(
        "SELECT i.decision, i.subject, p.name FROM onceward_console.bulk_item i JOIN onceward_console.bulk b ON b.id = i.bulk_id"
        " JOIN onceward_console.person p ON p.id = b.person_id WHERE i.no = 1"
    )
    desk.propose("not_applied", call, id=decision, batch=begun.id, actor=me)  # and died before it could say so
    with running(settings_of(own_home, {"payer": desk.database.console_url})):
        eventually(begun.ended)
    assert begun.outcomes() == [("done", "proposed; another person has to agree")] * 3
    assert [action for _, action, _ in desk.audit()] == ["decision.propose"] * 3


def test_who_may_not_any_more_decides_nothing_more(desk: Desk, own_home: Database) -> None:
    calls_in_doubt(desk, 1)
    begun = Begun(own_home, desk.database.console_url)
    begun.do("UPDATE onceward_console.person_role SET role = 'viewer'")
    with running(settings_of(own_home, {"payer": desk.database.console_url})):
        eventually(begun.ended)
    ((state, outcome),) = begun.outcomes()
    assert state == "refused"
    assert "may not do this at payer any more" in str(outcome)
    assert desk.audit() == []


def test_a_participant_that_does_not_answer_is_tried_again(desk: Desk, own_home: Database) -> None:
    calls_in_doubt(desk, 2)
    begun = Begun(own_home, desk.database.console_url)
    with running(settings_of(own_home, {"payer": "postgresql://console@127.0.0.1:1/none"})) as console:
        trouble = "SELECT trouble FROM onceward_console.bulk WHERE trouble IS NOT NULL"
        assert eventually(lambda: begun.do(trouble)) == [("payer does not answer; it is tried again",)]
        with console.person() as person:
            assert "payer does not answer" in person.look(begun.path).text
    assert begun.outcomes() == [("waiting", None)] * 2
    begun.do("UPDATE onceward_console.bulk SET due_at = now()")
    with running(settings_of(own_home, {"payer": desk.database.console_url})):
        eventually(begun.ended)
    assert begun.outcomes() == [("done", "proposed; another person has to agree")] * 2


def test_a_participant_that_is_not_there_any_more_is_named(desk: Desk, own_home: Database) -> None:
    calls_in_doubt(desk, 1)
    begun = Begun(own_home, desk.database.console_url)
    with running(settings_of(own_home, {"payee": desk.database.console_url})):
        eventually(begun.ended)
    assert begun.outcomes() == [("refused", "this console is not told of payer any more")]


def test_the_worklist_leads_to_all_of_a_group_and_of_a_filter(desk: Desk, somebody: Person) -> None:
    calls_in_doubt(desk, 2)
    assert "/bulk/new?group=bank/pay/timeout&amp;participant=payer" in unescaped(somebody.look("/"))
    assert '"/bulk/new?kind=in_doubt"' in unescaped(somebody.look("/", kind="in_doubt"))


def unescaped(page: httpx.Response) -> str:
    return page.text.replace("%2F", "/")


def test_a_list_that_is_too_long_says_so_and_holds_the_oldest(
    desk: Desk, somebody: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run_module, "AT_ONCE", 2)
    for module in (dry_run_module, bulk_page):
        monkeypatch.setattr(module, "MOST", 3)
    calls = calls_in_doubt(desk, 3)
    desk.owner.execute("UPDATE onceward.incident SET opened_at = now() - interval '1 hour'")
    desk.incident(call_id=desk.call(operation="wire"), opened_at="2020-01-01")
    page = dry_run(somebody, "call.lookup")
    assert "There are more than one list may hold" in page.text
    assert "Of 3 calls it is possible for 2" in page.text, "what is in the way is asked for by parts"
    assert sum(f"/calls/payer/{call}" in page.text for call in calls) == 2
