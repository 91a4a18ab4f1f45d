"""`onceward bench`: what the relay costs, beside the raw client, on your own servers."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table


@click.group()
def bench() -> None:
    """Measure the relay beside raw Kafka."""


database_option = click.option(
    "--database",
    envvar="ONCEWARD_DATABASE",
    show_envvar=True,
    required=True,
    metavar="URL",
    help="An empty database, as its owner, or one of earlier benchmarks.",
)
kafka_option = click.option("--kafka", required=True, metavar="ADDRESS", help="Bootstrap servers.")
size_option = click.option(
    "--size", type=click.IntRange(0, 1_000_000), default=300, show_default=True, help="Bytes of a payload."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@bench.command()
@database_option
@kafka_option
@click.option("--messages", type=click.IntRange(1000), default=200_000, show_default=True, help="Messages of one run.")
@size_option
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Runs of each side.")
@json_option
def drain(database: str, kafka: str, messages: int, size: int, runs: int, as_json: bool) -> None:
    """Drain a loaded outbox, beside raw confluent-kafka produce of the same messages with the same key and headers.

    Writes to the database: the schema onceward if it is missing, the messages of one run at a time into the outbox,
    which it empties again, and the relay's checkpoints. Writes to Kafka: topics whose names begin with
    onceward-bench-, which it removes again.
    """
    from onceward_relay.bench.drain import Plan, measure
    from onceward_relay.bench.stage import prepare

    plan = Plan(database, kafka, messages, size, runs)
    prepare(database)
    report = measure(plan, lambda line: click.echo(line, err=True))
    summary = report.summary()
    if as_json:
        click.echo(json.dumps({"messages": messages, "size": size, "runs": runs, **summary}))
        return
    table = Table(title=f"drain of {messages:,} messages of {size} bytes, medians of {runs} runs")
    for column in ("", "messages/s", "CPU s per million", "database CPU s per million"):
        table.add_column(column, justify="right" if column else "left")
    for side in ("raw", "relay"):
        table.add_row(side, *("n/a" if value is None else f"{value:,}" for value in summary[side].values()))
    Console().print(table)
    click.echo(f"relay / raw: {report.ratio:.2f}")


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
    """Write at steady rates and measure how old each message is when a consumer has it.

    Writes to the database and to Kafka what `drain` writes, and removes it as well.
    """
    from onceward_relay.bench.stage import prepare
    from onceward_relay.bench.steady import Plan, measure

    prepare(database)
    samples = measure(Plan(database, kafka, rates, seconds, size), lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps([asdict(sample) for sample in samples]))
        return
    table = Table(title=f"age of a message of {size} bytes at its consumer, in milliseconds")
    for column in ("messages/s", "messages", "p50", "p99", "max", "relay CPU %", "commit p50", "commit p99"):
        table.add_column(column, justify="right")
    for sample in samples:
        table.add_row(*(f"{value:,}" for value in asdict(sample).values()))
    Console().print(table)
