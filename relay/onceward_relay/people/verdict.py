"""What is known of a call, in one sentence, and what code will do with it."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from onceward.ledger.terms import Facts, Terms, way_out

Row = Mapping[str, Any]
"""A call as the query `call` gives it."""


def verdict(row: Row) -> str:
    """Return what is known of a call, in one sentence."""
    what = f"{row['provider']}/{row['operation']}"
    match row["state"]:
        case "succeeded":
            settled = f"{what} took effect (known by {row['settled_by']}, reference {row['provider_ref'] or 'none'})"
            return f"{settled}{_difference(row)}{_contradicted(row)}."
        case "failed":
            return f"{what} had no effect and will have none: {row['error_text']}{_contradicted(row)}."
        case "pending":
            return f"{what} has had no effect yet and will be sent again: {row['error_text']}."
        case "in_flight":
            return f"{what} is being made by {row['worker']}."
        case "cancelled":
            return f"{what} was never made, and never will be: {row['error_text'] or 'it was not needed any more'}."
        case "accepted":
            expected = row["expect_by"].isoformat(timespec="seconds")
            return f"{what} was accepted by the provider, which is to report the outcome by {expected}."
        case _ if row["in_doubt_because"]:
            return f"{row['in_doubt_because']}."
        case _:
            return f"{what} may or may not have taken effect ({row['error_text']}); {_next_move(row)}."


def _contradicted(row: Row) -> str:
    return "; evidence contradicts that" if row["conflict_at"] else ""


def _difference(row: Row) -> str:
    if row["difference"] is None:
        return ""
    accepted = "accepted" if row["difference_accepted_at"] else "a person has to accept that"
    return f", but did something else than it was asked: {row['difference']} ({accepted})"


def _next_move(row: Row) -> str:
    """Return what code will do with a call in doubt and why nothing else, if its provider's scope is still the same."""
    moments = {name: row[name].astimezone(UTC) for name in ("now", "first_sent_at")}
    facts = Facts(**moments, scope=row["scope"], sends=row["sends"], refused_now=row["last_verdict"] == "rejected")
    return way_out(Terms.stored(row), facts, row["scope"]).why
