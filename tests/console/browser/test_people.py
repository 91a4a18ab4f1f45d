"""People settle what code cannot, in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg.types.json import Jsonb

from tests.console.browser.conftest import opened
from tests.console.running import RunningConsole
from tests.people.desk import REASON, Desk

RESULT = {
    "type": "object",
    "properties": {"reference": {"type": "string"}, "amount": {"type": "string"}},
    "required": ["reference"],
}


def in_doubt(desk: Desk, ref: str = "order-7", operation: str = "wire") -> str:
    """A lost reply at a provider that takes no key, with its incident; return the call's address."""
    desk.owner.execute("UPDATE onceward.operation SET result_schema = %s", (Jsonb(RESULT),))
    call = desk.call(operation=operation, ref=ref)
    title = f"bank/{operation} may or may not have taken effect"
    desk.incident(call_id=call, ref=ref, amount=100, currency="EUR", title=title)
    return f"/calls/payer/{call}"


def test_a_lost_reply_is_settled_with_evidence(desk: Desk, page: Page, tmp_path: Path) -> None:
    in_doubt(desk)
    page.goto("/")
    page.get_by_role("link", name="bank/wire may or may not have taken effect").click()
    expect(page.get_by_text("provider takes no idempotency key").first).to_be_visible()
    page.get_by_role("link", name="It took effect").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
    page.get_by_label("reference needed").fill("r-9")
    page.get_by_label("The provider's reference of it").fill("r-9")
    picture = tmp_path / "screen.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n of the bank's screen")
    page.get_by_label("The report itself").set_input_files(picture)
    page.get_by_label("Why").fill("seen on the bank's screen")
    page.get_by_role("button", name="It took effect").click()
    expect(page.get_by_text("A decision is open: applied")).to_be_visible()
    expect(page.get_by_text("No worker has been seen").first).to_be_visible()
    (decision,) = desk.all("SELECT verb, state, body, reason FROM onceward.resolution")
    assert (decision["verb"], decision["state"]) == ("applied", "approved")
    assert decision["body"] == {"result": {"reference": "r-9"}}
    (evidence,) = desk.all("SELECT says, reference, body FROM onceward.evidence")
    assert (evidence["says"], evidence["reference"]) == ("applied", "r-9")
    assert bytes(evidence["body"]).startswith(b"\x89PNG")


def test_a_field_that_is_wrong_is_named_and_nothing_typed_is_lost(desk: Desk, page: Page) -> None:
    page.goto(in_doubt(desk) + "/applied")
    page.get_by_label("amount", exact=True).fill("12.50")
    page.get_by_label("The provider's reference of it").fill("r-9")
    page.get_by_label("Why").fill("seen on the bank's screen")
    page.get_by_role("button", name="It took effect").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was sent yet")
    wrong = page.locator("[aria-invalid=true]")
    expect(wrong).to_have_count(1)
    expect(page.get_by_label("amount", exact=True)).to_have_value("12.50")
    expect(page.get_by_label("Why")).to_have_value("seen on the bank's screen")
    assert desk.all("SELECT FROM onceward.resolution") == []


def test_a_double_click_decides_once(desk: Desk, page: Page) -> None:
    page.goto(in_doubt(desk) + "/not_applied")
    page.get_by_label("Why").fill(REASON)
    page.get_by_role("button", name="It took no effect").dblclick()
    expect(page.get_by_text("A decision is open: not applied")).to_be_visible()
    assert len(desk.all("SELECT FROM onceward.resolution")) == 1


def test_a_stale_page_decides_nothing_and_says_what_changed(desk: Desk, page: Page) -> None:
    page.goto(in_doubt(desk) + "/not_applied")
    desk.owner.execute("UPDATE onceward.call SET version = version + 1, error_text = 'it was looked up meanwhile'")
    page.get_by_label("Why").fill(REASON)
    page.get_by_role("button", name="It took no effect").click()
    expect(page.get_by_role("alert")).to_contain_text("it is at version 2, not 1")
    expect(page.get_by_label("Why")).to_have_value(REASON)
    assert desk.all("SELECT FROM onceward.resolution") == []


def test_many_at_once_with_a_dry_run(desk: Desk, page: Page) -> None:
    for number in range(3):
        in_doubt(desk, f"order-{number}", "pay")
    page.goto("/")
    page.get_by_role("link", name="bank/pay/timeout").click()
    page.get_by_role("link", name="For all that this filter finds").click()
    page.get_by_role("radio", name="It took no effect").check()
    page.get_by_role("button", name="Look what it would do").click()
    expect(page.get_by_role("status").first).to_contain_text("Of 3 calls it is possible for 3")
    assert desk.all("SELECT FROM onceward.resolution") == []
    page.get_by_label("Why").fill(REASON)
    page.get_by_role("button", name="Do it, for 3").click()
    expect(page.get_by_text("Done: 3 of 3, 0 refused")).to_be_visible()
    assert len(desk.all("SELECT FROM onceward.resolution WHERE state = 'proposed' AND batch_id IS NOT NULL")) == 3


def test_a_statement_is_uploaded_looked_at_and_proposed(desk: Desk, page: Page, tmp_path: Path) -> None:
    in_doubt(desk)
    file = tmp_path / "may.csv"
    file.write_text("reference,ref,amount,currency,status\nr-9,order-7,100.00,EUR,Booked\nr-8,order-8,1,EUR,Booked\n")
    page.goto("/statements/new")
    page.get_by_label("File, CSV").set_input_files(file)
    page.get_by_role("button", name="Upload and match").click()
    expect(page.get_by_text("1 settle a call")).to_be_visible()
    expect(page.get_by_text("1 fit no call")).to_be_visible()
    assert desk.all("SELECT FROM onceward.evidence") == []
    page.get_by_label("Why").fill("the statement of May")
    page.get_by_role("button", name=re.compile("^Propose")).click()
    expect(page.get_by_text(re.compile("1 of 1 done, 0 refused"))).to_be_visible()
    (decision,) = desk.all("SELECT verb, state FROM onceward.resolution")
    assert (decision["verb"], decision["state"]) == ("applied", "proposed")


@pytest.mark.long  # a live change between two keys moves the selection; a person presses again
def test_with_the_keyboard_alone(desk: Desk, page: Page) -> None:
    in_doubt(desk, "order-1")
    in_doubt(desk, "order-2")
    page.goto("/")
    page.keyboard.press("j")
    expect(page.locator("tr[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Let go")).to_have_count(1)
    (taken,) = desk.all("SELECT ref FROM onceward.incident WHERE assignee IS NOT NULL")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(str(taken["ref"]))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text(str(taken["ref"]))
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What may be done")).to_be_visible()


def test_what_is_new_comes_by_itself(desk: Desk, page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("Nothing waits for a person")).to_be_visible()
    in_doubt(desk)
    expect(page.get_by_role("link", name="bank/wire may or may not have taken effect")).to_be_visible()


def test_without_scripts_everything_can_be_read_and_decided(
    desk: Desk, browser: Browser, console: RunningConsole
) -> None:
    address = in_doubt(desk)
    with opened(browser, console.address, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("link", name="bank/wire may or may not have taken effect").click()
        expect(page).to_have_url(f"{console.address}{address}")
        page.get_by_role("link", name="It took no effect").click()
        page.get_by_label("Why").fill(REASON)
        page.get_by_role("button", name="It took no effect").click()
        expect(page.get_by_text("A decision is open: not applied")).to_be_visible()
    assert len(desk.all("SELECT FROM onceward.resolution")) == 1
