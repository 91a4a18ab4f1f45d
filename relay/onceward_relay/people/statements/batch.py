"""What is done for the rows that say something new: evidence, and where it settles a call a decision. Each once."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from onceward_relay.people.statements.columns import Columns
from onceward_relay.people.statements.matching import Candidate, Finding, Match
from onceward_relay.people.statements.results import Schema, Unfit, result_of
from onceward_relay.people.words import money

LONGEST_REFERENCE = 1000
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, or strips before it looks; also in full width."""
Steps = list[tuple[str, dict[str, Any]]]
"""Functions of the schema with their arguments, for one transaction."""


class Item(BaseModel):
    """What one row leads to."""

    model_config = ConfigDict(extra="forbid")

    line: int
    call: UUID
    version: int
    """At which it was seen."""
    about: str = ""
    says: Literal["applied", "not_applied"]
    reference: str | None = None
    row: str
    """The heading and the row as CSV: the report that the evidence keeps."""
    verb: Literal["applied", "not_applied"] | None
    """None: evidence only."""
    result: dict[str, Any] | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a row, ready to be shown and to be kept."""

    line: int
    cells: Sequence[str]
    finding: Finding
    why: str
    call_id: UUID | None
    about: str | None
    item: Item | None
    """What follows; None: nothing."""


def found_of(match: Match, header: Sequence[str], columns: Columns, schemas: Mapping[str, Schema]) -> Found:
    """Return what was found of a row; nothing follows from one that holds no result of its operation."""
    finding, why, item = match.finding, match.why, None
    if finding in ("matched", "contradicts"):
        try:
            item = _item(match, header, columns, schemas)
        except Unfit as error:
            finding, why = "unfit", str(error)
    call_id = None if match.call is None else match.call["id"]
    about = None if match.call is None else _about(match.call)
    return Found(match.movement.line, match.movement.cells, finding, why, call_id, about, item)


def _item(match: Match, header: Sequence[str], columns: Columns, schemas: Mapping[str, Schema]) -> Item:
    movement, call = match.movement, match.call
    assert call is not None
    assert movement.says != "unclear"
    result = None
    if match.verb == "applied":
        texts = {path: movement.cells[at] for path, at in columns.result.items()}
        if columns.amount in columns.result.values() and movement.amount is not None:
            plain = f"{movement.amount:f}".replace(".", columns.point)
            texts |= {path: plain for path, at in columns.result.items() if at == columns.amount}
        result = result_of(schemas[call["operation"]], texts, columns.point)
    reference = movement.reference or movement.key or movement.ref
    return Item(
        line=movement.line,
        call=call["id"],
        version=call["version"],
        about=_about(call),
        says=movement.says,
        reference=reference and reference[:LONGEST_REFERENCE],
        row=as_csv([header, movement.cells]),
        verb=match.verb,
        result=result,
        amount=movement.amount if call["amount"] is not None else None,
    )


def _about(call: Candidate) -> str:
    parts = (f"{call['provider']}/{call['operation']}", call["ref"] or "", money(call["amount"], call["currency"]))
    return " ".join(part for part in parts if part)


def steps(item: Item, *, batch: UUID, actor: str, reason: str) -> Steps:
    """Return what is called for a row. Batch and line make the ids, so the same batch again changes nothing."""
    evidence = {
        "id": uuid5(batch, f"evidence {item.line}"),
        "call": item.call,
        "kind": "statement",
        "says": item.says,
        "reference": item.reference,
        "body": item.row.encode(),
        "actor": actor,
    }
    calls: Steps = [("add_evidence", evidence)]
    if item.verb is not None:
        decision = {
            "id": uuid5(batch, f"decision {item.line}"),
            "verb": item.verb,
            "subject": item.call,
            "seen_version": item.version,
            "actor": actor,
            "reason": reason,
            "body": {} if item.result is None else {"result": item.result},
            "amount": item.amount,
            "evidence": evidence["id"],
            "batch": batch,
        }
        calls.append(("propose", decision))
    return calls


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV."""
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def inert_cell(value: object) -> str:
    """Return a cell that a spreadsheet takes for text: what would begin a formula gets an apostrophe before it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \n")[:1] in FORMULAS else text
