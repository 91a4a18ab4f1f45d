"""The end of a round: everything healed, drained within the bound, and compared with the writers' own logs."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from tests.campaign.faults import insist, let_go
from tests.campaign.stage import SourceDatabase, Stage, Topic
from tests.checker.checker import Arrived, Verdict, check_effects, check_topic
from tests.checker.workload import Outcome, Sent, commit_marker, read_log, resolve
from tests.crash.payers import FLOWS, OUTCOMES, RESTLESS, judged
from tests.crash.scene import DRAINED

DRAINED_WITHIN = 120.0
"""Seconds after the last fault has healed, until consumers have taken all too. What it takes is printed: a lease of 15 s,
back-offs of up to 10 s, and the work itself on a machine that may have other work."""
LOOK_EVERY = 0.5
HELD = "SELECT EXISTS (SELECT FROM onceward.hold) OR EXISTS (SELECT FROM onceward.held_message)"
STANDSTILL = """
SELECT f.key, f.error FROM onceward.flow f WHERE f.state = 'blocked'
   AND NOT EXISTS (SELECT FROM onceward.incident i WHERE i.flow_id = f.id AND i.kind = 'undo_failed' AND i.closed_at IS NULL)
"""
"""Flows that stand still although the bank has refused them no undo."""
DOUBT_WITHOUT_CAUSE = (
    "SELECT ref, provider, error_text FROM onceward.call WHERE state = 'in_doubt' AND provider <> 'neither'"
)
TAKEN = "WITH gone AS (DELETE FROM taken RETURNING seq, message_id) SELECT message_id FROM gone ORDER BY seq"


@dataclass
class Reckoning:
    """What came of a round."""

    findings: list[str] = field(default_factory=list)
    committed: int = 0
    undone: int = 0
    """Rolled back, or taken back by a crash."""
    repeated: int = 0
    """Sent to Kafka more than once."""
    drained: float = 0
    """Seconds from the last healing until all was settled by relays."""
    taken: float = 0
    """The same, until all was taken by consumers."""
    calls: int = 0
    """Recorded since the campaign began."""
    doubtful: int = 0
    """Of these, in doubt, with an incident for a person."""
    settled: float = 0
    """Seconds from the last healing until all flows had ended or waited for a person."""

    def add(self, where: str, verdict: Verdict) -> None:
        """Add what the checker found."""
        self.findings += [f"{where}: {finding}" for finding in verdict.findings]


class Judge:
    """Judges round after round; knows what is settled from the rounds before."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ends: dict[str, dict[int, int]] = {}
        """Offsets of each topic at the end of the last round."""
        self._settled: set[bytes] = set()
        """Ids of the rounds before: a database that lost its newest checkpoints in a crash has them sent again."""

    def reckon(self) -> Reckoning:
        """Stop the writers, wait until all is drained, and compare."""
        result, began = Reckoning(), time.monotonic()
        deadline = began + DRAINED_WITHIN
        self._stage.orders.end()
        for name in self._stage.scale.writer_names:
            self._stage.members[name].stop()
        sources = list(self._stage.sources.values())
        for source in sources:
            insist(lambda source=source: _end_prepared(source))  # type: ignore[misc]
            insist(lambda source=source: commit_marker(source.url, source.topic.name, source.topic.log))  # type: ignore[misc]
        drained = {source.name: _wait(lambda source=source: self._is_drained(source), deadline) for source in sources}  # type: ignore[misc]
        result.drained = time.monotonic() - began
        for source in sources:
            if not drained[source.name]:
                result.findings.append(
                    f"{source.name}: not drained {DRAINED_WITHIN:.0f} s after the last fault had healed"
                )
            self._compare(source, result, deadline, drained=drained[source.name])
        result.taken = time.monotonic() - began
        self._judge_calls(result, deadline)
        result.settled = time.monotonic() - began
        return result

    def _judge_calls(self, result: Reckoning, deadline: float) -> None:
        """Wait until nothing automatic is left to do for any order, and compare ledger and flows with the bank's books."""
        _wait(lambda: not self._rows(RESTLESS), deadline)
        where = "payers"
        flows = {row[0] for row in self._rows(FLOWS)}
        result.findings += [f"{where}: order {each} is lost" for each in self._stage.orders.committed - flows]
        result.findings += [f"{where}: {each} without an end" for each in self._rows(RESTLESS)]
        result.findings += [f"{where}: stands still: {each}" for each in self._rows(STANDSTILL)]
        result.findings += [f"{where}: doubt without cause: {each}" for each in self._rows(DOUBT_WITHOUT_CAUSE)]
        result.add(where, judged(self._rows, self._stage.bank.movements, None))
        states = Counter(row[1] for row in self._rows(OUTCOMES))
        result.calls, result.doubtful = states.total(), states["in_doubt"]

    def _rows(self, query: str) -> list[Any]:
        with self._stage.connect(self._stage.payers_source) as connection:
            return connection.execute(query.encode()).fetchall()

    def _is_drained(self, source: SourceDatabase) -> bool:
        let_go(self._stage, source)
        with self._stage.connect(source) as connection:
            held, covered = connection.execute(HELD).fetchone(), connection.execute(DRAINED).fetchone()
        return held == (False,) and covered == (True,)

    def _compare(self, source: SourceDatabase, result: Reckoning, deadline: float, *, drained: bool) -> None:
        for topic in (source.topic, *source.late):
            sent = _sent(topic)
            resolve(source.url, sent)
            arrived, repeated = self._arrived(topic)
            if repeated and source.delivery == "exactly_once":
                result.findings.append(
                    f"{source.name}, {topic.name}: {repeated} messages sent twice, once at most was promised"
                )
            result.add(f"{source.name}, {topic.name}", check_topic(sent, arrived, drained=drained))
            if topic.taken:
                result.add(f"consumers of {source.name}", _effects(source, sent, arrived, self._settled, deadline))
            ids = {UUID(message.message_id).bytes for message in sent if message.outcome is Outcome.COMMITTED}
            self._settled |= ids
            result.committed += len(ids)
            result.undone += len(sent) - len(ids)
            result.repeated += repeated

    def _arrived(self, topic: Topic) -> tuple[list[Arrived], int]:
        """Return what has come since the last round but for what was settled before, and how many came again."""
        ends = self._ends.setdefault(topic.name, {})
        records = self._stage.kafka.records(topic.name, since=ends)
        for record in records:
            partition, offset = record.partition(), record.offset()
            assert partition is not None
            assert offset is not None
            ends[partition] = offset + 1
        arrived = [Arrived.of(record) for record in records]
        new = [each for each in arrived if UUID(each.message_id).bytes not in self._settled]
        return new, len(arrived) - len({each.message_id for each in new})


def _sent(topic: Topic) -> list[Sent]:
    """Return all messages of a topic's logs, with transactions numbered through."""
    sent = list(topic.log.sent)
    for number, path in enumerate(topic.logs, 1):
        if path.exists():  # a writer that was killed may not have got so far
            for message in read_log(path):
                message.transaction += number * 1_000_000_000
                sent.append(message)
    return sent


def _effects(
    source: SourceDatabase, sent: list[Sent], arrived: list[Arrived], settled: set[bytes], deadline: float
) -> Verdict:
    """Wait until the consumers have taken all that has arrived, or the bound is over, and compare."""
    order: list[str] = []
    known = {message.message_id for message in sent}

    def verdict() -> Verdict:
        with psycopg.connect(source.reader_url) as connection:
            order.extend(row[0] for row in connection.execute(TAKEN))
        again = Counter(
            message_id for message_id in order if message_id not in known and UUID(message_id).bytes in settled
        )
        effects = Counter(order) + again  # once before, once now
        return check_effects(sent, arrived, effects, order)

    _wait(verdict, deadline)
    return verdict()


def _end_prepared(source: SourceDatabase) -> None:
    """Commit what a fault may have left prepared."""
    with psycopg.connect(source.url, autocommit=True) as connection:
        for transaction in connection.tpc_recover():
            connection.tpc_commit(transaction)


def _wait(condition: Callable[[], object], deadline: float) -> bool:
    """Wait until the condition holds, or until the deadline; servers may still be coming back."""
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except psycopg.OperationalError:
            pass
        time.sleep(LOOK_EVERY)
    return False
