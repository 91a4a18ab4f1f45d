"""Commands by which people decide about a call or a flow, or about all of a group: one for each verb."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from onceward_relay.cli.asked import Asked, decision_options, given, in_words, needed
from onceward_relay.cli.bulk import Bulk, Item, Outcomes, bulk_options, freeze, thaw
from onceward_relay.cli.deciding import Desk, actor_option, deciding, do
from onceward_relay.cli.options import Once, database_option, json_option, print_json
from onceward_relay.people.deciding import Attempt


def decided(
    kind: str, verb: str, text: str, *options: Callable[[Any], Any], more: Callable[..., dict[str, Any]] = dict
) -> click.Command:
    """Return the command of a verb that is a decision: others may have to agree, and a worker carries it out.

    Args:
        kind: call or flow.
        verb: as the schema names it.
        text: what it does.
        options: that only this verb has; for one call or flow, not for many.
        more: returns from their values what they add to the proposal.

    """

    @click.command(named(verb), help=text)
    @click.argument("subject", type=click.UUID, required=False, metavar=f"[{kind.upper()}]")
    @decision_options
    @bulk_options
    def command(
        asked: Asked, subject: UUID | None, all_of: str | None, dry_run: Path | None, from_: Path | None, **own: Any
    ) -> None:
        bulk = Bulk(all_of, dry_run, from_)
        if (bulk.all_of or bulk.from_) and any(value is not None for value in own.values()):
            raise click.UsageError("what is given for one call is not for many")
        if bulk.all_of is not None:
            freeze(asked.database, kind, verb, bulk, as_json=asked.as_json)
        elif bulk.from_ is not None:
            _decide_all(asked, kind, verb, bulk.from_)
        else:
            item = asked.item(kind, subject)
            attempt = asked.tries(verb, kind, item.subject)
            asked.show(do(asked.database, attempt, "propose", **asked.proposal(verb, item, **more(**own))))

    for option in options:
        command = option(command)
    return command


def _decide_all(asked: Asked, kind: str, verb: str, path: Path) -> None:
    frozen = thaw(kind, verb, path)

    def propose(desk: Desk, item: Item) -> str:
        proposal = asked.proposal(verb, item, batch=frozen.batch)
        return in_words(desk.do(asked.tries(verb, kind, item.subject), "propose", **proposal))

    outcomes = Outcomes()
    with deciding(asked.database) as desk:
        for item in frozen.items:
            outcomes.add({kind: item.subject, "about": item.about}, propose, desk, item)
    if not asked.as_json:
        click.echo(f"onceward approvals approve --batch {frozen.batch} --reason ...  agrees to what is proposed of it")
    outcomes.end(as_json=asked.as_json)


def direct(kind: str, verb: str, text: str, function: str, **fixed: str) -> click.Command:
    """Return the command of a verb that takes effect at once."""

    @click.command(named(verb), help=text)
    @click.argument("subject", type=click.UUID, required=False, metavar=f"[{kind.upper()}]")
    @database_option
    @click.option("--reason", cls=Once, help="Why; it goes into the audit.")
    @actor_option
    @bulk_options
    @json_option
    def command(
        database: str, subject: UUID | None, reason: str | None, actor: str,
        all_of: str | None, dry_run: Path | None, from_: Path | None, *, as_json: bool,
    ) -> None:  # fmt: skip
        def act(desk: Desk, subject: UUID) -> str:
            why = needed(reason)
            who = Attempt(actor, verb, kind, str(subject), why)
            desk.do(who, function, **{kind: subject}, **fixed, actor=actor, reason=why)
            return "done"

        bulk = Bulk(all_of, dry_run, from_)
        if bulk.all_of is not None:
            freeze(database, kind, verb, bulk, as_json=as_json)
        elif bulk.from_ is not None:
            outcomes = Outcomes()
            frozen = thaw(kind, verb, bulk.from_)
            with deciding(database) as desk:
                for item in frozen.items:
                    outcomes.add({kind: item.subject, "about": item.about}, act, desk, item.subject)
            outcomes.end(as_json=as_json)
        else:
            one = given(subject, kind)
            with deciding(database) as desk:
                outcome = act(desk, one)
            if as_json:
                print_json({kind: one, "verb": verb, "outcome": outcome})
            else:
                click.echo(f"{named(verb)}: recorded; onceward {kind}s show {one}")

    return command


def noted(kind: str) -> click.Command:
    """Return the command that writes a note."""

    @click.command("note", help=f"Write TEXT about {kind.upper()} into the audit.")
    @click.argument("subject", type=click.UUID, metavar=kind.upper())
    @click.argument("text")
    @database_option
    @actor_option
    def command(subject: UUID, text: str, database: str, actor: str) -> None:
        attempt = Attempt(actor, "note", kind, str(subject), text)
        with deciding(database) as desk:
            row = desk.do(attempt, "note", subject_kind=kind, subject=str(subject), note=text, actor=actor)
        click.echo(f"audit entry {row['note']}")

    return command


def named(verb: str) -> str:
    """Return the name of a verb's command."""
    return verb.replace("_", "-")
