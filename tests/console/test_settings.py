"""The page of settings: people, rules, tokens, sessions and passwords."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from tests.conftest import Database
from tests.console.people import PASSWORD, Home, browser, form_token, log_in
from tests.console.running import RunningConsole, running, settings_of
from tests.people.desk import Desk


@pytest.fixture(scope="module")
def console(home: Database, shared_database: Database) -> Iterator[RunningConsole]:
    with running(settings_of(home, {"payer": shared_database.console_url}, login="local")) as console:
        yield console


@pytest.fixture
def owner(console: RunningConsole, home: Database, desk: Desk) -> Iterator[Home]:
    found = Home(home.url)
    found.clear()
    yield found
    found.connection.close()


@pytest.fixture
def ada(owner: Home) -> UUID:
    person = owner.add("Ada", ("*", "admin"))
    owner.session(person)
    return person


@pytest.fixture
def http(console: RunningConsole, ada: UUID) -> Iterator[httpx.Client]:
    with browser(console, ada) as http:
        yield http


def send(http: httpx.Client, path: str, **fields: object) -> httpx.Response:
    page = http.get("/settings")
    assert page.status_code == 200, page.text
    return http.post(
        path, data={"form_token": form_token(page), **{name: str(value) for name, value in fields.items()}}
    )


def test_an_admin_gives_and_takes_roles(owner: Home, http: httpx.Client) -> None:
    bob = owner.add("Bob")
    assert "nothing: has no role" in http.get("/settings").text
    done = send(http, "/settings/people/give", person=bob, role="operator", participant="payer")
    assert "The role is given." in http.get(done.headers["location"].split("#")[0]).text
    assert owner.do(
        "SELECT participant, role, given_by FROM onceward_console.person_role WHERE person_id = %(id)s", id=bob
    ) == [{"participant": "payer", "role": "operator", "given_by": "Ada"}]
    send(http, "/settings/people/take", person=bob, role="operator", participant="payer")
    assert owner.do("SELECT * FROM onceward_console.person_role WHERE person_id = %(id)s", id=bob) == []


@pytest.mark.parametrize("wrong", [{"role": "king"}, {"participant": "shop"}, {"person": "x"}, {"person": uuid4()}])
def test_a_role_that_cannot_be_is_not_given(
    owner: Home, http: httpx.Client, ada: UUID, wrong: dict[str, object]
) -> None:
    assert send(
        http, "/settings/people/give", **{"person": ada, "role": "viewer", "participant": "payer", **wrong}
    ).status_code in (400, 404)
    assert len(owner.do("SELECT * FROM onceward_console.person_role")) == 1


def test_the_last_admin_stays_and_nobody_disables_themselves(owner: Home, http: httpx.Client, ada: UUID) -> None:
    page = send(http, "/settings/people/take", person=ada, role="admin", participant="*")
    assert page.status_code == 409
    assert "nobody would be left who may manage people" in page.text
    assert "lock yourself out" in send(http, "/settings/people/disable", person=ada).text


def test_an_admin_keeps_somebody_out_and_lets_them_in_again(owner: Home, http: httpx.Client) -> None:
    bob = owner.add("Bob", ("payer", "viewer"))
    owner.session(bob)
    send(http, "/settings/people/disable", person=bob)
    assert len(owner.do("SELECT * FROM onceward_console.session")) == 1
    send(http, "/settings/people/enable", person=bob)
    assert owner.do("SELECT disabled_at FROM onceward_console.person WHERE name = 'Bob'") == [{"disabled_at": None}]


def test_who_is_admin_of_one_participant_sees_no_people(console: RunningConsole, owner: Home) -> None:
    eve = owner.add("Eve", ("payer", "admin"))
    owner.session(eve)
    with browser(console, eve) as http:
        page = http.get("/settings")
        assert "Known by" not in page.text
        assert "Set a rule" in page.text
        assert send(http, "/settings/people/give", person=eve, role="admin", participant="*").status_code == 403


def test_a_rule_is_set_and_removed_with_the_name_of_who_did(desk: Desk, http: httpx.Client) -> None:
    rule = {"provider": "bank", "verb": "refund", "currency": "EUR", "above": "500"}
    send(http, "/settings/payer/rules", **rule, approvals=1, reason="large refunds")
    page = http.get("/settings").text
    assert 'above <span class="value">500 EUR</span>' in page
    assert desk.audit()[-1] == ("Ada", "rule.set", "rule")
    send(http, "/settings/payer/rules/drop", **rule, operation="*", reason="no more")
    assert desk.audit()[-1] == ("Ada", "rule.drop", "rule")
    assert send(http, "/settings/payer/rules/drop", **rule, operation="*", reason="again").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"currency": "euro"}, "currency: euro is not like EUR"),
        ({"above": "much"}, "above: give an amount like 500"),
        ({"above": "5", "currency": ""}, "currency: an amount needs one"),
        ({"reason": " "}, "reason: say why"),
        ({"provider": "nobody"}, "provider: no worker has declared nobody"),
        ({"approvals": "9"}, "approvals: choose one of 0, 1"),
    ],
)
def test_a_rule_that_cannot_be_is_told_and_nothing_typed_is_lost(
    desk: Desk, http: httpx.Client, wrong: dict[str, str], says: str
) -> None:
    given = {
        "provider": "bank",
        "operation": "pay",
        "currency": "EUR",
        "above": "7",
        "approvals": "1",
        "reason": "because",
        **wrong,
    }
    page = send(http, "/settings/payer/rules", **given)
    assert page.status_code == 400
    assert says in page.text
    assert 'name="operation" value="pay"' in page.text
    assert desk.all("SELECT * FROM onceward.approval_rule") == []


def test_one_person_decides_alone_and_two_again(desk: Desk, http: httpx.Client) -> None:
    send(http, "/settings/payer/solo", solo="yes", reason="a team of one")
    assert "one person decides alone" in http.get("/settings").text
    assert desk.audit()[-1] == ("Ada", "solo.set", "setting")
    send(http, "/settings/payer/solo", solo="no", reason="two of us now")
    assert "Nobody decides alone" in http.get("/settings").text


def test_a_token_is_shown_once_and_revoked(owner: Home, http: httpx.Client) -> None:
    once = uuid4()
    given = {"name": "nightly report", "role": "viewer", "participant": "*", "lasts": "30", "once": once}
    page = send(http, "/settings/tokens", **given)
    (token,) = re.findall(r"owc_[\w-]+", page.text)
    assert token not in http.get("/settings").text
    again = send(http, "/settings/tokens", **given)
    assert again.status_code == 400
    assert "this form was sent before" in again.text
    (row,) = owner.do("SELECT id, role, expires_at - created_at AS lasts FROM onceward_console.api_token")
    assert (row["role"], round(row["lasts"].total_seconds() / 86400)) == ("viewer", 30)
    assert send(http, "/settings/tokens/revoke", token=row["id"]).status_code == 303
    assert send(http, "/settings/tokens/revoke", token=row["id"]).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"role": "king"}, {"lasts": "9999"}, {"participant": "shop"}, {"once": "x"}]
)
def test_a_token_that_cannot_be_is_not_made(owner: Home, http: httpx.Client, wrong: dict[str, str]) -> None:
    given = {"name": "x", "role": "viewer", "participant": "*", "lasts": "30", "once": str(uuid4()), **wrong}
    assert send(http, "/settings/tokens", **given).status_code == 400
    assert owner.do("SELECT * FROM onceward_console.api_token") == []


def test_a_new_password_ends_the_other_sessions(console: RunningConsole, owner: Home, http: httpx.Client) -> None:
    with browser(console) as elsewhere:
        log_in(elsewhere, "Ada")
        new = "another password, longer"
        assert send(http, "/settings/password", now=PASSWORD, new=new, again=new).status_code == 303
        assert elsewhere.get("/").status_code == 303
        assert http.get("/").status_code == 200
        assert log_in(elsewhere, "Ada").status_code == 401
        assert log_in(elsewhere, "Ada", new).status_code == 303


@pytest.mark.parametrize(
    ("now", "new", "again", "says"),
    [
        ("wrong", "another password", "another password", "this is not your present password"),
        (PASSWORD, "short", "short", "give 12 to 1,000 characters"),
        (PASSWORD, "another password", "another passwort", "the two differ"),
        (PASSWORD, PASSWORD, PASSWORD, "it is the one you have"),
    ],
)
def test_a_password_that_cannot_be_changes_nothing(
    owner: Home, http: httpx.Client, now: str, new: str, again: str, says: str
) -> None:
    (before,) = owner.do("SELECT password FROM onceward_console.person")
    page = send(http, "/settings/password", now=now, new=new, again=again)
    assert page.status_code == 400
    assert says in page.text
    assert owner.do("SELECT password FROM onceward_console.person") == [before]


def test_ones_other_sessions_are_ended(console: RunningConsole, owner: Home, http: httpx.Client) -> None:
    with browser(console) as elsewhere:
        log_in(elsewhere, "Ada")
        (mark,) = re.findall(r'name="mark" value="(\w+)"', http.get("/settings").text)
        send(http, "/settings/sessions/end", mark=mark)
        assert elsewhere.get("/").status_code == 303
        assert http.get("/settings").text.count("this one") == 1
        log_in(elsewhere, "Ada")
        send(http, "/settings/sessions/end")
        assert elsewhere.get("/").status_code == 303


def test_denied_attempts_are_listed_for_admins(
    console: RunningConsole, owner: Home, desk: Desk, http: httpx.Client
) -> None:
    owner.do(
        "INSERT INTO onceward_console.denied (person, action, reason) VALUES ('mallory', 'log-in', 'a wrong name')"
    )
    desk.do(
        "denied",
        actor="eve",
        action="approve",
        subject_kind="call",
        subject="c-1",
        reason="x",
        error="another person has to agree",
    )
    page = http.get("/settings").text
    assert "mallory" in page
    assert "another person has to agree" in page
    viewer = owner.add("Vic", ("payer", "viewer"))
    owner.session(viewer)
    with browser(console, viewer) as looking:
        assert "mallory" not in looking.get("/settings").text
