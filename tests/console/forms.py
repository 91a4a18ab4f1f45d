"""Forms of the console's pages, filled in and sent as a browser without scripts does."""

import re
from html import unescape
from typing import Any

import httpx

from tests.console.running import Person
from tests.support import eventually

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def hidden(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the form by which a page decides."""
    form = page.text[page.text.index('class="deciding"') :]
    return {name: unescape(value) for name, value in HIDDEN.findall(form[: form.index("</form>")])}


def send(person: Person, path: str, to: str | None = None, **fields: Any) -> httpx.Response:
    """Open the page of a form, fill it in and send it, to where it says or to another button's address."""
    page = person.look(path)
    assert page.status_code == 200, page.text
    return person.send(to or path, page, **{**hidden(page), **fields})


def done(person: Person, page: httpx.Response) -> httpx.Response:
    """Look at what is done for many until it is done."""
    return eventually(lambda: _if_ended(person.look(page.url.path)))  # type: ignore[return-value]


def _if_ended(page: httpx.Response) -> httpx.Response | None:
    return None if ">running<" in page.text else page


def whoami(person: Person) -> str:
    """Return the name under which somebody decides."""
    found = re.search(r"<span>([^<]+)</span>", person.look("/").text)
    assert found is not None
    return found[1]
