"""`onceward held`: messages that Kafka refused, and what waits behind them."""

from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.deciding import actor_option, deciding, do, reason_option
from onceward_relay.cli.options import (
    Once,
    connected,
    database_option,
    json_option,
    limit_option,
    print_json,
    print_table,
)
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import ago

COUNTED = 100_000
"""Messages of one hold that are counted at most."""


@click.group()
def held() -> None:
    """Look at messages that were set aside, and let them go or leave them out."""


@held.command("list")
@database_option
@click.option("--topic", cls=Once, help="Of this topic only.")
@limit_option
@json_option
def list_(database: str, topic: str | None, limit: int, *, as_json: bool) -> None:
    """List what is held, oldest first: keys, topics, and single messages without a key."""
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay", "held"), {"topic": topic, "limit": limit}).fetchall()
    if as_json:
        print_json(rows)
        return
    headings = ("hold", "what", "since", "state", "waiting", "reason")
    cells = [
        (
            row["hold_id"] or row["first"],
            _what(row),
            ago(row["since"], row["now"]),
            _state(row),
            _count(row),
            row["reason"],
        )
        for row in rows
    ]
    print_table(headings, cells, "nothing is held")


@held.command()
@click.argument("hold", type=click.UUID)
@database_option
@limit_option
@json_option
def show(hold: UUID, database: str, limit: int, *, as_json: bool) -> None:
    """Show the messages that wait in HOLD, in their order, without their payloads."""
    with connected(database) as connection:
        query = statement("onceward_relay", "held_messages")
        rows = connection.execute(query, {"hold": hold, "limit": limit}).fetchall()
    if not rows:
        raise click.ClickException(f"there is no hold {hold}")
    if as_json:
        print_json(rows)
        return
    headings = ("message", "state", "key", "type", "bytes", "held", "error")
    cells = [
        (
            row["message_id"],
            row["state"],
            _text(row["key"]),
            row["type"],
            "tombstone" if row["bytes"] is None else row["bytes"],
            ago(row["held_at"], row["now"]),
            row["error"] or "",
        )
        for row in rows
    ]
    print_table(headings, cells, "")


@held.command()
@click.argument("which", type=click.UUID, metavar="HOLD|MESSAGE")
@database_option
@reason_option
@actor_option
def retry(which: UUID, database: str, reason: str, actor: str) -> None:
    """Send what waits in a hold, in order; or a message without a key, by its id.

    The relay does it within a second or two. What Kafka refuses again is held again.
    """
    attempt = Attempt(actor, "retry", "held", str(which), reason)
    with deciding(database) as desk, desk.attempting(attempt) as functions:
        query = "SELECT FROM onceward.hold WHERE hold_id = %s"
        if functions.connection.execute(query, (which,)).fetchone() is not None:
            functions.call("release_hold", hold=which, actor=actor, reason=reason)
        else:
            functions.call("retry_message", message=which, actor=actor, reason=reason)
    click.echo("the relay sends it now; `onceward held list` shows what is refused again")


@held.command()
@click.argument("message", type=click.UUID)
@database_option
@reason_option
@actor_option
def skip(message: UUID, database: str, reason: str, actor: str) -> None:
    """Leave MESSAGE out: it will never be sent. Its copy stays in onceward.held_message."""
    attempt = Attempt(actor, "skip", "message", str(message), reason)
    hold = do(database, attempt, "skip_message", message=message, actor=actor, reason=reason)["skip_message"]
    click.echo("skipped" + (f"; what waits behind it goes on with: onceward held retry {hold}" if hold else ""))


def _what(row: DictRow) -> str:
    if row["scope"] == "key":
        return f"key {_text(row['key'])} of {row['topic']}"
    return f"topic {row['topic']}" if row["scope"] == "topic" else f"a message to {row['topic']}"


def _state(row: DictRow) -> str:
    return "held until Kafka takes the topic" if row["heals"] and row["state"] == "held" else str(row["state"])


def _count(row: DictRow) -> str:
    return f"{COUNTED:,}+" if row["messages"] > COUNTED else f"{row['messages']:,}"


def _text(key: bytes | None) -> str:
    return "" if key is None else bytes(key).decode("utf-8", "backslashreplace")[:80]
