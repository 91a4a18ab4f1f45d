"""Deciding about all of a group of incidents: what it is about is frozen in a file, then done item by item."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import click
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from onceward.sqlfiles import statement
from onceward_relay.cli.deciding import Desk
from onceward_relay.cli.options import Once, connected, print_json, print_table
from onceward_relay.people.words import money

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

MOST = 10_000
"""Items that one file holds at most."""


class Item(BaseModel):
    """One call or flow that is decided about."""

    model_config = ConfigDict(extra="forbid")

    subject: UUID
    version: int
    """At which it was seen."""
    decision: UUID
    """Identity of the decision: a file that is used twice decides once."""
    about: str = ""
    amount: Decimal | None = Field(default=None, ge=0)
    """Typed by hand where one person decides alone."""


class Frozen(BaseModel):
    """What a dry run found."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    verb: str
    group: str
    batch: UUID
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Bulk:
    """How a command was told to work on many."""

    all_of: str | None
    dry_run: Path | None
    from_: Path | None

    def __post_init__(self) -> None:
        if (self.all_of is None) != (self.dry_run is None):
            raise click.UsageError("--all-of and --dry-run go together: look at the file, then give it with --from")
        if self.all_of is not None and self.from_ is not None:
            raise click.UsageError("give either --all-of and --dry-run, or --from")


def bulk_options(command: F) -> F:
    """Let a command work on all of a group of incidents."""
    path = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--from", "from_", cls=Once, type=path, help="Do it for all in this file of a dry run."),
        click.option(
            "--dry-run", cls=Once, type=path, help="Change nothing; write what it would be about into this file."
        ),
        click.option("--all-of", cls=Once, metavar="GROUP", help="All that open incidents of this group are about."),
    ):
        command = option(command)
    return command


def freeze(database: str, kind: str, verb: str, bulk: Bulk, *, as_json: bool) -> None:
    """Write into a file what the open incidents of a group are about and the verb is possible for, as it is now."""
    assert bulk.all_of is not None
    assert bulk.dry_run is not None
    with connected(database) as connection:
        query = statement("onceward_relay.people", f"{kind}s_of_group")
        rows = connection.execute(query, {"group": bulk.all_of, "verb": verb, "limit": MOST + 1}).fetchall()
    if not rows:
        raise click.ClickException(f"no open incident of the group {bulk.all_of!r} is about a {kind}")
    if len(rows) > MOST:
        raise click.ClickException(f"the group has more than {MOST:,}; narrow it down")
    items = [
        Item(subject=row["id"], version=row["version"], decision=uuid4(), about=_about(row))
        for row in rows
        if row["allowed"]
    ]
    frozen = Frozen(kind=kind, verb=verb, group=bulk.all_of, batch=uuid4(), items=items)
    try:
        with bulk.dry_run.open("x", encoding="utf-8") as file:
            file.write(frozen.model_dump_json(indent=1))
    except OSError as error:
        raise click.ClickException(f"{bulk.dry_run}: {error.strerror}") from error
    if as_json:
        print_json([{**row, "group": bulk.all_of} for row in rows])
        return
    cells = [(row["id"], _about(row), "yes" if row["allowed"] else f"no: {row['why']}") for row in rows]
    print_table((kind, "about", verb.replace("_", "-")), cells, "")
    click.echo(
        f"Nothing was changed. For these {len(items)}: the same command with --from {bulk.dry_run} and a reason."
    )


def thaw(kind: str, verb: str, path: Path) -> Frozen:
    """Read the file of a dry run.

    Raises:
        click.ClickException: there is none, or it is of another verb.

    """
    try:
        frozen = Frozen.model_validate_json(path.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise click.ClickException(f"{path}: is no file of a dry run: {error.errors()[0]['msg']}") from error
    if (frozen.kind, frozen.verb) != (kind, verb):
        raise click.ClickException(
            f"{path}: is a dry run of {frozen.verb} for {frozen.kind}s, not of {verb} for {kind}s"
        )
    return frozen


@dataclass
class Outcomes:
    """What became of each item; one that is refused keeps none of the others back."""

    results: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def add(self, about: dict[str, Any], act: Callable[[Desk, T], str], desk: Desk, what: T) -> None:
        """Do it for one item."""
        try:
            outcome = act(desk, what)
        except click.ClickException as error:
            outcome, self.refused = f"refused: {error.message}", self.refused + 1
        self.results.append({**about, "outcome": outcome})

    def end(self, *, as_json: bool) -> None:
        """Print the outcomes and end with 1 if anything was refused."""
        if as_json:
            print_json({"refused": self.refused, "results": self.results})
        else:
            print_table(
                tuple(self.results[0]) if self.results else (),
                [tuple(each.values()) for each in self.results],
                "nothing to do",
            )
            click.echo(f"{len(self.results) - self.refused} done, {self.refused} refused")
        raise SystemExit(1 if self.refused else 0)


def _about(row: DictRow) -> str:
    return " ".join(part for part in (row["name"], row["ref"] or "", money(row["amount"], row["currency"])) if part)
