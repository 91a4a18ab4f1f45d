"""`onceward bench`: what the relay costs, beside the raw client, on your own servers."""

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from onceward_relay.cli.options import checked_url, json_option, print_json

if TYPE_CHECKING:
    from onceward_relay.bench.result import Result
    from onceward_relay.bench.stage import Servers


@click.group()
def bench() -> None:
    """Measure the relay beside raw Kafka.

    Every scenario writes to the database: the schema onceward if it is missing, messages into the outbox, which it
    empties again, and the relay's checkpoints. And to Kafka: topics whose names begin with onceward-bench-, which it
    removes again. Machines are noisy: look at the ratios, whose two sides take turns, rather than at the rates.
    """


def on_servers(_: click.Context, __: click.Parameter, kafka: str) -> str:
    """Refuse what cannot be bootstrap servers."""
    if not kafka.strip():
        raise click.BadParameter("must be one or more host:port, separated by commas")
    return kafka


database_option = click.option(
    "--database",
    envvar="ONCEWARD_DATABASE",
    show_envvar=True,
    required=True,
    callback=checked_url,
    metavar="URL",
    help="An empty database, as its owner, or one of earlier benchmarks.",
)
kafka_option = click.option("--kafka", required=True, callback=on_servers, metavar="ADDRESS", help="Bootstrap servers.")
size_option = click.option(
    "--size", type=click.IntRange(0, 1_000_000), default=300, show_default=True, help="Bytes of a payload."
)
rate_option = click.option(
    "--rate", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="Messages a second."
)


runs_option = click.option(
    "--runs", type=click.IntRange(1), default=5, show_default=True, help="Runs, whose medians are given."
)


@bench.command()
@database_option
@kafka_option
@click.option("--messages", type=click.IntRange(1000), default=200_000, show_default=True, help="Messages of one run.")
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(0, 900_000),
    multiple=True,
    default=(300,),
    show_default=True,
    help="Bytes of a payload; again for more sizes.",
)
@runs_option
@click.option("--warm-up/--no-warm-up", default=True, show_default=True, help="Let a first run not count.")
@json_option
def drain(
    *, database: str, kafka: str, messages: int, sizes: tuple[int, ...], runs: int, warm_up: bool, as_json: bool
) -> None:
    """Drain a loaded outbox, beside raw confluent-kafka produce of the same messages.

    Raw produce runs with the relay's key and headers and once more without headers. Beside the relay's reading stands
    PostgreSQL's own COPY of the same rows: to /dev/null on the server where the role may write files there, else to
    this client, which drops it.
    """
    from onceward_relay.bench.drain import Plan, measure

    report(measure(Plan(_servers(database, kafka), messages, sizes, runs, warm_up), told), as_json=as_json)


@bench.command()
@database_option
@kafka_option
@click.option(
    "--rate",
    "rates",
    type=click.IntRange(0, 1_000_000),
    multiple=True,
    default=(0, 100, 1000, 5000),
    show_default=True,
    help="Messages a second; again for more rates. 0 is one message at a time to an idle relay.",
)
@click.option("--seconds", type=click.FloatRange(1), default=20.0, show_default=True, help="Length of each rate.")
@size_option
@json_option
def steady(database: str, kafka: str, rates: tuple[int, ...], seconds: float, size: int, as_json: bool) -> None:
    """Write at steady rates and measure how old each message is when a consumer has it."""
    from onceward_relay.bench.steady import Plan, measure

    report(measure(Plan(_servers(database, kafka), rates, seconds, size), told), as_json=as_json)


def _servers(database: str, kafka: str) -> "Servers":
    from onceward_relay.bench.stage import Servers

    return Servers(database, kafka)


def told(line: str) -> None:
    """Say on standard error how far a measurement is."""
    click.echo(line, err=True)


def report(result: "Result", *, as_json: bool) -> None:
    """Print what a scenario found."""
    if as_json:
        print_json(result.document())
        return
    headings, lines = result.table()
    settings = ", ".join(f"{name} {_text(value)}" for name, value in result.settings.items())
    table = Table(title=f"{result.scenario}: {settings}", title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def _text(value: object) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
