"""What a command that proposes a decision is asked: who decides what they saw, and why."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID, uuid4

import click
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.cli.bulk import Item
from onceward_relay.cli.deciding import actor_option
from onceward_relay.cli.documents import amount_of_money
from onceward_relay.cli.options import Once, connected, database_option, json_option, print_json
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.words import inert

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    database_option,
    click.option("--reason", cls=Once, help="Why; it goes into the audit."),
    actor_option,
    click.option("--id", "decision", cls=Once, type=click.UUID, help="Of the decision: given twice, it is one."),
    click.option("--seen", cls=Once, type=int, metavar="VERSION", help="What you saw. Default: what it is now."),
    click.option(
        "--amount",
        cls=Once,
        callback=amount_of_money,
        help="The amount, typed by hand; where one person decides alone.",
    ),
    click.option("--evidence", cls=Once, type=click.UUID, metavar="ID", help="Evidence that it rests on."),
    json_option,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that commands of decisions have in common."""

    database: str
    reason: str | None
    actor: str
    decision: UUID | None
    seen: int | None
    amount: Decimal | None
    evidence: UUID | None
    as_json: bool

    @property
    def why(self) -> str:
        """The reason. A dry run needs none."""
        return needed(self.reason)

    def tries(self, verb: str, kind: str, subject: UUID) -> Attempt:
        """Return what is recorded if it is denied."""
        return Attempt(self.actor, verb, kind, str(subject), self.why)

    def item(self, kind: str, subject: UUID | None) -> Item:
        """Return what is decided about, at the version that was seen, or else at that of now, which is printed."""
        subject = given(subject, kind)
        seen = self._look(kind, subject) if self.seen is None else self.seen
        return Item(subject=subject, version=seen, decision=self.decision or uuid4(), amount=self.amount)

    def proposal(self, verb: str, item: Item, **more: Any) -> dict[str, Any]:
        """Return the arguments of onceward.propose()."""
        seen = {"id": item.decision, "verb": verb, "subject": item.subject, "seen_version": item.version}
        return {
            **seen,
            "amount": item.amount,
            "evidence": self.evidence,
            "actor": self.actor,
            "reason": self.why,
            **more,
        }

    def show(self, row: DictRow) -> None:
        """Print what became of a decision."""
        show_decision(row, as_json=self.as_json)

    def _look(self, kind: str, subject: UUID) -> int:
        with connected(self.database) as connection:
            row = connection.execute(statement("onceward_relay.people", f"{kind}_version"), {"id": subject}).fetchone()
        if row is None:
            raise click.ClickException(f"there is no {kind} {subject}")
        if not self.as_json:
            click.echo(f"{kind} {subject} is at version {row['version']}, {row['state']}")
        return int(row["version"])


def decision_options(command: F) -> F:
    """Give a command the options of a decision, as one argument."""

    @wraps(command)
    def with_asked(**options: Any) -> Any:
        return command(Asked(**{field.name: options.pop(field.name) for field in fields(Asked)}), **options)

    for option in reversed(OPTIONS):
        with_asked = option(with_asked)
    return with_asked  # type: ignore[return-value]


def show_decision(row: DictRow, *, as_json: bool) -> None:
    """Print what became of a decision, without its contents."""
    if as_json:
        print_json({name: value for name, value in row.items() if name != "body"})
    else:
        click.echo(inert(f"decision {row['id']}: {in_words(row)}"))


def in_words(row: DictRow) -> str:
    """Return what has become of a decision, and what comes next."""
    match row["state"]:
        case "proposed":
            return f"proposed; another person has to agree: onceward approvals approve {row['id']} --reason ..."
        case "approved" if row["solo"]:
            return (
                f"approved by one person alone; carried out after {row['not_before'].isoformat(timespec='seconds')},"
                f" until then: onceward approvals withdraw {row['id']} --reason ..."
            )
        case "approved":
            return "approved; a worker carries it out now"
        case _:
            return f"{row['state']}{': ' + row['outcome'] if row['outcome'] else ''}"


def needed(reason: str | None) -> str:
    """Return the reason.

    Raises:
        click.UsageError: there is none.

    """
    if reason is None:
        raise click.UsageError("--reason is needed: why, for the audit")
    return reason


def given(subject: UUID | None, kind: str) -> UUID:
    """Return the call or flow that a command works on.

    Raises:
        click.UsageError: there is none.

    """
    if subject is None:
        raise click.UsageError(f"give a {kind}, or --all-of with --dry-run, or --from")
    return subject
