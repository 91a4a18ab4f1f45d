"""Log-in of local users: who is let in, how often one may guess, and when a session ends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from onceward_relay.console.home.store import hashed
from tests.conftest import Database
from tests.console.people import PASSWORD, Home, browser, form_token, log_in
from tests.console.running import RunningConsole, running, settings_of


@pytest.fixture(scope="module")
def local(home: Database, shared_database: Database) -> Iterator[RunningConsole]:
    settings = settings_of(home, {"payer": shared_database.console_url}, login="local", proxies=("127.0.0.1",))
    with running(settings) as console:
        yield console


@pytest.fixture
def owner(local: RunningConsole, home: Database) -> Iterator[Home]:
    found = Home(home.url)
    found.clear()
    found.add("Ada", ("*", "admin"))
    yield found
    found.connection.close()


@pytest.fixture
def http(local: RunningConsole, owner: Home) -> Iterator[httpx.Client]:
    with browser(local) as http:
        yield http


def sessions(owner: Home) -> int:
    return int(owner.do("SELECT count(*) AS n FROM onceward_console.session")[0]["n"])


def test_who_knows_the_password_is_let_in_and_sees_the_page_that_was_asked_for(owner: Home, http: httpx.Client) -> None:
    asked = http.get("/approvals?batch=")
    assert asked.status_code == 303
    page = http.get(asked.headers["location"])
    answer = http.post(
        "/login",
        data={"form_token": form_token(page), "name": " ADA ", "password": PASSWORD, "to": "/approvals?batch="},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/approvals?batch=")
    assert "Ada" in http.get("/approvals").text


@pytest.mark.parametrize("name", ["Ada", "nobody", "", "x\0y", "ada" * 200])
def test_a_wrong_password_and_an_unknown_name_are_told_alike(owner: Home, http: httpx.Client, name: str) -> None:
    answer = log_in(http, name, "a wrong password")
    assert answer.status_code == 401
    assert "The name or the password is wrong" in answer.text
    assert sessions(owner) == 0
    (denied,) = owner.do("SELECT person, action, address FROM onceward_console.denied")
    assert denied == {"person": "Ada" if name == "Ada" else "somebody", "action": "log-in", "address": "127.0.0.1"}


def test_an_unknown_name_takes_as_much_work_as_a_known_one(
    owner: Home, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onceward_relay.console.passwords as module

    verified: list[str] = []
    real = module._verify

    def counted(known: str, password: str) -> bool:
        verified.append(known)
        return real(known, password)

    monkeypatch.setattr(module, "_verify", counted)
    log_in(http, "nobody", "a wrong password")
    assert verified == [module.NOBODYS]


def test_a_form_of_another_browser_logs_nobody_in(local: RunningConsole, owner: Home, http: httpx.Client) -> None:
    with browser(local) as attacker:
        theirs = form_token(attacker.get("/login"))
    http.get("/login")
    for token in (theirs, ""):
        answer = http.post("/login", data={"form_token": token, "name": "Ada", "password": PASSWORD})
        assert answer.status_code == 403
    http.cookies.clear()
    assert http.post("/login", data={"form_token": "", "name": "Ada", "password": PASSWORD}).status_code == 403
    assert sessions(owner) == 0


def test_the_log_in_makes_a_new_session_and_ends_the_one_before(owner: Home, http: httpx.Client) -> None:
    http.cookies.set("onceward", "chosen by an attacker")
    log_in(http, "Ada")
    first = http.cookies.get("onceward", domain="127.0.0.1")
    assert first not in (None, "chosen by an attacker")
    assert owner.do("SELECT token_sha256 FROM onceward_console.session") == [{"token_sha256": hashed(str(first))}]
    page = http.get("/")
    token = form_token(page)
    assert http.get("/login").status_code == 303, "who is in need not log in"
    http.post("/logout", data={"form_token": token})
    assert sessions(owner) == 0
    assert http.get("/").status_code == 303


def test_one_who_is_logged_in_may_log_in_as_another_which_ends_the_first_session(
    local: RunningConsole, owner: Home, http: httpx.Client
) -> None:
    owner.add("Bob", ("payer", "viewer"))
    page = http.get("/login")
    token = form_token(page)
    log = {"form_token": token, "password": PASSWORD}
    cookie = http.cookies.get("onceward-form")
    assert http.post("/login", data={**log, "name": "Ada"}).status_code == 303
    http.cookies.set("onceward-form", str(cookie), domain="127.0.0.1")
    assert http.post("/login", data={**log, "name": "Bob"}).status_code == 303
    assert owner.do(
        "SELECT h.name FROM onceward_console.session s JOIN onceward_console.person h ON h.id = s.person_id"
    ) == [{"name": "Bob"}]


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "http:[",
        "evil.example",
    ],
)
def test_a_log_in_leads_to_no_other_site(owner: Home, http: httpx.Client, to: str) -> None:
    assert log_in(http, "Ada", to=to).headers["location"] == "/"
    assert http.get("/login", params={"to": to}).headers["location"] == "/"


def failures(owner: Home, number: int, ago: str = "1 hour") -> None:
    """Let so many attempts have failed, all in all, for Ada."""
    owner.do("DELETE FROM onceward_console.login_attempt")
    owner.do(
        "INSERT INTO onceward_console.login_attempt (kind, sha256, failures, last_at) VALUES ('name', sha256('ada'), %(number)s, now() - %(ago)s::interval)",
        number=number,
        ago=ago,
    )


def waits(http: httpx.Client) -> int:
    """Return for how long even the right password is not taken."""
    answer = log_in(http, "Ada")
    assert answer.status_code == 429
    assert f"Try again in {answer.headers['retry-after']} second" in answer.text
    return int(answer.headers["retry-after"])


def test_after_five_failures_one_has_to_wait_ever_longer(owner: Home, http: httpx.Client) -> None:
    failures(owner, 4)
    assert log_in(http, "Ada", "a wrong password").status_code == 401
    for number, wait in ((6, 10), (7, 20), (8, 40), (9, 80)):
        failures(owner, number - 1)
        assert log_in(http, "Ada", "a wrong password").status_code == 401
        assert wait / 2 < waits(http) <= wait
    failures(owner, 1_000_000, "1 second")
    assert 800 < waits(http) <= 900, "never for good"
    failures(owner, 1_000_000, "16 minutes")
    assert log_in(http, "Ada").status_code == 303
    assert owner.do("SELECT failures FROM onceward_console.login_attempt WHERE kind = 'name'") == [{"failures": 0}]


def test_what_is_tried_during_the_wait_makes_it_no_longer(owner: Home, http: httpx.Client) -> None:
    failures(owner, 8, "1 second")
    for _ in range(3):
        assert waits(http) <= 40
    assert owner.do("SELECT failures FROM onceward_console.login_attempt WHERE kind = 'name'") == [{"failures": 8}]


def test_guesses_at_the_same_time_are_counted_one_by_one(local: RunningConsole, owner: Home) -> None:
    def guess(_: int) -> int:
        with browser(local) as http:
            return log_in(http, "Ada", "a wrong password").status_code

    failures(owner, 9)
    with ThreadPoolExecutor(6) as at_once:
        answers = list(at_once.map(guess, range(6)))
    assert sorted(answers) == [401, 429, 429, 429, 429, 429]


def test_guesses_for_many_names_from_one_address_wait_too(
    local: RunningConsole, owner: Home, http: httpx.Client
) -> None:
    owner.do("SELECT onceward_console.try_login('{address}', ARRAY[sha256('127.0.0.1')])")
    owner.do("UPDATE onceward_console.login_attempt SET failures = 20")
    assert log_in(http, "somebody else", "a wrong password").status_code == 429


def test_who_guesses_elsewhere_keeps_nobody_out_of_their_own_browser(
    local: RunningConsole, owner: Home, http: httpx.Client
) -> None:
    assert log_in(http, "Ada").status_code == 303
    page = http.get("/")
    http.post("/logout", data={"form_token": form_token(page)})
    with browser(local) as attacker:
        failures(owner, 12, "1 second")
        waits(attacker)
    assert log_in(http, "Ada").status_code == 303
    with browser(local) as thief:
        thief.cookies.set("onceward-device", str(http.cookies.get("onceward-device")), domain="127.0.0.1")
        assert log_in(thief, "Ada", "a wrong password").status_code == 401
        owner.do("UPDATE onceward_console.login_attempt SET failures = 9, last_at = now() WHERE kind = 'device'")
        assert waits(thief) > 30, "a known browser has no more guesses than others"


def test_what_a_proxy_says_counts_where_it_is_configured(
    local: RunningConsole, owner: Home, http: httpx.Client
) -> None:
    forged = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
    log_in(http, "Ada", "a wrong password", **forged)
    log_in(http, "Ada", "a wrong password", **{"x-forwarded-for": "no address, 127.0.0.1"})
    addresses = [row["address"] for row in owner.do("SELECT address FROM onceward_console.denied ORDER BY no")]
    assert addresses == ["198.51.100.7", "no address"], "the last one that is no proxy of ours"


def test_who_is_disabled_or_has_no_role_is_told_so_and_only_with_the_right_password(
    owner: Home, http: httpx.Client
) -> None:
    owner.add("Eve")
    owner.add("Bob", ("payer", "viewer"))
    owner.do("UPDATE onceward_console.person SET disabled_at = now() WHERE name = 'Bob'")
    assert "you have no role here" in log_in(http, "Eve").text
    assert "may not enter any more" in log_in(http, "Bob").text
    assert log_in(http, "Bob", "a wrong password").status_code == 401
    assert sessions(owner) == 0


def test_a_session_ends_when_its_person_is_disabled(owner: Home, http: httpx.Client) -> None:
    bob = owner.add("Bob", ("payer", "viewer"))
    log_in(http, "Bob")
    assert http.get("/").status_code == 200
    owner.do("SELECT onceward_console.disable(%(id)s)", id=bob)
    assert http.get("/").status_code == 303


def test_a_form_after_the_session_has_ended_changes_nothing_and_says_so(owner: Home, http: httpx.Client) -> None:
    log_in(http, "Ada")
    token = form_token(http.get("/"))
    owner.do("DELETE FROM onceward_console.session")
    answer = http.post("/views", data={"form_token": token, "name": "mine", "query": "ref=1"})
    assert answer.status_code == 401
    assert "nothing was changed" in answer.text


def test_a_hash_of_other_parameters_is_renewed(owner: Home, http: httpx.Client) -> None:
    from argon2 import PasswordHasher

    owner.do(
        "UPDATE onceward_console.person SET password = %(old)s",
        old=PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD),
    )
    assert log_in(http, "Ada").status_code == 303
    (row,) = owner.do("SELECT password FROM onceward_console.person")
    assert "m=65536" in row["password"]


def test_failures_of_long_ago_are_forgotten(owner: Home, http: httpx.Client) -> None:
    log_in(http, "Ada", "a wrong password")
    owner.do("UPDATE onceward_console.login_attempt SET last_at = now() - interval '2 days'")
    log_in(http, "nobody", "a wrong password")
    rows: list[dict[str, Any]] = owner.do("SELECT kind, failures FROM onceward_console.login_attempt ORDER BY kind")
    assert rows == [{"kind": "address", "failures": 1}, {"kind": "name", "failures": 1}]
