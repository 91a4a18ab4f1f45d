"""What happened to a call or a flow, in the order of time: attempts, reports, and what people did."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Row = Mapping[str, Any]
ACTIONS = {
    "note": "wrote a note", "call.lookup": "asked for a lookup", "call.resend": "asked to send it",
    "call.reveal": "looked at its contents", "evidence.add": "brought evidence", "flow.resume": "resumed it",
    "flow.pause": "paused it", "incident.claim": "took the incident", "incident.unclaim": "let go of the incident",
    "incident.snooze": "set the incident aside", "decision.propose": "decided", "decision.approve": "agreed",
    "decision.reject": "rejected the decision", "decision.withdraw": "withdrew the decision",
    "decision.applied": "decision carried out", "decision.failed": "decision could not be carried out",
    "decision.stale": "decision was stale", "data.purge": "purged its contents",
}  # fmt: skip
REPORTS = ("webhook", "late_answer")
"""Evidence that people did not bring: theirs stands in the audit."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    at: datetime
    source: Literal["ledger", "worker", "provider", "person"]
    who: str
    what: str
    says: str
    audit: int | None = None
    """Number of the audit's entry, if it is one."""


def of_call(call: Row, attempts: Iterable[Row], evidence: Iterable[Row], history: Iterable[Row]) -> list[Moment]:
    """Return what happened to a call."""
    moments = [Moment(call["created_at"], "ledger", "ledger", "recorded", _recorded(call))]
    moments += [_attempt(row, call) for row in attempts]
    moments += [
        Moment(row["at"], "provider", row["by_actor"], f"reported: {_words(row['says'])}", row["reference"] or "")
        for row in evidence
        if row["kind"] in REPORTS
    ]
    moments += of_people(history)
    if call["settled_at"] is not None:
        by = {"person": "by a decision", "system": "by the ledger"}.get(call["settled_by"], f"by {call['settled_by']}")
        reference = f"reference {call['provider_ref']}" if call["provider_ref"] else call["error_text"] or ""
        moments.append(Moment(call["settled_at"], "ledger", "ledger", f"settled as {call['state']} {by}", reference))
    return sorted(moments, key=lambda moment: moment.at)


def of_people(history: Iterable[Row]) -> list[Moment]:
    """Return what people did, from the audit's entries."""
    return [Moment(row["at"], "person", row["actor"], _action(row), _reason(row), row["no"]) for row in history]


def _attempt(row: Row, call: Row) -> Moment:
    what = "sent" if row["kind"] == "send" else "asked by lookup"
    verdict = row["verdict"] or ("under way" if call["state"] == "in_flight" else "never came back")
    return Moment(
        row["began_at"], "worker", row["worker"], f"{what}, attempt {row['no']}", "; ".join(_said(row, verdict))
    )


def _said(row: Row, verdict: str) -> Iterator[str]:
    yield f"{_words(verdict)}{' (late)' if row['late'] else ''}"
    if row["http_status"] is not None:
        yield f"status {row['http_status']}"
    if row["detail"]:
        yield row["detail"]
    if row["ended_at"] is not None:
        yield f"after {(row['ended_at'] - row['began_at']).total_seconds():.3f} s"


def _recorded(call: Row) -> str:
    return f"before its first byte left, under the key {call['key']}"


def _action(row: Row) -> str:
    if row["action"] == "denied":
        return f"was denied: {_words(row['body'].get('action', ''))}"
    known = ACTIONS.get(row["action"], _words(row["action"]))
    verb = row["body"].get("verb")
    return f"{known}: {_words(verb)}" if verb else known


def _reason(row: Row) -> str:
    more = row["body"].get("outcome") or row["body"].get("error")
    return f"{row['reason']} ({more})" if more else str(row["reason"])


def _words(name: str) -> str:
    return str(name).replace("_", " ")
