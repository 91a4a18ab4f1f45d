"""The one checker with which every fault run ends. It believes only what was written outside the system under test."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from confluent_kafka import Message

from tests.checker.workload import Outcome, Sent


@dataclass(frozen=True)
class Arrived:
    """A record of the topic, as a separate consumer read it."""

    message_id: str
    key: str
    n: int

    @classmethod
    def of(cls, record: Message) -> Self:
        headers = dict(record.headers() or ())
        identity, value = headers["ce_id"], record.value()
        assert isinstance(identity, bytes)
        assert value is not None
        key, n = value.decode().split(":")
        return cls(identity.decode(), key, int(n))


@dataclass(frozen=True)
class Verdict:
    """What is wrong; nothing if all promises were kept."""

    findings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(self.findings) or "all promises were kept"

    def kinds(self) -> set[str]:
        """The first words of the findings."""
        return {finding.partition(":")[0] for finding in self.findings}


def check_topic(sent: Iterable[Sent], arrived: Iterable[Arrived], *, drained: bool = True) -> Verdict:
    """Compare the workload's log with the topic: committed = arrived, and each key's first occurrences in order.

    A message whose commit may or may not have succeeded may or may not have arrived. `drained`: whether the relay had
    settled all that was committed, so that what is missing is lost and not late.
    """
    sent, arrived = list(sent), list(arrived)
    of = {outcome: {each.message_id for each in sent if each.outcome is outcome} for outcome in Outcome}
    there = {each.message_id for each in arrived}
    verdict = Verdict()
    missing = "lost" if drained else "not drained"
    verdict.findings.extend(f"{missing}: {message_id}" for message_id in sorted(of[Outcome.COMMITTED] - there))
    verdict.findings.extend(
        f"phantom: {found}" for found in sorted(there - of[Outcome.COMMITTED] - of[Outcome.UNKNOWN])
    )
    verdict.findings.extend(f"out of order: {finding}" for finding in _disorder(arrived))
    return verdict


def check_effects(sent: Iterable[Sent], effects: Mapping[str, int]) -> Verdict:
    """Compare the log with what a consumer's handler did, counted by message id: once for each that was committed."""
    verdict = Verdict()
    for each in sent:
        count = effects.get(each.message_id, 0)
        if count > 1:
            verdict.findings.append(f"taken twice: {each.message_id}, {count} times")
        if each.outcome is Outcome.COMMITTED and count == 0:
            verdict.findings.append(f"not taken: {each.message_id}")
        if each.outcome is Outcome.ROLLED_BACK and count > 0:
            verdict.findings.append(f"phantom effect: {each.message_id}")
    return verdict


def check_calls(books: Mapping[str, int], calls: Mapping[str, str]) -> Verdict:
    """Compare the provider's own books (effects by key) with the ledger (state by key)."""
    verdict = Verdict()
    verdict.findings.extend(f"paid twice: {key}, {count} times" for key, count in books.items() if count > 1)
    verdict.findings.extend(f"unrecorded effect: {key}" for key in books.keys() - calls.keys())
    for key, state in calls.items():
        if state not in ("succeeded", "failed", "in_doubt"):
            verdict.findings.append(f"not settled: {key} is {state}")
        if (state == "succeeded" and not books.get(key)) or (state == "failed" and books.get(key)):
            verdict.findings.append(f"wrong outcome: {key} is {state}, with {books.get(key, 0)} effects")
    return verdict


def _disorder(arrived: list[Arrived]) -> Iterable[str]:
    seen: set[str] = set()
    last: Counter[str] = Counter()
    for each in arrived:
        if each.message_id in seen:
            continue
        seen.add(each.message_id)
        if each.n <= last[each.key]:
            yield f"{each.key}: {each.n} after {last[each.key]}"
        last[each.key] = max(last[each.key], each.n)
