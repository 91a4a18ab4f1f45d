"""`onceward recover`: what may be lost after a failover or a restore, and a person's word to go on."""

import click
from psycopg.rows import DictRow

from onceward.database import address
from onceward.sqlfiles import statement
from onceward_relay.cli.deciding import actor_option, do
from onceward_relay.cli.options import Once, connected, database_option, json_option, print_json, print_table
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import ago, inert


@click.command()
@database_option
@click.option("--confirm", type=int, metavar="LIFE", help="Confirm this life: calls are made as always again.")
@click.option("--reason", cls=Once, help="Why; it goes into the audit.")
@actor_option
@json_option
def recover(database: str, confirm: int | None, reason: str | None, actor: str, *, as_json: bool) -> None:
    """Show whether the database may have lost calls, what it still knows and what is held; with --confirm, go on.

    After a failover, a recovery or a restored dump, calls may have been made that it does not know. Compare the
    providers' statements with the last attempts: what they have and the ledger has not was lost. The role needs
    onceward_console.
    """
    if confirm is not None:
        if reason is None:
            raise click.UsageError("--reason is needed: why, for the audit")
        attempt = Attempt(actor, "history.confirm", "history", str(confirm), reason)
        done = do(database, attempt, "confirm_history", seen=confirm, actor=actor, reason=reason)
        if as_json:
            print_json({"confirmed": confirm, "released": done["confirm_history"]})
        else:
            click.echo(f"Life {confirm} is confirmed; {done['confirm_history']:,} calls that were held go on.")
        return
    with connected(database) as connection:
        lives, held, last = (
            connection.execute(statement("onceward_relay.people", name)).fetchall()
            for name in ("lives", "held_calls", "last_attempts")
        )
    if as_json:
        print_json({"lives": lives, "held": held, "last_attempts": last})
        return
    click.echo(inert(f"{address(database)}: {_verdict(lives)}"))
    click.echo()
    print_table(
        ("life", "server", "timeline", "known until", "first seen", "confirmed"), [_life(row) for row in lives], ""
    )
    print_table(
        ("held", "calls", "value"),
        [(row["operation"], row["calls"], row["value"] or "") for row in held],
        "nothing is held",
    )
    click.echo("The last attempts that the database knows:")
    print_table(("began", "operation", "key", "reference", "call"), [_attempt(row) for row in last], "none")


def _verdict(lives: list[DictRow]) -> str:
    if not lives:
        return "no worker has looked yet"
    newest = lives[0]
    if newest["confirmed_at"] is not None and not newest["unseen"]:
        return "the database is the one that its workers know"
    if newest["unseen"]:
        return "the database has begun a new life that no worker has looked at yet"
    lost = f"calls made between {newest['known_until'].isoformat()} and {newest['first_seen'].isoformat()} may be lost"
    return f"{lost}; when you have compared: onceward recover --confirm {newest['no']} --reason ..."


def _life(row: DictRow) -> tuple[object, ...]:
    moments = (row[name].isoformat(timespec="seconds") for name in ("known_until", "first_seen"))
    return row["no"], row["system_id"], row["timeline"], *moments, row["confirmed_by"] or "no"


def _attempt(row: DictRow) -> tuple[object, ...]:
    began = f"{row['began_at'].isoformat(timespec='milliseconds')} ({ago(row['began_at'], row['now'])} ago)"
    return began, row["operation"], row["key"], row["provider_ref"] or "", row["call_id"]
