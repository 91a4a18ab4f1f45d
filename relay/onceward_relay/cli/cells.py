"""Tables that calls and flows have in common."""

from collections.abc import Sequence
from uuid import UUID

import click
from psycopg.rows import DictRow

from onceward_relay.cli.options import print_table
from onceward_relay.cli.verbs import named
from onceward_relay.people.words import money


def print_history(history: list[DictRow], empty: str = "") -> None:
    """Print what people did about something."""
    headings = ("audit", "when", "who", "what", "why")
    cells = [
        (row["no"], row["at"].isoformat(timespec="seconds"), row["actor"], row["action"], row["reason"])
        for row in history
    ]
    _part(headings, cells, empty)


def print_decisions(decisions: list[DictRow]) -> None:
    """Print the decisions about something."""
    headings = ("decision", "verb", "state", "value", "by", "decided by", "reason", "outcome")
    cells = [
        (
            row["id"],
            named(row["verb"]),
            row["state"],
            money(row["amount"], row["currency"]),
            row["proposed_by"],
            row["decided_by"] or "",
            row["reason"],
            row["outcome"] or "",
        )
        for row in decisions
    ]
    _part(headings, cells)


def print_evidence(evidence: list[DictRow]) -> None:
    """Print the evidence about a call."""
    headings = ("evidence", "kind", "says", "reference", "by", "report")
    cells = [
        (row["id"], row["kind"], row["says"], row["reference"] or "", row["by_actor"], _report(row)) for row in evidence
    ]
    _part(headings, cells)


def print_undos(undos: list[DictRow]) -> None:
    """Print the calls that reversed a call."""
    headings = ("undone by", "state", "value", "what is known")
    cells = [
        (
            row["id"],
            row["state"],
            money(row["amount"], row["currency"]),
            row["error_text"] or row["provider_ref"] or "",
        )
        for row in undos
    ]
    _part(headings, cells)


def print_verbs(verbs: list[DictRow], command: str, subject: UUID) -> None:
    """Print what may be done with a call or flow, and why the rest may not."""
    cells = [
        (named(each["verb"]), "yes" if each["allowed"] else "no", each["why"])
        for each in sorted(verbs, key=lambda each: not each["allowed"])
    ]
    _part(("verb", "possible", "what it does, or why it is not"), cells)
    click.echo(f"\nonceward {command} VERB {subject} --reason ...")


def _part(headings: tuple[str, ...], cells: Sequence[tuple[object, ...]], empty: str = "") -> None:
    if cells or empty:
        click.echo()
        print_table(headings, cells, empty)


def _report(row: DictRow) -> str:
    if row["purged_at"]:
        return "purged"
    return "onceward calls reveal" if row["body_sha256"] else ""
