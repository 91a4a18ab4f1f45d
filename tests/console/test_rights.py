"""Who may only look decides nothing; what they try is recorded in the console's own database."""

from collections.abc import Iterator

import psycopg
import pytest

from onceward_relay.console.app import ROUTES
from tests.conftest import Database
from tests.console.forms import hidden, whoami
from tests.console.running import Person, RunningConsole
from tests.people.desk import REASON, Desk


@pytest.fixture
def as_role(somebody: Person, home: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The home database, in which the roles of somebody who has logged in can be changed."""
    somebody.look("/")
    with psycopg.connect(home.url, autocommit=True) as connection:
        yield connection
        connection.execute("DELETE FROM onceward_console.person_role WHERE participant = 'payer' OR role <> 'admin'")
        connection.execute(
            "INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)"
            " SELECT id, '*', 'admin', 'test' FROM onceward_console.person ON CONFLICT DO NOTHING"
        )


def become(connection: "psycopg.Connection[tuple[object, ...]]", role: str) -> None:
    connection.execute("UPDATE onceward_console.person_role SET role = %s", (role,))


def test_a_viewer_sees_why_and_no_buttons(
    desk: Desk, somebody: Person, as_role: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    call = desk.call()
    desk.incident(call_id=call)
    become(as_role, "viewer")
    page = somebody.look(f"/calls/payer/{call}")
    assert "you may not" in page.text
    for address in (f"/calls/payer/{call}/lookup", "/claim", "/snooze"):
        assert f'{address}"' not in page.text
    assert somebody.look("/approvals").status_code == 200


def test_an_operator_proposes_and_does_not_approve(
    desk: Desk, somebody: Person, as_role: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    theirs = desk.propose("not_applied", desk.call())
    mine = desk.call()
    become(as_role, "operator")
    path = f"/calls/payer/{mine}/not_applied"
    page = somebody.look(path)
    assert somebody.send(path, page, **hidden(page), reason=REASON).status_code == 200
    assert "/approve" not in somebody.look(f"/approvals/payer/{theirs['id']}").text
    for step in ("approve", "reject"):
        denied = somebody.send(f"/approvals/payer/{theirs['id']}/{step}", page, reason="I saw it too")
        assert denied.status_code == 403
    assert desk.one("SELECT state FROM onceward.resolution WHERE id = %(id)s", id=theirs["id"]) == {"state": "proposed"}
    row = as_role.execute(
        "SELECT person, action, subject FROM onceward_console.denied ORDER BY no DESC LIMIT 1"
    ).fetchone()
    assert row == (whoami(somebody), "POST /approvals/{participant}/{id}/reject", str(theirs["id"]))


def test_whatever_decides_needs_a_permission_to_do_so(
    desk: Desk, somebody: Person, console: RunningConsole, as_role: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """Every form of this console, sent by somebody who may only look."""
    call = desk.call()
    page = somebody.look(f"/calls/payer/{call}/lookup")
    become(as_role, "viewer")
    about = {"participant": "payer", "id": str(call)}
    tried = [
        route for route in ROUTES
        if route.method == "POST" and route.path.startswith(("/calls/", "/flows/", "/incidents/", "/approvals/", "/bulk"))
    ]  # fmt: skip
    assert len(tried) > 25
    for route in tried:
        assert route.permission in ("act", "approve", "reveal")
        address = route.path.replace("{participant}", about["participant"]).replace("{id}", about["id"])
        assert somebody.send(address, page, reason=REASON).status_code == 403, address
    assert desk.audit() == []
