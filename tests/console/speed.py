"""How fast pages are with years of calls and the worst night's incidents: `python -m tests.console.speed`.

Fills databases on a server of its own, starts the console as a process and asks for each page again and again, one at a
time and in turns. A time is that of a whole answer over loopback, as a browser beside it would see it.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import click
import httpx
import psycopg

from tests.console.fill import Size, fill
from tests.servers.postgres import TestServer, private_server

NAMES = ("payer", "shop", "carrier")


@dataclass(frozen=True, slots=True)
class Page:
    """A page and its addresses, one of which is asked for each time."""

    name: str
    paths: list[str]


@contextmanager
def serving(home: str, participants: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Run `onceward console run`, and give its address and process id."""
    lines = ["[console]", 'listen = "127.0.0.1:0"', f"home = {json.dumps(home)}", "deadline = 10.0"]
    for name, url in participants.items():
        lines += ["[[participant]]", f"name = {json.dumps(name)}", f"database = {json.dumps(url)}"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "console.toml"
        config.write_text("\n".join(lines))
        command = [sys.executable, "-m", "onceward_relay", "console", "run", "--config", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().partition("console: ")[2].strip()
            assert address, "the console did not start"
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(20)


def pages(url: str, name: str, number: int) -> list[Page]:
    """Return the pages, with addresses of one participant's rows."""

    def some(query: str) -> list[str]:
        with psycopg.connect(url) as connection:
            return [str(row[0]) for row in connection.execute(f"{query} LIMIT {number}".encode())]

    calls = some("SELECT id FROM onceward.call WHERE state = 'in_doubt'")
    groups = some("SELECT DISTINCT grp FROM onceward.incident WHERE closed_at IS NULL")
    return [
        Page("worklist", ["/"]),
        Page("worklist: one participant", [f"/?participant={name}"]),
        Page("worklist: a group", [f"/?group={httpx.QueryParams({'g': group})['g']}" for group in groups]),
        Page("worklist: a kind", ["/?kind=flow_error"]),
        Page("worklist: a provider", ["/?provider=bank"]),
        Page("worklist: a provider that nothing is about", ["/?provider=nobody"]),
        Page("worklist: taken by", ["/?assignee=bob"]),
        Page("worklist: a reference", [f"/?ref={ref}" for ref in some("SELECT ref FROM onceward.call")]),
        Page("search: a reference", [f"/search?q={ref}" for ref in some("SELECT DISTINCT ref FROM onceward.call")]),
        Page("search: a key", [f"/search?q={key}" for key in some("SELECT key FROM onceward.call")]),
        Page("search: an id", [f"/search?q={id_}" for id_ in some("SELECT id FROM onceward.flow")]),
        Page("search: nothing", [f"/search?q=nothing-{each}" for each in range(number)]),
        Page("call", [f"/calls/{name}/{id_}" for id_ in calls]),
        Page("flow", [f"/flows/{name}/{id_}" for id_ in some("SELECT id FROM onceward.flow")]),
        Page("approvals", ["/approvals"]),
        Page("providers", ["/providers"]),
        Page("messages", ["/messages"]),
        Page("sources", ["/sources"]),
        Page("audit", ["/audit"]),
        Page("audit: a person", ["/audit?actor=ada"]),
        Page("audit: a person unknown", ["/audit?actor=nobody"]),
        Page("settings", ["/settings"]),
    ]


def measured(address: str, asked: list[Page], times: int) -> dict[str, Any]:
    """Return p50 and p95 of each page, in milliseconds."""
    taken: dict[str, list[float]] = {page.name: [] for page in asked}
    with httpx.Client(base_url=address, follow_redirects=True, timeout=60) as client:
        for each in range(times + 3):
            for page in asked:
                began = time.perf_counter()
                answer = client.get(page.paths[each % len(page.paths)])
                if answer.status_code == 404:
                    taken.pop(page.name, None)  # not served
                    continue
                answer.raise_for_status()
                assert "is not in this page" not in answer.text, page.name
                if each >= 3:
                    taken[page.name].append((time.perf_counter() - began) * 1000)
    return {
        name: {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1)}
        for name, values in taken.items()
        if len(cuts := quantiles(values, n=20)) == 19
    }


@click.command()
@click.option("--calls", default=1_000_000, show_default=True, help="Of all participants.")
@click.option("--incidents", default=100_000, show_default=True, help="Open ones, of all participants.")
@click.option("--entries", default=60_000, show_default=True, help="Of all audits.")
@click.option("--times", default=60, show_default=True, help="How often each page is asked for.")
def main(calls: int, incidents: int, entries: int, times: int) -> None:
    """Fill three participants and measure each page."""
    size = Size(*(whole // len(NAMES) for whole in (calls, incidents, entries)))
    with private_server() as server:
        databases = TestServer(server)
        urls = {name: databases.create_database(installed=True) for name in NAMES}
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda url: fill(url, size), urls.values()))
        click.echo(f"filled in {time.monotonic() - began:.0f} s: {size} each", err=True)
        home = databases.create_database()
        asked = pages(urls["payer"], "payer", times)
        with serving(home, {name: databases.login(url, "console") for name, url in urls.items()}) as (address, _):
            found = measured(address, asked, times)
        databases.drop_all()
    click.echo(f"{'page':45} {'p50 ms':>8} {'p95 ms':>8}")
    for name, each in found.items():
        click.echo(f"{name:45} {each['p50']:>8} {each['p95']:>8}")


if __name__ == "__main__":
    main()
