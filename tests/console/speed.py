"""How fast pages are with years of calls and the worst night's incidents: `python -m tests.console.speed`.

Fills databases on a server of its own, starts the console as a process and asks for each page again and again, one at a
time. A time is that of a whole answer over loopback, as a browser beside it would see it. Beside it stands the CPU time
that a page took, of the console and of PostgreSQL together: what a machine that others use does not change much.
With --open so many pages listen meanwhile, and what the console takes for them alone is told first.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import click
import httpx
import psycopg

from tests.console.crowd import Crowd, cpu_seconds, parent, people, resident
from tests.console.fill import Size, fill
from tests.servers.postgres import TestServer, private_server
from tests.support import eventually

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


def measured(
    address: str, asked: list[Page], times: int, cpu: Callable[[], float]
) -> Iterator[tuple[str, list[float]]]:
    """Yield p50, p95 and CPU time of each page, in milliseconds."""
    with httpx.Client(base_url=address, follow_redirects=True, timeout=60) as client:
        for page in asked:
            taken = []
            for each in range(times + 3):
                if each == 3:
                    before = cpu()
                began = time.perf_counter()
                answer = client.get(page.paths[each % len(page.paths)])
                answer.raise_for_status()
                assert "is not in this page" not in answer.text, page.name
                taken.append((time.perf_counter() - began) * 1000)
            cuts = quantiles(taken[3:], n=20)
            yield page.name, [cuts[9], cuts[18], (cpu() - before) / times * 1000]


def cpu_of(console: int, database: str) -> float:
    """Return the CPU seconds of the console and of all processes of its participants' server."""
    with psycopg.connect(database) as connection:
        server = parent(connection.info.backend_pid)
    processes = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    total = cpu_seconds(console)
    for process in processes:
        with suppress(OSError):  # one that has ended meanwhile
            total += cpu_seconds(process) if parent(process) == server else 0
    return total


def told(crowd: Crowd, console: int, database: str) -> None:
    """Say what open pages cost while nobody does anything."""
    eventually(lambda: crowd.heard and min(crowd.heard) >= 1, timeout=120)
    before, all_before, began = cpu_seconds(console), cpu_of(console, database), time.monotonic()
    time.sleep(30)
    seconds = time.monotonic() - began
    of_console, of_all = cpu_seconds(console) - before, cpu_of(console, database) - all_before
    click.echo(
        f"{len(crowd.heard)} open pages: console {of_console / seconds:.1%} of a core, PostgreSQL"
        f" {(of_all - of_console) / seconds:.1%}, console's memory {resident(console) / 2**20:.0f} MB"
    )


@click.command()
@click.option("--calls", default=1_000_000, show_default=True, help="Of all participants.")
@click.option("--incidents", default=100_000, show_default=True, help="Open ones, of all participants.")
@click.option("--entries", default=60_000, show_default=True, help="Of all audits.")
@click.option("--open", "open_", default=200, show_default=True, help="Pages that listen.")
@click.option("--times", default=60, show_default=True, help="How often each page is asked for.")
def main(calls: int, incidents: int, entries: int, open_: int, times: int) -> None:
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
        with serving(home, {name: databases.login(url, "console") for name, url in urls.items()}) as (address, pid):
            click.echo(f"console without pages: memory {resident(pid) / 2**20:.0f} MB")
            crowd = Crowd(address, people(home, open_))
            if open_:
                asyncio.run(crowd.listen(lambda crowd: told(crowd, pid, home)))
            click.echo(f"{'page':45} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}")
            for name, figures in measured(address, asked, times, lambda: cpu_of(pid, home)):
                click.echo(f"{name:45} {' '.join(f'{figure:>8.1f}' for figure in figures)}")
        databases.drop_all()


if __name__ == "__main__":
    main()
