"""A real Chromium, found on this machine, and people who use the console with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import without

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PICTURES = Path(os.environ.get("ONCEWARD_TEST_PICTURES", ""))
"""Where pictures of the pages are kept; nowhere if it is not set."""
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as it is installed here."""
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
