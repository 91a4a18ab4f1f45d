"""`onceward demo`: the main job on embedded servers, with processes killed on the way, and a reckoning at the end."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING

import click
import psycopg
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from onceward_relay.cli.options import Once, checked_url, json_option, print_json

if TYPE_CHECKING:
    from onceward_relay.demo.run import Outcome

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@click.command()
@click.option("--transfers", type=click.IntRange(1), default=1000, show_default=True, help="How many are made.")
@click.option("--seed", type=int, help="Of everything that happens by chance. By default another one each time.")
@json_option
@click.option(
    "--keep", is_flag=True, help="Stay up at the end until Ctrl-C, so that you can look around and settle what is left."
)
@click.option(
    "--console", "screens", is_flag=True, help="Open the console at the end, on 127.0.0.1, and stay up until Ctrl-C."
)
@click.option(
    "--database",
    cls=Once,
    callback=checked_url,
    metavar="URL",
    help="A PostgreSQL where three databases may be created, instead of the embedded one. They are dropped at the end.",
)
@click.option(
    "--kafka", cls=Once, metavar="ADDRESS", help="Bootstrap servers of a Kafka, instead of the embedded stand-in."
)
def demo(
    *,
    transfers: int,
    seed: int | None,
    as_json: bool,
    keep: bool,
    screens: bool,
    database: str | None,
    kafka: str | None,
) -> None:
    """Watch money move between two banks while processes are killed.

    Needs no Docker and no Java, and ends by itself. Exit status: 0 all promises were kept; 1 one was broken, or the
    time was up before all could be judged, or the demo could not start; 130 after Ctrl-C.
    """
    os.environ["ONCEWARD_DEMO_RUN"] = f"onceward-demo-{secrets.token_hex(3)}"  # read by the modules imported next
    from onceward_relay.demo import report
    from onceward_relay.demo.run import Plan, run
    from onceward_relay.demo.show import Show

    console = Console(stderr=as_json)
    stays = keep or screens
    chosen = SystemRandom().randrange(10**6) if seed is None else seed
    plan = Plan(transfers, chosen, database, kafka, stays=stays, console=screens)

    def afterwards(outcome: "Outcome") -> None:
        if as_json:
            print_json(report.document(outcome))
        else:
            report.print_report(outcome, console)
        if stays:
            report.print_connections(outcome, console)
            _wait_for_the_end()

    with _ended_by_signals():
        try:
            outcome = run(plan, Show(console), afterwards)
        except (psycopg.Error, DBAPIError) as error:
            raise click.ClickException(f"a database failed: {' '.join(str(error).split())}") from error
        except KeyboardInterrupt:
            click.echo("stopped; all processes are ended and everything is removed", err=True)
            raise SystemExit(INTERRUPTED) from None
    raise SystemExit(0 if outcome.kept else 1)


def _wait_for_the_end() -> None:
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does: with everything cleaned up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
