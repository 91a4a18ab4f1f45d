"""Which call each row of a statement is about, and what follows from it.

Nothing follows from a row that is not there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Any, Literal

from onceward_relay.people.statements.movements import Movement
from onceward_relay.people.words import money

Finding = Literal[
    "matched",
    "contradicts",
    "settled",
    "differs",
    "ambiguous",
    "unclear",
    "impossible",
    "unfit",
    "unmatched",
    "aside",
    "unreadable",
]
FINDINGS: Mapping[Finding, str] = {
    "matched": "settle a call that is in doubt",
    "contradicts": "contradict how a call is recorded: evidence is added, and an incident opens",
    "settled": "say what is known already",
    "differs": "name other money than the call",
    "ambiguous": "fit more than one call",
    "unclear": "do not say whether it took effect",
    "impossible": "are about a call that cannot be settled now",
    "unfit": "hold no result of their operation",
    "unmatched": "fit no call",
    "aside": "are of the other direction",
    "unreadable": "cannot be read",
}
"""What is found of rows, in words that follow their number."""
SPAN = timedelta(days=2)
"""By which a date may lie before the call: banks book by their own calendar."""
Candidate = Mapping[str, Any]
"""A row of the query `statement_matches`."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a row is about."""

    movement: Movement
    finding: Finding
    why: str
    call: Candidate | None = None
    verb: Literal["applied", "not_applied"] | None = None
    """The decision that follows; none from a contradiction, which people have to look at."""


def asked_for(movements: Iterable[Movement], provider: str, operation: str | None) -> dict[str, Any]:
    """Return the parameters of the query `statement_matches`."""
    rows = [each for each in movements if each.problem is None and not each.aside]
    return {
        "provider": provider,
        "operation": operation,
        "lines": [row.line for row in rows],
        "references": [row.reference for row in rows],
        "keys": [row.key for row in rows],
        "refs": [row.ref for row in rows],
        "amounts": [row.amount for row in rows],
        "currencies": [row.currency for row in rows],
    }


def matched(movements: Sequence[Movement], candidates: Iterable[Candidate]) -> list[Match]:
    """Return what each row is about; of rows that are about one call none decides."""
    by_line: dict[int, list[Candidate]] = defaultdict(list)
    for each in candidates:
        by_line[each["line"]].append(each)
    matches = [_match(movement, by_line[movement.line]) for movement in movements]
    times = Counter(match.call["id"] for match in matches if match.call is not None)
    return [_unless_twice(match, times) for match in matches]


def hindered(matches: Sequence[Match], obstacles: Iterable[Mapping[str, Any]]) -> list[Match]:
    """Return the same with what cannot be decided now, by the query `statement_obstacles`."""
    why = {row["call_id"]: row["why"] for row in obstacles}
    return [
        replace(match, finding="impossible", why=why[match.call["id"]], verb=None)
        if match.verb is not None and match.call is not None and match.call["id"] in why
        else match
        for match in matches
    ]


def _match(movement: Movement, candidates: Sequence[Candidate]) -> Match:
    if movement.problem is not None:
        return Match(movement, "unreadable", movement.problem)
    if movement.aside:
        return Match(movement, "aside", "its amount has the other sign")
    for by, words in (("reference", "this reference of the provider"), ("key", "this key")):
        found = [each for each in candidates if each["by"] == by]
        if len(found) > 1:
            found = [each for each in found if _same_money(movement, each)] or found
        if len(found) > 1:
            return _ambiguous(movement, found, words)
        if found:
            return _about(movement, found[0])
    return _by_our_reference(movement, [each for each in candidates if each["by"] == "ref"])


def _by_our_reference(movement: Movement, found: Sequence[Candidate]) -> Match:
    """Return what is found by a business reference, which many calls may share: only together with the money."""
    same = [each for each in found if movement.amount is not None and _same_money(movement, each)]
    recent = [each for each in same if not _too_old(movement, each)]
    if len(recent) > 1:
        return _ambiguous(movement, recent, "this reference and amount")
    if recent:
        return _about(movement, recent[0])
    if same:
        return Match(movement, "unmatched", "a call has this reference and amount, but was made after this date")
    if found and movement.amount is not None:
        return Match(movement, "differs", _other_money(movement, found[0]), found[0] if len(found) == 1 else None)
    return Match(movement, "unmatched", "no call has this reference, key, or reference with amount and currency")


def _about(movement: Movement, call: Candidate) -> Match:
    if movement.amount is not None and call["amount"] is not None and not _same_money(movement, call):
        return Match(movement, "differs", _other_money(movement, call), call)
    if movement.says == "unclear":
        return Match(movement, "unclear", "its status says neither that it took effect nor that it did not", call)
    state = call["state"]
    if state in ("in_doubt", "accepted"):
        settled = "succeeded" if movement.says == "applied" else "failed"
        return Match(movement, "matched", f"settles it as {settled}", call, movement.says)
    if state == "in_flight":
        return Match(movement, "impossible", "an attempt is under way; look again when it has ended", call)
    says = "took effect" if movement.says == "applied" else "did not take effect"
    if (state == "succeeded") == (movement.says == "applied"):
        if state == "pending":
            return Match(movement, "impossible", "it has had no effect, and will be sent", call)
        return Match(movement, "settled", f"it is settled as {state} already", call)
    recorded = (
        "recorded as without effect, and will be sent: stop its provider"
        if state == "pending"
        else f"settled as {state}"
    )
    return Match(movement, "contradicts", f"the statement says that it {says}, but it is {recorded}", call)


def _unless_twice(match: Match, times: Mapping[Any, int]) -> Match:
    if match.call is None or times[match.call["id"]] < 2:
        return match
    why = f"{times[match.call['id']]} rows are about call {match.call['id']}: was it done more than once?"
    return replace(match, finding="ambiguous", why=why, verb=None)


def _ambiguous(movement: Movement, found: Sequence[Candidate], words: str) -> Match:
    names = sorted({each["operation"] for each in found})
    more = "; choose the operation" if len(names) == len(found) else ""
    return Match(movement, "ambiguous", f"{len(found)} calls or more have {words} ({', '.join(names)}){more}")


def _same_money(movement: Movement, call: Candidate) -> bool:
    same = movement.amount is not None and movement.amount == call["amount"]
    return same and movement.currency in (None, call["currency"])


def _other_money(movement: Movement, call: Candidate) -> str:
    stated = money(movement.amount, movement.currency or "of no currency")
    return f"the statement says {stated}, the call is about {money(call['amount'], call['currency']) or 'no money'}"


def _too_old(movement: Movement, call: Candidate) -> bool:
    return movement.at is not None and movement.at < (call["created_at"].astimezone(UTC) - SPAN).date()
