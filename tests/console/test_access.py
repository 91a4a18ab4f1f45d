"""Every route, as everybody, with every method: who may is let through, and nobody else. A new route cannot be forgotten."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from onceward_relay.console.app import ROUTES
from onceward_relay.console.routes import Route
from tests.conftest import Database, fresh_database
from tests.console import matrix
from tests.console.matrix import METHODS, WHO, allowed
from tests.console.people import FORM, Home, browser
from tests.console.running import RunningConsole, running, settings_of
from tests.servers.postgres import TestServer

BY_PATH: dict[str, list[Route]] = {}
for each in ROUTES:
    BY_PATH.setdefault(each.path, []).append(each)
POSTS = [route for route in ROUTES if route.method == "POST"]
ENTERED = {("GET", "/login"), ("GET", "/login/oidc"), ("GET", "/login/oidc/callback"), ("POST", "/login")}
"""What says by its own answer whether somebody comes in; tests of the log-in look at it."""


@pytest.fixture(scope="module")
def console(home: Database, shared_database: Database, postgres: TestServer) -> Iterator[RunningConsole]:
    with fresh_database(postgres, installed=True) as other:
        participants = {"payer": shared_database.console_url, "shop": other.console_url}
        with running(settings_of(home, participants, login="local")) as console:
            yield console


@pytest.fixture(scope="module")
def owner(console: RunningConsole, home: Database) -> Iterator[Home]:
    found = Home(home.url)
    found.clear()
    yield found
    found.connection.close()


@pytest.fixture(scope="module")
def people(owner: Home) -> dict[str, UUID | None]:
    return {who: owner.add(who, role) if role else None for who, role in WHO.items()}


@pytest.fixture(scope="module")
def browsers(console: RunningConsole, people: dict[str, UUID | None]) -> Iterator[dict[str, httpx.Client]]:
    opened = {who: browser(console, person) for who, person in people.items()}
    yield opened
    for each in opened.values():
        each.close()


def status(http: httpx.Client, method: str, path: str, form: str = FORM, **headers: str) -> tuple[int, str]:
    """Return status and location of an answer. Its body may never end, as that of a stream."""
    data = {"form_token": form} if method != "GET" and form else None
    if method in ("GET", "POST", "HEAD") and path != "/events":
        answer = http.request(method, filled(path), data=data, headers=headers)
        return answer.status_code, answer.headers.get("location", "")
    with http.stream(method, filled(path), data=data, headers=headers, params={"page": "worklist"}) as answer:
        return answer.status_code, answer.headers.get("location", "")


def filled(path: str) -> str:
    """Return an address with a participant that is there and with nothing that is."""
    return (
        path.replace("{participant}", "payer")
        .replace("{id}", str(uuid4()))
        .replace("{number}", "7")
        .replace("{kind}", "call")
        .replace("{name}", "x")
    )


def logged_in(owner: Home, people: dict[str, UUID | None], who: str) -> None:
    person = people[who]
    if person is not None:
        owner.session(person)  # the request before may have been the log-out


@pytest.mark.parametrize("who", WHO)
def test_everybody_gets_what_they_may_and_nothing_else(
    who: str, owner: Home, people: dict[str, UUID | None], browsers: dict[str, httpx.Client]
) -> None:
    http, wrong = browsers[who], []
    logged_in(owner, people, who)
    for path, routes in BY_PATH.items():
        for method in METHODS:
            route = next((each for each in routes if each.method == ("GET" if method == "HEAD" else method)), None)
            if route is not None and (route.method, path) in ENTERED:
                continue
            code, location = status(http, method, path)
            if route is None:
                right = code == 405
            elif allowed(route, who):
                right = (
                    code not in (401, 403, 405, 421)
                    and code < 500
                    and (path == "/logout" or not location.startswith("/login"))
                )
            elif people[who] is None:
                right = code == 401 if method == "POST" else (code == 303 and location.startswith("/login?to="))
            else:
                right = code == 403
            if path == "/logout":
                logged_in(owner, people, who)
            if not right:
                wrong.append(f"{method} {path} as {who}: {code} {location}")
    assert not wrong, "\n".join(wrong)


def test_what_was_denied_is_recorded(
    owner: Home, people: dict[str, UUID | None], browsers: dict[str, httpx.Client]
) -> None:
    owner.do("DELETE FROM onceward_console.denied")
    logged_in(owner, people, "viewer")
    assert status(browsers["viewer"], "POST", "/providers/{participant}/stop")[0] == 403
    (row,) = owner.do("SELECT person, action, participant, reason, address FROM onceward_console.denied")
    assert row == {
        "person": "viewer", "action": "POST /providers/{participant}/stop", "participant": "payer",
        "reason": "needs the permission to manage", "address": "127.0.0.1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("", {}),
        ("a guess", {}),
        (FORM, {"origin": "https://evil.example"}),
        (FORM, {"origin": "null"}),
        (FORM, {"sec-fetch-site": "cross-site"}),
        (FORM, {"sec-fetch-site": "same-site"}),
    ],
)
def test_no_form_of_another_site_does_anything(
    owner: Home, people: dict[str, UUID | None], browsers: dict[str, httpx.Client], form: str, headers: dict[str, str]
) -> None:
    logged_in(owner, people, "admin")
    before = state(owner)
    for route in POSTS:
        assert (route.path, status(browsers["admin"], "POST", route.path, form, **headers)[0]) == (route.path, 403)
    assert state(owner) == before


def state(owner: Home) -> list[dict[str, Any]]:
    return owner.do(
        "SELECT (SELECT count(*) FROM onceward_console.api_token) AS tokens, (SELECT count(*) FROM onceward_console.session) AS sessions"
    )


def test_ones_own_origin_may(
    owner: Home, people: dict[str, UUID | None], browsers: dict[str, httpx.Client], console: RunningConsole
) -> None:
    logged_in(owner, people, "admin")
    own = {"origin": console.address, "sec-fetch-site": "same-origin"}
    assert status(browsers["admin"], "POST", "/settings/sessions/end", **own)[0] == 303


def test_no_header_makes_another_method_of_a_request(
    owner: Home, people: dict[str, UUID | None], browsers: dict[str, httpx.Client]
) -> None:
    logged_in(owner, people, "admin")
    assert status(browsers["admin"], "GET", "/logout", **{"x-http-method-override": "POST"})[0] == 405
    assert status(browsers["admin"], "GET", "/")[0] == 200


def test_the_page_of_routes_is_as_it_is_generated() -> None:
    assert matrix.PAGE.read_text() == matrix.page(), "run: python -m tests.console.matrix"
