"""The one checker with which every fault run ends. It believes only what was written outside the system under test."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from confluent_kafka import Message

from tests.checker.workload import Outcome, Sent


@dataclass(frozen=True)
class Arrived:
    """A record of the topic, as a separate consumer read it."""

    message_id: str
    key: str
    payload: str
    partition: int = 0

    @classmethod
    def of(cls, record: Message) -> Self:
        identity = dict(record.headers() or ())["ce_id"]
        key, value, partition = record.key(), record.value(), record.partition()
        assert isinstance(identity, bytes)
        assert isinstance(key, bytes)
        assert partition is not None
        return cls(identity.decode(), key.decode(), (value or b"").decode(), partition)


@dataclass(frozen=True)
class Verdict:
    """What is wrong; nothing if all promises were kept."""

    findings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(self.findings) or "all promises were kept"

    def __add__(self, other: Self) -> Self:
        """Return what is wrong by either."""
        return type(self)(self.findings + other.findings)

    def add(self, kind: str, found: Iterable[str]) -> None:
        """Add findings of one kind."""
        self.findings.extend(f"{kind}: {each}" for each in found)

    def kinds(self) -> set[str]:
        """The first words of the findings."""
        return {finding.partition(":")[0] for finding in self.findings}


def check_topic(sent: Iterable[Sent], arrived: Iterable[Arrived], *, drained: bool = True) -> Verdict:
    """Compare the workload's log with the topic: committed = arrived as it was sent, each key's first ones in order.

    A transaction whose commit may or may not have succeeded may or may not have arrived, but only as a whole.
    `drained`: whether the relay had settled all that was committed, so that what is missing is lost and not late.
    """
    log = {each.message_id: each for each in sent}
    arrived = list(arrived)
    there = {each.message_id for each in arrived}
    missing = sorted(_with(log, Outcome.COMMITTED) - there)
    verdict = Verdict()
    verdict.add("lost" if drained else "not drained", missing)
    verdict.add("phantom", sorted(there - _with(log, Outcome.COMMITTED, Outcome.UNKNOWN)))
    verdict.add("torn", _torn(log, there) if drained else ())
    verdict.add("altered", _altered(log, arrived))
    verdict.add("scattered", _scattered(arrived))
    verdict.add("out of order", _disorder(log, (each.message_id for each in arrived)))
    return verdict


def check_once(arrived: Iterable[Arrived]) -> Verdict:
    """Look for messages that a reader of committed records got more than once."""
    verdict = Verdict()
    counts = Counter(each.message_id for each in arrived)
    verdict.add("sent twice", (f"{each}, {count} times" for each, count in counts.items() if count > 1))
    return verdict


def check_effects(
    sent: Iterable[Sent], arrived: Iterable[Arrived], effects: Mapping[str, int], in_order: Iterable[str] = ()
) -> Verdict:
    """Compare log and topic with what a consumer's handler did, counted by message id.

    Each committed message has one effect; so has one of unknown fate if it has arrived; no other message has any.
    `in_order`: ids in the order of the effects, if that is known.
    """
    log = {each.message_id: each for each in sent}
    there = {each.message_id for each in arrived}
    expected = _with(log, Outcome.COMMITTED) | _with(log, Outcome.UNKNOWN) & there
    verdict = Verdict()
    verdict.add("not taken", sorted(each for each in expected if not effects.get(each)))
    verdict.add("taken twice", (f"{each}, {count} times" for each, count in effects.items() if count > 1))
    verdict.add("phantom effect", sorted(each for each, count in effects.items() if count and each not in expected))
    verdict.add("taken out of order", _disorder(log, in_order))
    return verdict


def check_calls(books: Mapping[str, int], calls: Mapping[str, str], doubtful: Container[str] | None = None) -> Verdict:
    """Compare the provider's own books (effects by key) with the ledger (state by key).

    `doubtful`: the keys for which nobody but a person can find out what happened; None if any may be one.
    """
    verdict = Verdict()
    verdict.add("paid twice", (f"{key}, {count} times" for key, count in books.items() if count > 1))
    verdict.add("unrecorded effect", sorted(key for key in books if key not in calls))
    for key, state in calls.items():
        effects = books.get(key, 0)
        if state not in ("succeeded", "failed", "in_doubt"):
            verdict.add("not settled", [f"{key} is {state}"])
        if (state == "succeeded" and not effects) or (state == "failed" and effects):
            verdict.add("wrong outcome", [f"{key} is {state}, with {effects} effects"])
        if state == "in_doubt" and doubtful is not None and key not in doubtful:
            verdict.add("doubt without cause", [key])
        if state in ("succeeded", "failed") and doubtful is not None and key in doubtful:
            verdict.add("settled without proof", [f"{key} is {state}"])
    return verdict


def check_money(moved: Mapping[str, int], reversed_: Mapping[str, int], undone: Iterable[str]) -> Verdict:
    """Compare what the provider's books say was moved for each business key with what they say was moved back.

    `undone`: the keys of flows that say that all they did is undone.
    """
    verdict = Verdict()
    verdict.add(
        "reversed too much",
        (f"{key}: {back} of {moved.get(key, 0)}" for key, back in reversed_.items() if back > moved.get(key, 0)),
    )
    left = {key: moved.get(key, 0) - reversed_.get(key, 0) for key in undone}
    verdict.add("undone but kept", (f"{key}: {kept}" for key, kept in left.items() if kept > 0))
    return verdict


def check_watched(unwatched: Iterable[str]) -> Verdict:
    """Look for what nothing automatic will move any more and no open incident tells of."""
    verdict = Verdict()
    verdict.add("waits for nobody", unwatched)
    return verdict


def _with(log: Mapping[str, Sent], *outcomes: Outcome) -> set[str]:
    return {message_id for message_id, each in log.items() if each.outcome in outcomes}


def _torn(log: Mapping[str, Sent], there: set[str]) -> Iterator[str]:
    """Transactions of unknown fate of which a part has arrived."""
    transactions: dict[int, list[str]] = defaultdict(list)
    for message_id in _with(log, Outcome.UNKNOWN):
        transactions[log[message_id].transaction].append(message_id)
    for number, messages in transactions.items():
        came = len(there.intersection(messages))
        if 0 < came < len(messages):
            yield f"transaction {number}, {came} of {len(messages)} messages"


def _altered(log: Mapping[str, Sent], arrived: Iterable[Arrived]) -> Iterator[str]:
    for each in arrived:
        was = log.get(each.message_id)
        if was is not None and (each.key, each.payload) != (was.key, was.payload.decode()):
            yield f"{each.message_id} was {was.key} with {was.payload.decode()}, is {each.key} with {each.payload}"


def _scattered(arrived: Iterable[Arrived]) -> Iterator[str]:
    """Keys in several partitions: between those no order is kept."""
    partitions: dict[str, set[int]] = defaultdict(set)
    for each in arrived:
        partitions[each.key].add(each.partition)
    return (f"{key} is in partitions {sorted(found)}" for key, found in partitions.items() if len(found) > 1)


def _disorder(log: Mapping[str, Sent], came: Iterable[str]) -> Iterator[str]:
    """First comings of a key whose count, taken under the key's lock, is not above those before."""
    last: Counter[str] = Counter()
    for message_id in dict.fromkeys(came):
        if (was := log.get(message_id)) is None:
            continue
        if was.n <= last[was.key]:
            yield f"{was.key}: {was.n} after {last[was.key]}"
        last[was.key] = max(last[was.key], was.n)
