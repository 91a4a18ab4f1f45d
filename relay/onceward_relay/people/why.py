"""Why code does not send a call again: what its provider promises, in words, with the moments from which it counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onceward.ledger.terms import SAFETY
from onceward_relay.people.words import ago

LOOKUPS = {
    "none": "The provider offers none.",
    "positive": "What it finds took effect; that it finds nothing proves nothing.",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One of the things that decide whether a call may be sent again."""

    name: str
    says: str
    at: datetime | None = None
    """The moment that the words end with."""


def terms(row: Mapping[str, Any]) -> list[Term]:
    """Return the terms of a call, as the query `call` gives it."""
    return list(_terms(row))


def _terms(row: Mapping[str, Any]) -> Iterator[Term]:
    match row["repeat"]:
        case "never":
            yield Term(
                "Idempotency key", "The provider takes none: a request that is sent again could take effect twice."
            )
        case "always":
            yield Term("Idempotency key", "None is needed: sent again, it does no more than sent once.")
        case _ if row["first_sent_at"] is None:
            yield Term("Idempotency key", f"The provider will remember it for {_long(row['key_lifetime'])}.")
        case _:
            until = row["first_sent_at"] + row["key_lifetime"] - row["timeout"] - SAFETY
            over = row["now"] >= until
            says = (
                "which is over, so it may have forgotten it since" if over else "so the same bytes may go again until"
            )
            yield Term("Idempotency key", f"The provider remembers it for {_long(row['key_lifetime'])}, {says}", until)
    if row["repeat"] == "same_key" and row["replays"] == "everything":
        yield Term("Replays", "Under a known key the provider replays what it stored, errors too.")
    says = LOOKUPS.get(
        row["lookup"], f"It tells both, {_long(row['settle_delay'])} after the last attempt can have ended."
    )
    yield Term("Lookup", says)
    if row["scope"] is not None:
        yield Term("Scope", f"It was sent in {row['scope']}. In another account or region its key would mean nothing.")
    if row["rejects_final"]:
        yield Term("Refusals", "A refusal proves that no attempt before it took effect.")
    if row["send_by"] is not None:
        last = row["send_by"] + row["timeout"] + row["settle_delay"]
        words = "No attempt can take effect any more since" if row["now"] > last else "An attempt may take effect until"
        yield Term("Last moment", words, last)


def _long(time: timedelta) -> str:
    moment = datetime(2000, 1, 1)  # noqa: DTZ001 -- only the difference counts
    return ago(moment, moment + time) if time else "0 s"
