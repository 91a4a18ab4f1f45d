"""`onceward rules`: how many people have to agree to what."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import click

from onceward.sqlfiles import statement
from onceward_relay.cli.deciding import actor_option, do, reason_option
from onceward_relay.cli.documents import amount_of_money
from onceward_relay.cli.options import Once, connected, database_option, json_option, print_json, print_table
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import inert, money

F = TypeVar("F", bound=Callable[..., Any])

WHICH = ("provider", "operation", "verb", "currency")


@click.group()
def rules() -> None:
    """Set how many people have to agree to what.

    Of all rules that fit the strictest counts. Where none fits, applied and accept-difference need nobody else, and all
    other decisions one person more. A batch always does.
    """


def which(command: F) -> F:
    """Say which decisions a rule is about."""
    for option in (
        click.option(
            "--above",
            cls=Once,
            default="0",
            callback=amount_of_money,
            help="For amounts above this, with --currency. Default: for all.",
        ),
        *(
            click.option(f"--{name}", cls=Once, default="*", show_default="any", help=f"For this {name} only.")
            for name in reversed(WHICH)
        ),
    ):
        command = option(command)
    return command


@rules.command("list")
@database_option
@json_option
def list_(database: str, *, as_json: bool) -> None:
    """List the rules, and whether one person decides alone."""
    with connected(database) as connection:
        rows = connection.execute(statement("onceward_relay.people", "rules")).fetchall()
        solo = connection.execute(statement("onceward_relay.people", "solo")).fetchone()
    alone = bool(solo and solo["value"] is True)
    if as_json:
        print_json({"solo": alone, "rules": rows})
        return
    cells = [
        (
            *(row[name] for name in WHICH),
            money(row["above"], row["currency"]) if row["above"] else "any",
            row["approvals"],
            row["set_by"],
        )
        for row in rows
    ]
    print_table((*WHICH, "above", "others who agree", "set by"), cells, "no rules: the defaults count")
    if solo and alone:
        since = solo["set_at"].isoformat(timespec="seconds")
        click.echo(inert(f"ONE PERSON DECIDES ALONE, ten minutes later, since {since} (set by {solo['set_by']})"))


@rules.command("set")
@which
@click.option("--approvals", type=click.IntRange(0, 1), required=True, help="How many other people have to agree.")
@database_option
@reason_option
@actor_option
def set_(
    provider: str, operation: str, verb: str, currency: str, above: Decimal, approvals: int,
    database: str, reason: str, actor: str,
) -> None:  # fmt: skip
    """Set a rule."""
    rule = _rule(provider, operation, verb, currency, above)
    do(database, _attempt(actor, "set", reason), "set_rule", **rule, approvals=approvals, actor=actor, reason=reason)
    click.echo("set; onceward rules list")


@rules.command()
@which
@database_option
@reason_option
@actor_option
def drop(
    provider: str, operation: str, verb: str, currency: str, above: Decimal, database: str, reason: str, actor: str
) -> None:
    """Remove a rule."""
    rule = _rule(provider, operation, verb, currency, above)
    do(database, _attempt(actor, "drop", reason), "drop_rule", **rule, actor=actor, reason=reason)
    click.echo("removed; onceward rules list")


@rules.command()
@click.argument("mode", type=click.Choice(["on", "off"]))
@database_option
@reason_option
@actor_option
def solo(mode: str, database: str, reason: str, actor: str) -> None:
    """Let one person decide alone, for teams of one: the amount typed, ten minutes' delay, a mark in the audit."""
    do(database, _attempt(actor, "solo", reason), "set_solo", solo=mode == "on", actor=actor, reason=reason)
    click.echo(
        "one person decides alone now" if mode == "on" else "another person has to agree again, as the rules say"
    )


def _rule(provider: str, operation: str, verb: str, currency: str, above: Decimal) -> dict[str, object]:
    named = {"provider": provider, "operation": operation, "verb": verb.replace("-", "_"), "currency": currency}
    return {**named, "above": above}


def _attempt(actor: str, action: str, reason: str) -> Attempt:
    return Attempt(actor, f"rule.{action}", "rule", action, reason)
