"""Every page keeps the rules of accessibility, in light and dark, on a desk and on a phone; and pictures of them."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.console.browser.conftest import opened
from tests.console.running import RunningConsole
from tests.people.desk import Desk

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {
    "desk": {"type": "tag", "values": TAGS},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "phone": {"type": "rule", "values": ["target-size", "scrollable-region-focusable"]},
}
"""All of them once; in the other ways those that may differ there."""
WAYS = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
WIDER_THAN_THE_SCREEN = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def filled(desk: Desk) -> dict[str, str]:
    """Put something on every page; return their addresses by name."""
    flow = desk.flow("blocked", key="order-8", error="KeyError: 'CHF'\n  in receive, line 62")
    lost = desk.call(operation="wire", ref="order-7")
    paid = desk.call("succeeded", ref="order-8", flow_id=flow)
    title = "bank/wire may or may not have taken effect (timed out); nothing was sent again: the provider takes no key"
    desk.incident(call_id=lost, ref="order-7", amount=100, currency="EUR", grp="bank/wire/timeout", title=title)
    lines = "Flow transfers stands still: KeyError in receive, line 62"
    desk.incident("flow_error", flow_id=flow, ref="order-8", severity=2, grp="transfers/KeyError", title=lines)
    decision = desk.propose("refund", paid)
    return {
        "worklist": "/",
        "call": f"/calls/payer/{lost}",
        "deciding": f"/calls/payer/{lost}/applied",
        "paid-call": f"/calls/payer/{paid}",
        "flow": f"/flows/payer/{flow}",
        "search": "/search?q=order-8",
        "approvals": "/approvals",
        "decision": f"/approvals/payer/{decision['id']}",
        "many": "/bulk/new?group=bank/wire/timeout",
        "statement": "/statements/new",
        "providers": "/providers",
        "messages": "/messages",
        "sources": "/sources",
        "audit": "/audit",
        "settings": "/settings",
        "not-here": "/no-such-page",
    }


@pytest.fixture
def pages(desk: Desk) -> dict[str, str]:
    return filled(desk)


@pytest.mark.parametrize("way", WAYS)
def test_every_page_keeps_the_rules(
    pages: dict[str, str], browser: Browser, console: RunningConsole, pictures: Path | None, way: str
) -> None:
    with opened(browser, console.address, **WAYS[way]) as page:
        wrong = []
        for name, address in pages.items():
            page.goto(address)
            found = Axe().run(page, options={"runOnly": RULES[way]}).response["violations"]
            wrong += [f"{name}: {each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
            if (wider := page.evaluate(WIDER_THAN_THE_SCREEN)) > 0:
                wrong.append(f"{name}: {wider} px wider than the screen")
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=pictures / f"{name}{'' if way == 'desk' else '-' + way}.png", full_page=True)
    assert not wrong, "\n".join(wrong)
