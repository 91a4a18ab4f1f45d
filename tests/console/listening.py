"""An open page that listens: server-sent events over a real socket."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.console.running import Person

Event = tuple[str, dict[str, Any]]


@contextmanager
def listening(person: Person, **asked: str) -> Iterator[Iterator[Event]]:
    """Listen as an open page does; the events as they come. Silence of ten seconds is an error."""
    with person.http.stream("GET", "/events", params=asked, timeout=httpx.Timeout(10, read=10)) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Event]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
