"""A real Chromium, found on this machine, and people who use the console with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.conftest import without
from tests.console.running import RunningConsole

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 15_000
"""Milliseconds for which a page may take to show what is looked for."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as it is installed here. Not for longer than a module: meanwhile nothing else can run an event loop."""
    named = os.environ.get("ONCEWARD_TEST_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        without("there is no Chromium: install it, or name it in ONCEWARD_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        # As root, and in containers, Chromium's own sandbox does not work. The pages are ours.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, console: RunningConsole) -> Iterator[Page]:
    """A page of somebody at this machine. That the browser complains of anything on it is an error."""
    with opened(browser, console.address) as page:
        yield page


class opened:  # noqa: N801 -- used as a function
    """A browser of its own with one page, and what the browser complained of."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        desk = {"viewport": {"width": 1280, "height": 900}}
        self._context = browser.new_context(base_url=address, **{**desk, **options})
        self._complaints: list[str] = []

    def __enter__(self) -> Page:
        page = self._context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", self._told)
        return page

    def _told(self, message: ConsoleMessage) -> None:
        # That a form was refused is the page's business, and no fault.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._complaints.append(message.text)

    def __exit__(self, kind: object, *_: object) -> None:
        self._context.close()
        assert kind or not self._complaints, self._complaints


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Where pictures of the pages are to be kept; None: nowhere."""
    folder = os.environ.get("ONCEWARD_TEST_PICTURES")
    return Path(folder) if folder else None
