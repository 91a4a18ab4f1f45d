"""`onceward calls statement`: settle calls by a provider's statement. First a dry run, then the file that it wrote."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, ValidationError

from onceward.sqlfiles import statement as sql
from onceward_relay.cli.asked import in_words, needed
from onceward_relay.cli.bulk import Outcomes
from onceward_relay.cli.deciding import Desk, actor_option, deciding
from onceward_relay.cli.options import Once, connected, database_option, json_option, print_json, print_table
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.statements.batch import Found, Item, found_of, steps
from onceward_relay.people.statements.columns import NAMES, Columns, Role, guess, wrong_with
from onceward_relay.people.statements.matching import FINDINGS, asked_for, hindered, matched
from onceward_relay.people.statements.movements import Unequal, movements
from onceward_relay.people.statements.results import parts
from onceward_relay.people.statements.sheet import ENCODINGS, MOST_BYTES, Sheet, Unreadable, read

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
PATH = click.Path(dir_okay=False, path_type=Path)


class Frozen(BaseModel):
    """What a dry run found and what would follow."""

    model_config = ConfigDict(extra="forbid")

    statement: str
    provider: str
    batch: UUID
    items: list[Item]


@click.command("statement")
@click.argument("file", type=PATH, required=False)
@database_option
@click.option("--provider", cls=Once, help="Whose statement it is.")
@click.option("--operation", cls=Once, help="Only calls of this operation.")
@click.option(
    "--column",
    "named",
    multiple=True,
    metavar="WHAT=NAME",
    help=f"WHAT is one of {', '.join(NAMES)}; NAME its heading.",
)
@click.option("--result", "fields", multiple=True, metavar="FIELD=NAME", help="The column of a field of the result.")
@click.option("--says", multiple=True, metavar="WORD=applied|not_applied|unclear", help="What a word of status means.")
@click.option("--currency", cls=Once, help="Of all rows, where no column names it.")
@click.option(
    "--decimals", cls=Once, type=click.Choice(("point", "comma")), help="Mark before decimals. Default: guessed."
)
@click.option("--dates", cls=Once, type=click.Choice(("day-first", "month-first")), help="Of 03/05/2026.")
@click.option(
    "--direction", cls=Once, type=click.Choice(("any", "negative", "positive")), help="The sign of the calls' amounts."
)
@click.option("--encoding", cls=Once, type=click.Choice(ENCODINGS), default="utf-8", show_default=True)
@click.option("--delimiter", cls=Once, type=click.Choice(tuple(DELIMITERS)), help="Default: as the heading shows.")
@click.option(
    "--heading", cls=Once, type=click.IntRange(1, 1000), default=1, show_default=True, help="Line of the headings."
)
@click.option("--dry-run", cls=Once, type=PATH, help="Change nothing; write what would be proposed into this file.")
@click.option("--from", "from_", cls=Once, type=PATH, help="Propose what this file of a dry run holds.")
@click.option("--reason", cls=Once, help="Why; it goes into the audit.")
@actor_option
@json_option
def statement(
    file: Path | None, database: str, provider: str | None, dry_run: Path | None, from_: Path | None,
    reason: str | None, actor: str, *, as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Settle calls by FILE, a provider's statement as CSV.

    Each row is matched by the provider's reference, then by the key, then by your reference with amount and currency.
    What is not in it proves nothing. First --provider and --dry-run, then --from and --reason; another person agrees.
    """
    if from_ is not None:
        if file is not None or dry_run is not None:
            raise click.UsageError("give either FILE with --dry-run, or --from")
        _propose(database, from_, needed(reason), actor, as_json=as_json)
        return
    if file is None or dry_run is None or provider is None:
        raise click.UsageError("give FILE with --provider and --dry-run, look at what it prints, then give --from")
    _freeze(database, file, provider, dry_run, how, as_json=as_json)


def _freeze(database: str, file: Path, provider: str, dry_run: Path, how: dict[str, Any], *, as_json: bool) -> None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        sheet = read(
            content, encoding=how["encoding"], delimiter=DELIMITERS.get(how["delimiter"] or ""), heading=how["heading"]
        )
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except Unreadable as error:
        raise click.ClickException(f"{file}: {error}") from error
    with connected(database) as connection:
        asked = {"provider": provider, "operation": how["operation"]}
        declared = connection.execute(sql("onceward_relay.people", "statement_operations"), asked).fetchall()
        if not declared:
            raise click.ClickException(f"no worker has declared such an operation of provider {provider}")
        schemas = {row["name"]: row["result_schema"] for row in declared}
        columns = _columns(sheet, schemas, how)
        try:
            rows = movements(sheet.rows, columns, len(sheet.header))
        except Unequal as error:
            raise click.ClickException(f"{file}: {error}, with --direction") from error
        query = sql("onceward_relay.people", "statement_matches")
        matches = matched(rows, connection.execute(query, asked_for(rows, provider, how["operation"])).fetchall())
        about = [(match.call["id"], match.verb) for match in matches if match.verb and match.call]
        both = {"calls": [call for call, _ in about], "verbs": [verb for _, verb in about]}
        obstacles = connection.execute(sql("onceward_relay.people", "statement_obstacles"), both).fetchall()
    found = [found_of(match, sheet.header, columns, schemas) for match in hindered(matches, obstacles)]
    items = [each.item for each in found if each.item is not None]
    frozen = Frozen(statement=file.name, provider=provider, batch=uuid4(), items=items)
    try:
        with dry_run.open("x", encoding="utf-8") as written:
            written.write(frozen.model_dump_json(indent=1))
    except OSError as error:
        raise click.ClickException(f"{dry_run}: {error.strerror}") from error
    _show(found, sheet, columns, len(items), dry_run, as_json=as_json)


def _show(found: list[Found], sheet: Sheet, columns: Columns, items: int, path: Path, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"line": each.line, "finding": each.finding, "why": each.why, "call": each.call_id, "about": each.about,
             "verb": each.item.verb if each.item else None, "result": each.item.result if each.item else None}
            for each in found
        ]  # fmt: skip
        print_json({"columns": _named(columns, sheet.header), "rows": rows})
        return
    for what, name in _named(columns, sheet.header).items():
        click.echo(f"{what}: {name}")
    print_table(
        ("line", "found", "call", "about", "why"),
        [(each.line, each.finding, each.call_id or "", each.about or "", each.why) for each in found],
        "no row",
    )
    counted = Counter(each.finding for each in found)
    for finding, words in FINDINGS.items():
        if counted[finding]:
            click.echo(f"{counted[finding]:,} {words}")
    click.echo(f"Nothing was changed. To propose what follows from {items:,} rows: --from {path} and a reason.")


def _named(columns: Columns, header: Sequence[str]) -> dict[str, str]:
    """Return what is taken for what, so that a wrong guess shows."""
    given: dict[str, int | None] = {what: getattr(columns, what) for what in NAMES}
    given |= {f"result.{field}": at for field, at in columns.result.items()}
    return {what: header[at] for what, at in given.items() if at is not None}


def _columns(sheet: Sheet, schemas: dict[str, Any], how: dict[str, Any]) -> Columns:
    named: dict[Role, int] = {}
    for what, name in map(_pair, how["named"]):
        role = next((role for role in NAMES if role == what), None)
        if role is None:
            raise click.UsageError(f"--column: {what!r} is none of {', '.join(NAMES)}")
        named[role] = _at(sheet, name, "column")
    guessed = guess(sheet, {path for schema in schemas.values() for path in parts(schema)}, named)
    said: dict[str, Any] = {"says": guessed.says | {word.casefold(): meant for word, meant in map(_pair, how["says"])}}
    said["result"] = guessed.result | {field: _at(sheet, name, "result") for field, name in map(_pair, how["fields"])}
    if how["currency"]:
        said["every_currency"] = how["currency"]
    if how["decimals"]:
        said["point"] = "." if how["decimals"] == "point" else ","
    if how["dates"]:
        said["day_first"] = how["dates"] == "day-first"
    if how["direction"]:
        said["direction"] = how["direction"]
    try:
        columns = Columns.model_validate({**guessed.model_dump(), **said})
    except ValidationError as error:
        first = error.errors()[0]
        raise click.UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if wrong := wrong_with(columns, sheet.header):
        raise click.UsageError(f"{wrong[0]}: --column reference=...")
    return columns


def _pair(text: str) -> tuple[str, str]:
    left, mark, right = text.rpartition("=")
    if not mark or not left:
        raise click.UsageError(f"{text!r} is not of the form WHAT=NAME")
    return left, right


def _at(sheet: Sheet, name: str, option: str) -> int:
    if name not in sheet.header:
        raise click.UsageError(f"--{option}: there is no column {name!r}; there are {', '.join(sheet.header)}")
    return sheet.header.index(name)


def _propose(database: str, path: Path, reason: str, actor: str, *, as_json: bool) -> None:
    try:
        frozen = Frozen.model_validate_json(path.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise click.ClickException(f"{path}: is no file of a dry run: {error.errors()[0]['msg']}") from error

    def act(desk: Desk, item: Item) -> str:
        attempt = Attempt(actor, item.verb or "evidence", "call", str(item.call), reason)
        with desk.attempting(attempt) as functions:
            rows: list[DictRow] = [
                functions.call(name, **arguments)
                for name, arguments in steps(item, batch=frozen.batch, actor=actor, reason=reason)
            ]
        return in_words(rows[-1]) if item.verb else "evidence was added"

    outcomes = Outcomes()
    with deciding(database) as desk:
        for item in frozen.items:
            outcomes.add({"line": item.line, "call": item.call, "about": item.about}, act, desk, item)
    if not as_json:
        click.echo(f"onceward approvals approve --batch {frozen.batch} --reason ...  agrees to what is proposed of it")
    outcomes.end(as_json=as_json)
