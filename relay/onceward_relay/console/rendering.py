"""Pages from templates. Whatever is shown is inert: escaped for HTML, and without what steers the direction of text."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from onceward_relay.people.verdict import verdict
from onceward_relay.people.words import ago, inert, money, span

STEERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Marks that change the direction of the text around them, and would let a payload rewrite what stands beside it."""


def shown(value: object) -> object:
    """Return what a template prints for a value. None is nothing; text is made inert."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return harmless(value)
    return value


def harmless(text: str) -> str:
    """Return text in which control characters and marks of direction are written out. Line breaks stay."""
    if text.isprintable() and (text.isascii() or not STEERING.intersection(text)):
        return text
    return "".join(
        mark if mark in "\n\t" or (mark.isprintable() and mark not in STEERING) else ascii(mark)[1:-1] for mark in text
    )


def moment(at: datetime | None, form: str = "full") -> Markup:
    """Return a time for people: as UTC, which the page's script turns into the person's own zone."""
    return Markup("") if at is None else _time(at, form, f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


def since(at: datetime | None, now: datetime) -> Markup:
    """Return how long ago something was."""
    return Markup("") if at is None else _time(at, "age", ago(at, now))


def until(at: datetime | None, now: datetime) -> Markup:
    """Return how long there is until something."""
    if at is None:
        return Markup("")
    words = f"in {ago(now, at)}" if at > now else f"{ago(at, now)} ago"
    return _time(at, "until", words, urgent=at < now + timedelta(hours=1))


def _time(at: datetime, form: str, words: str, *, urgent: bool = False) -> Markup:
    """Return a time as an element. All of it is ours, and holds nothing that would have to be escaped."""
    exact = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mark = ' class="urgent"' if urgent else ""
    return Markup(f'<time{mark} datetime="{exact}" title="{exact}" data-form="{form}">{words}</time>')  # noqa: S704


def key(value: bytes | None) -> str:
    """Return a message's key for people; nothing if it has none."""
    return "" if value is None else bytes(value).decode("utf-8", "backslashreplace")[:200]


def document(value: object) -> str:
    """Return a JSON document over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


TEMPLATES = Environment(
    loader=PackageLoader("onceward_relay.console"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    finalize=shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {
    "moment": moment, "since": since, "until": until, "document": document, "verdict": verdict,
    "span": span, "key": key,
    "words": lambda name: str(name).replace("_", " "),
}  # fmt: skip
TEMPLATES.globals |= {"money": money, "inert": inert, "escape": escape}


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page."""
    visit = getattr(request.state, "visit", None)
    around = {
        "visit": visit,
        "nonce": request.state.nonce,
        "path": request.url.path,
        "participants": list(request.app.state.participants),
        "login": request.app.state.login,
        "missing": {},
        "live": None,
        "about": None,
        "mark": None,
        "now": datetime.now(UTC),
    }
    return HTMLResponse(TEMPLATES.get_template(template).render({**around, **context}), status)
