"""`onceward status`: how each source stands."""

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live

from onceward_relay.cli.options import Once, json_option, print_json
from onceward_relay.cli.sources import given, loaded, source_at
from onceward_relay.cli.status_table import rendered, screen
from onceward_relay.config import SourceSettings
from onceward_relay.status.model import SourceStatus
from onceward_relay.status.watch import look_at_all

EVERY = 2.0
"""Seconds between two looks of --watch."""


@click.command()
@click.option(
    "--config", "path", cls=Once, type=click.Path(path_type=Path), help="The relay's TOML file: all its sources."
)
@click.option(
    "--database", "databases", multiple=True, envvar="ONCEWARD_DATABASE", show_envvar=True, metavar="URL",
    help="postgresql:// URL of one source; can be given more than once.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Look again every 2 s until Ctrl-C.")
@click.option(
    "--timeout", type=click.FloatRange(1, 300), default=10, show_default=True, help="Seconds that a source has."
)
@json_option
def status(path: Path | None, databases: tuple[str, ...], timeout: float, *, watch: bool, as_json: bool) -> None:
    """Show how each source stands, from its own database; no daemon is asked, and nothing is changed.

    Lag is what is committed and neither acknowledged by Kafka nor set aside. A number with + is a lower bound: no
    more than 100,000 rows are looked at. Needs the rights of onceward_relay; what a role may not see is n/a.

    "per h" is what is being written to the outbox an hour, "full in" when it reaches the source's outbox_limit if
    nothing of it is emptied. docs/metrics.md has their names in --json.

    Exit status: 0 all goes by itself; 1 a source needs a person: it is broken or halted, keys or topics are held, an
    incident is open, or rows have waited for a minute without a relay; 2 the command line or configuration is wrong.
    """
    if path and not given("databases"):
        databases = ()
    if bool(path) == bool(databases):
        raise click.UsageError("give either --config or --database")
    if watch and as_json:
        raise click.UsageError("--watch and --json do not go together")
    sources = loaded(path).source if path else [source_at(url) for url in databases]
    if watch:
        _watch(sources, timeout)
        return
    found = look_at_all(sources, timeout)
    if as_json:
        print_json({"ok": not any(each.needs for each in found), "sources": [document(each) for each in found]})
    else:
        console = screen()
        for part in rendered(found, console.width):
            console.print(part)
    raise SystemExit(1 if any(each.needs for each in found) else 0)


def document(status: SourceStatus) -> dict[str, Any]:
    """Return a status for JSON."""
    return {**asdict(status), "outbox_full_in": status.outbox_full_in, "needs": status.needs}


def _watch(sources: Sequence[SourceSettings], timeout: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it
    console = screen()
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                began = time.monotonic()
                picture = _picture(look_at_all(sources, timeout), console)
                if console.is_terminal:
                    live.update(picture, refresh=True)
                else:
                    console.print(picture)
                time.sleep(max(0.0, began + EVERY - time.monotonic()))
    except KeyboardInterrupt:
        return


def _picture(found: Sequence[SourceStatus], console: Console) -> Group:
    return Group(*rendered(found, console.width), time.strftime("%H:%M:%S, Ctrl-C ends"))
