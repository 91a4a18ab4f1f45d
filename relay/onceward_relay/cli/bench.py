"""`onceward bench`: what the relay costs, beside the raw client, on your own servers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click
import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from onceward_relay.cli.options import Once, checked_url, json_option, print_json

if TYPE_CHECKING:
    from onceward_relay.bench.result import Result, Tell
    from onceward_relay.bench.stage import Servers

P = TypeVar("P")


@click.group()
def bench() -> None:
    """Measure the relay beside raw Kafka.

    Every scenario writes to the database: the schema onceward if it is missing, messages into the outbox, which it
    empties again, and the relay's checkpoints. And to Kafka: topics whose names begin with onceward-bench-, which it
    removes again. Machines are noisy: look at the ratios, whose two sides take turns, rather than at the rates.
    """


def on_servers(_: click.Context, __: click.Parameter, kafka: str | None) -> str | None:
    """Refuse what cannot be bootstrap servers."""
    if kafka is not None and not kafka.strip():
        raise click.BadParameter("must be one or more host:port, separated by commas")
    return kafka


database_option = click.option(
    "--database",
    cls=Once,
    envvar="ONCEWARD_DATABASE",
    show_envvar=True,
    required=True,
    callback=checked_url,
    metavar="URL",
    help="An empty database, as its owner, or one of earlier benchmarks.",
)
kafka_option = click.option(
    "--kafka", cls=Once, required=True, callback=on_servers, metavar="ADDRESS", help="Bootstrap servers."
)
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
@click.option(
    "--delivery", type=click.Choice(["at_least_once", "exactly_once"]), default="at_least_once", show_default=True,
    help="exactly_once: let a relay in that mode drain the same, beside the one that sends at least once.",
)  # fmt: skip
@json_option
def drain(
    *,
    database: str,
    kafka: str,
    messages: int,
    sizes: tuple[int, ...],
    runs: int,
    warm_up: bool,
    delivery: str,
    as_json: bool,
) -> None:
    """Drain a loaded outbox, beside raw confluent-kafka produce of the same messages.

    Raw produce runs with the relay's key and headers and once more without headers. Beside the relay's reading stands
    PostgreSQL's own COPY of the same rows: to /dev/null on the server where the role may write files there, else to
    this client, which drops it.
    """
    from onceward_relay.bench.drain import Plan, measure

    plan = Plan(_servers(database, kafka), messages, sizes, runs, warm_up, exactly_once=delivery == "exactly_once")
    run(measure, plan, as_json=as_json)


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

    run(measure, Plan(_servers(database, kafka), rates, seconds, size), as_json=as_json)


@bench.command()
@database_option
@kafka_option
@rate_option
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="Length of each phase.")
@click.option(
    "--held",
    "hold",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="For how long, where that differs from --seconds.",
)
@size_option
@json_option
def held(*, database: str, kafka: str, rate: int, seconds: float, hold: float | None, size: int, as_json: bool) -> None:
    """Hold a snapshot open while messages keep coming: throughput and ages before, meanwhile and after.

    Dead rows are those that vacuum cannot take away meanwhile, as PostgreSQL's statistics know them.
    """
    from onceward_relay.bench.held import Plan, measure

    run(measure, Plan(_servers(database, kafka), rate, seconds, hold or seconds, size), as_json=as_json)


@bench.command(name="long-writer")
@database_option
@kafka_option
@rate_option
@click.option("--seconds", type=click.FloatRange(1), default=20.0, show_default=True, help="Length of each case.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Runs, whose medians are given.")
@size_option
@json_option
def long_writer(*, database: str, kafka: str, rate: int, seconds: float, runs: int, size: int, as_json: bool) -> None:
    """Write for long in another transaction while messages keep coming, and measure what that delays.

    The long transaction writes a plain table, then messages as well, then it is prepared and left (where the server's
    max_prepared_transactions lets it).
    """
    from onceward_relay.bench.long_writer import Plan, measure

    run(measure, Plan(_servers(database, kafka), rate, seconds, runs, size), as_json=as_json)


@bench.command()
@database_option
@kafka_option
@click.option(
    "--sources",
    type=click.IntRange(1, 1000),
    multiple=True,
    default=(1, 200),
    show_default=True,
    help="Sources of the relay, each a database of its own; again for more numbers.",
)
@click.option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True, help="How long each is watched.")
@json_option
def idle(*, database: str, kafka: str, sources: tuple[int, ...], seconds: float, as_json: bool) -> None:
    """Watch a relay that has nothing to do: its CPU, that of its database sessions, and the WAL that is written.

    Makes a database for each source beside the one that is named (names begin with onceward_bench_), which needs the
    right to, and drops them again. WAL is the whole server's: nobody else should write.
    """
    from onceward_relay.bench.idle import Plan, measure

    run(measure, Plan(_servers(database, kafka), sources, seconds), as_json=as_json)


@bench.command()
@database_option
@kafka_option
@click.option("--messages", type=click.IntRange(1000), default=1_000_000, show_default=True, help="Messages that wait.")
@size_option
@json_option
def memory(*, database: str, kafka: str, messages: int, size: int, as_json: bool) -> None:
    """Watch the relay's memory while it drains a large backlog."""
    from onceward_relay.bench.memory import Plan, measure

    run(measure, Plan(_servers(database, kafka), messages, size), as_json=as_json)


@bench.command()
@database_option
@kafka_option
@click.option(
    "--clients",
    type=click.IntRange(1, 500),
    multiple=True,
    default=(1, 8, 32),
    show_default=True,
    help="Clients at a time; again for more numbers.",
)
@click.option("--seconds", type=click.FloatRange(0.5), default=10.0, show_default=True, help="Length of each run.")
@runs_option
@size_option
@json_option
def participant(
    *, database: str, kafka: str, clients: tuple[int, ...], seconds: float, runs: int, size: int, as_json: bool
) -> None:
    """Measure a participant's transactions with the outbox and a running relay, beside a bare insert of the same row.

    Writes a schema onceward_bench besides, which it drops again.
    """
    from onceward_relay.bench.participant import Plan, measure

    plan = Plan(_servers(database, kafka), clients, seconds, runs, size)
    run(measure, plan, as_json=as_json)


@bench.command()
@database_option
@click.option(
    "--kafka", cls=Once, callback=on_servers, metavar="ADDRESS", help="Bootstrap servers, to consume from Kafka too."
)
@click.option("--messages", type=click.IntRange(100), default=100_000, show_default=True, help="Messages of one run.")
@click.option(
    "--duplicates",
    type=click.IntRange(0, 100),
    multiple=True,
    default=(0, 1, 100),
    show_default=True,
    help="Percent of the messages that were taken before; again for more shares.",
)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True, help="Partitions at a time.")
@runs_option
@size_option
@json_option
def inbox(
    *,
    database: str,
    kafka: str | None,
    messages: int,
    duplicates: tuple[int, ...],
    threads: int,
    runs: int,
    size: int,
    as_json: bool,
) -> None:
    """Take messages through the inbox: deduplicated only, and with a handler of one INSERT.

    Writes a schema onceward_bench besides, which it drops again.
    """
    from onceward_relay.bench.inbox import Plan, measure

    run(measure, Plan(database, kafka, messages, duplicates, threads, runs, size), as_json=as_json)


@bench.command()
@database_option
@click.option("--calls", type=click.IntRange(10), default=3000, show_default=True, help="Calls of one run, and flows.")
@click.option(
    "--threads",
    type=click.IntRange(1, 200),
    multiple=True,
    default=(1, 8, 32),
    show_default=True,
    help="Threads of the worker; again for more numbers.",
)
@runs_option
@json_option
def calls(*, database: str, calls: int, threads: tuple[int, ...], runs: int, as_json: bool) -> None:
    """Make external calls through the ledger, and run flows of one call each, beside the same rows by psycopg.

    The provider answers at once, so that only the ledger is measured. Needs no Kafka; writes calls and flows, which it
    removes again.
    """
    from onceward_relay.bench.calls import Plan, measure

    run(measure, Plan(database, calls, threads, runs), as_json=as_json)


@bench.command(name="full-ledger")
@database_option
@click.option(
    "--calls", type=click.IntRange(1000), default=1_000_000, show_default=True, help="Calls, half of them in flows."
)
@click.option(
    "--incidents",
    type=click.IntRange(100),
    default=100_000,
    show_default=True,
    help="Open incidents, each about a call that is not settled.",
)
@click.option("--runs", type=click.IntRange(1), default=21, show_default=True, help="How often each question is asked.")
@json_option
def full_ledger(*, database: str, calls: int, incidents: int, runs: int, as_json: bool) -> None:
    """Ask what workers, people and the relay ask of a ledger that holds very much.

    Needs no Kafka; writes calls, flows and incidents, which it removes again.
    """
    from onceward_relay.bench.full_ledger import Plan, measure

    if incidents * 2 > calls:
        raise click.BadParameter("must be at most half as many as --calls", param_hint="--incidents")
    run(measure, Plan(database, calls, incidents, runs), as_json=as_json)


def _servers(database: str, kafka: str) -> "Servers":
    from onceward_relay.bench.stage import Servers

    return Servers(database, kafka)


def run(measure: "Callable[[P, Tell], Result]", plan: P, *, as_json: bool) -> None:
    """Measure `plan` and print what was found. A server that fails on the way is a message of one line."""
    try:
        result = measure(plan, told)
    except (psycopg.Error, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise click.ClickException(f"the database failed: {' '.join(str(reason).split())}") from error
    report(result, as_json=as_json)


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
