"""`onceward bench`: what the relay costs, beside the raw client, on your own servers."""

import json

import click
from rich.console import Console
from rich.table import Table


@click.group()
def bench() -> None:
    """Measure the relay beside raw Kafka."""


@bench.command()
@click.option(
    "--database",
    envvar="ONCEWARD_DATABASE",
    show_envvar=True,
    required=True,
    metavar="URL",
    help="An empty database, as its owner, or one of earlier benchmarks.",
)
@click.option("--kafka", required=True, metavar="ADDRESS", help="Bootstrap servers.")
@click.option("--messages", type=click.IntRange(1000), default=200_000, show_default=True, help="Messages of one run.")
@click.option("--size", type=click.IntRange(0, 1_000_000), default=300, show_default=True, help="Bytes of a payload.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Runs of each side.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def drain(database: str, kafka: str, messages: int, size: int, runs: int, as_json: bool) -> None:
    """Drain a loaded outbox, beside raw confluent-kafka produce of the same messages with the same key and headers.

    Writes to the database: the schema onceward if it is missing, the messages of one run at a time into the outbox,
    which it empties again, and the relay's checkpoints. Writes to Kafka: topics whose names begin with
    onceward-bench-, which it removes again.
    """
    from onceward_relay.bench.drain import Plan, measure, prepare

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
