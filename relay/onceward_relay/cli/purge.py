"""`onceward purge`: personal data that are not needed any more."""

from collections import Counter
from datetime import datetime

import click

from onceward.database import address
from onceward_relay.cli.deciding import actor_option, do, reason_option
from onceward_relay.cli.options import database_option, json_option, print_json
from onceward_relay.cli.times import moment_past
from onceward_relay.people.deciding import Attempt


@click.command()
@database_option
@click.option(
    "--before", required=True, type=moment_past, metavar="TIME", help="2026-05-01T12:00:00Z, or 400d for 400 days ago."
)
@reason_option
@actor_option
@json_option
def purge(database: str, before: datetime, reason: str, actor: str, *, as_json: bool) -> None:
    """Remove the contents of flows that had ended and calls that were settled before a time; it cannot be taken back.

    Also of messages that came before it for flows that nobody has started.

    Requests, results, answers, evidence and messages go; states, amounts, times, references, fingerprints and hashes
    stay. What an incident or a decision is open about is left alone, and a call of a flow that has not ended.
    """
    attempt = Attempt(actor, "purge", "database", address(database), reason)
    total: Counter[str] = Counter()
    while True:  # by parts, so that no transaction is long
        done = do(database, attempt, "purge_personal_data", before=before, actor=actor, reason=reason)[
            "purge_personal_data"
        ]
        total.update(done)
        if not (done["flows"] or done["calls"] or done["messages"]):
            break
    if as_json:
        print_json({"before": before, **total})
    else:
        click.echo(f"{address(database)}: purged " + ", ".join(f"{number:,} {what}" for what, number in total.items()))
