"""Two people with names of their own, each in a browser of their own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Database
from tests.console.browser.conftest import opened
from tests.console.people import PASSWORD, Home
from tests.console.running import RunningConsole, running, settings_of
from tests.people.desk import REASON, Desk


@pytest.fixture(scope="module")
def guarded(home: Database, shared_database: Database) -> Iterator[RunningConsole]:
    """A console to which people log in."""
    with running(settings_of(home, {"payer": shared_database.console_url}, login="local")) as console:
        yield console


@pytest.fixture
def owner(guarded: RunningConsole, home: Database) -> Iterator[Home]:
    found = Home(home.url)
    found.clear()
    for name, role in (("Ada", "operator"), ("Bob", "approver"), ("Vera", "viewer")):
        found.add(name, ("*", role))
    yield found
    found.connection.close()


def log_in(page: Page, name: str) -> None:
    """Log in where the page has led to."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("banner")).to_contain_text(name)


def test_a_refund_takes_two_people(desk: Desk, owner: Home, guarded: RunningConsole, browser: Browser) -> None:
    call = desk.call("succeeded", ref="order-8")
    with opened(browser, guarded.address) as adas, opened(browser, guarded.address) as bobs:
        adas.goto(f"/calls/payer/{call}")
        log_in(adas, "Ada")
        expect(adas).to_have_url(f"{guarded.address}/calls/payer/{call}")
        adas.get_by_role("link", name="Refund").click()
        adas.get_by_label("Why").fill(REASON)
        adas.get_by_role("button", name="Refund").click()
        expect(adas.get_by_text("A decision is open: refund")).to_be_visible()
        (decision,) = desk.all("SELECT id, state FROM onceward.resolution")
        assert decision["state"] == "proposed"

        bobs.goto("/approvals")
        log_in(bobs, "Bob")
        bobs.goto(f"/approvals/payer/{decision['id']}")
        bobs.get_by_role("textbox", name="Why").fill("I have seen the complaint")
        bobs.get_by_role("button", name="Agree").click()
        expect(bobs.get_by_text("agreed to by Bob").first).to_be_visible()
    (decided,) = desk.all("SELECT state, proposed_by, decided_by FROM onceward.resolution")
    assert decided == {"state": "approved", "proposed_by": "Ada", "decided_by": "Bob"}


def test_who_may_only_look_finds_nothing_to_press(
    desk: Desk, owner: Home, guarded: RunningConsole, browser: Browser
) -> None:
    call = desk.call(ref="order-9")
    desk.incident(call_id=call)
    with opened(browser, guarded.address) as page:
        page.goto(f"/calls/payer/{call}")
        log_in(page, "Vera")
        expect(page.get_by_role("heading", name="What may be done")).to_be_visible()
        expect(page.get_by_role("link", name="It took no effect")).to_have_count(0)
        expect(page.get_by_role("button", name="Take it")).to_have_count(0)


def test_a_session_that_ends_in_the_middle_changes_nothing_and_says_so(
    desk: Desk, owner: Home, guarded: RunningConsole, browser: Browser
) -> None:
    call = desk.call(ref="order-9")
    with opened(browser, guarded.address) as page:
        page.goto(f"/calls/payer/{call}/not_applied")
        log_in(page, "Ada")
        page.get_by_label("Why").fill(REASON)
        owner.do("DELETE FROM onceward_console.session")
        page.get_by_role("button", name="It took no effect").click()
        expect(page.get_by_role("main")).to_contain_text("your session has ended and nothing was changed")
        assert desk.all("SELECT FROM onceward.resolution") == []
        page.goto(f"/calls/payer/{call}/not_applied")
        log_in(page, "Ada")
        expect(page).to_have_url(f"{guarded.address}/calls/payer/{call}/not_applied")
