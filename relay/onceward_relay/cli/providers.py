"""`onceward providers`: outside APIs, and the switch that stops one."""

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.deciding import actor_option, do, reason_option
from onceward_relay.cli.options import connected, database_option, json_option, print_json, print_table
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import ago, inert


@click.group()
def providers() -> None:
    """Look at outside APIs; stop one, let calls go to it again."""


@providers.command("list")
@database_option
@json_option
def list_(database: str, *, as_json: bool) -> None:
    """List the providers that workers have declared."""
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay.people", "providers")).fetchall()
    if as_json:
        print_json(rows)
        return
    headings = ("provider", "operations", "open calls", "in doubt", "at a time", "per second", "workers", "state")
    print_table(headings, [_cells(row) for row in rows], "no worker has declared any")


@providers.command()
@click.argument("provider")
@database_option
@reason_option
@actor_option
def stop(provider: str, database: str, reason: str, actor: str) -> None:
    """Have nothing more sent to PROVIDER: new calls are recorded and wait. What is on its way is not called back."""
    attempt = Attempt(actor, "stop", "provider", provider, reason)
    do(database, attempt, "stop_provider", provider=provider, actor=actor, reason=reason)
    click.echo(inert(f"{provider} is stopped; onceward providers start {provider}"))


@providers.command()
@click.argument("provider")
@database_option
@reason_option
@actor_option
def start(provider: str, database: str, reason: str, actor: str) -> None:
    """Let calls go to PROVIDER again, at once those that wait."""
    attempt = Attempt(actor, "start", "provider", provider, reason)
    woken = do(database, attempt, "start_provider", provider=provider, actor=actor, reason=reason)["start_provider"]
    click.echo(inert(f"{provider} is started; {woken:,} calls that waited go now"))


def _cells(row: DictRow) -> tuple[object, ...]:
    state = "open"
    if row["stopped_at"]:
        state = f"stopped by {row['stopped_by']} {ago(row['stopped_at'], row['now'])} ago: {row['stop_reason']}"
    elif row["resting_at"]:
        state = f"rests at {', '.join(row['resting_at'])}: it failed several times in a row"
    limits = row["in_flight"] or "", row["per_second"] or ""
    return row["name"], ", ".join(row["operations"] or ()), row["open"], row["in_doubt"], *limits, row["workers"], state
