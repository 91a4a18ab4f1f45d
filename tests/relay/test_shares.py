"""Several instances share the sources: each has its own, and what one leaves the others take."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from onceward.sqlfiles import statement
from onceward_relay.candidate import Candidate
from onceward_relay.config import SourceSettings
from onceward_relay.errors import StandBy
from onceward_relay.session import Session
from onceward_relay.shares import LONGEST, Share, ranking
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.support import eventually

from .support import by_key, connect, publish
from .test_daemon import Relay

INSTANCES = ("a", "b", "c")
SOURCES = 6


def test_every_instance_comes_to_the_same_order() -> None:
    sources = [f"source-{n}" for n in range(300)]
    firsts = [ranking(source, INSTANCES)[0] for source in sources]
    assert all(60 < firsts.count(name) < 140 for name in INSTANCES), "about a third each"
    assert [ranking(source, ("c", "a", "b"))[0] for source in sources] == firsts
    for source in sources:
        assert [name for name in ranking(source, INSTANCES) if name != "b"] == ranking(source, ("a", "c"))


def test_who_comes_before_whom() -> None:
    first, second, third = ranking("payer", INSTANCES)
    share = Share("payer", second, INSTANCES)
    assert (share.comes_before(first), share.comes_before(second), share.comes_before(third)) == (False, False, True)
    assert share.comes_before("one that is not of them")
    assert not share.comes_before(None)
    assert 0 < share.patience < Share("payer", third, INSTANCES).patience <= LONGEST
    alone = Share("payer", "a", ())
    assert (alone.is_first, alone.patience, alone.comes_before("b")) == (True, 0, False)


def candidate(database: Database, relay: str) -> Candidate:
    source = SourceSettings(name="payer", database=SecretStr(database.relay_url))
    return Candidate(source, Share(source.name, relay, INSTANCES))


def test_a_claim_is_taken_back_once_a_better_one_owns_the_source(database: Database) -> None:
    """Else the second would push the first's successor out, for good."""
    first, second, third = ranking("payer", INSTANCES)
    unclaimed = statement("onceward_relay", "unclaimed")
    with connect(database.relay_url) as eye, ExitStack() as stack:
        lease = candidate(database, third)
        lease._share = Share("payer", third)  # it has waited for long
        owner = lease.win(third)
        others = {name: candidate(database, name) for name in (first, second)}
        for each in others.values():
            stack.callback(each.close)
        with pytest.raises(StandBy, match="asked to let go"):
            others[second].win(second, may_claim=True)
        assert eye.execute(unclaimed).fetchone() == (False,)
        owner.close()
        session = eventually(lambda: won(others[first], first))
        with pytest.raises(StandBy, match="waiting for it"):
            others[second].win(second, may_claim=True)
        assert eye.execute(unclaimed).fetchone() == (True,)
        assert session is not None
        session.close()


def won(candidate: Candidate, relay: str) -> Session | None:
    try:
        return candidate.win(relay)
    except StandBy:
        return None


def listed(instances: Sequence[str]) -> str:
    return f"instances = {json.dumps(instances)}\n"


class Instance(Relay):
    """One of several relays with the same sources."""

    def __init__(
        self,
        folder: Path,
        kafka: TestKafka,
        databases: Sequence[str],
        name: str,
        instances: Sequence[str] = INSTANCES,
    ) -> None:
        self._config = folder / f"{name}.toml"
        self._instances = listed(instances)
        super().__init__(folder, kafka, *databases, name=name, relay_more=self._instances)

    def reload(self, instances: Sequence[str]) -> None:
        """Put other instances into its configuration, and let it read that."""
        before, self._instances = self._instances, listed(instances)
        self._config.write_text(self._config.read_text().replace(before, self._instances))
        os.kill(self.pid, signal.SIGHUP)

    def owned(self) -> set[str]:
        _, body = self.get("/health/ready")
        return {source["name"] for source in json.loads(body)["sources"] if source["state"] == "owner"}


@pytest.fixture
def databases(postgres: TestServer) -> Iterator[list[str]]:
    urls = [postgres.create_database(installed=True) for _ in range(SOURCES)]
    yield urls
    for url in urls:
        postgres.drop_database(url)


def by_rank(alive: Sequence[str]) -> dict[str, set[str]]:
    """Which sources each of the living is to own."""
    shares: dict[str, set[str]] = {name: set() for name in alive}
    for number in range(SOURCES):
        source = f"source-{number}"
        shares[next(name for name in ranking(source, INSTANCES) if name in alive)].add(source)
    return shares


def wait_shared(instances: Mapping[str, Instance], within: float) -> float:
    """Wait until each owns what it is to own; return how long that took."""
    began, wanted = time.monotonic(), by_rank(list(instances))
    eventually(
        lambda: {name: instance.owned() for name, instance in instances.items()} == wanted,
        within,
        lambda: ({name: sorted(instance.owned()) for name, instance in instances.items()}, wanted),
    )
    return time.monotonic() - began


def epochs(databases: Sequence[str]) -> list[int]:
    found = []
    for url in databases:
        with connect(url) as eye:
            row = eye.execute("SELECT max(epoch) FROM onceward.ownership").fetchone()
            assert row is not None
            found.append(row[0])
    return found


@contextmanager
def publishing(databases: Sequence[str], topic: str) -> Iterator[list[int]]:
    """Publish to all sources in turn, key by key in order, until the end; yield how many each has got."""
    counts = [0] * len(databases)
    over = Event()

    def work() -> None:
        with ExitStack() as stack:
            writers = [stack.enter_context(connect(url)) for url in databases]
            while not over.is_set():
                for number, writer in enumerate(writers):
                    publish(writer, topic, f"source-{number}", str(counts[number]))
                    counts[number] += 1
                over.wait(0.3)

    thread = Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(300)
def test_sources_move_when_an_instance_dies_and_when_it_comes_back(
    postgres: TestServer, databases: list[str], kafka: TestKafka, tmp_path: Path
) -> None:
    """Only its own move, all of them in time, and nothing is lost or overtaken on the way."""
    topic = kafka.create_topic(partitions=3)
    urls = [postgres.login(url, "relay") for url in databases]
    shares = by_rank(INSTANCES)
    victim = max(shares, key=lambda name: len(shares[name]))
    theirs = [number for number in range(SOURCES) if f"source-{number}" not in shares[victim]]
    assert 0 < len(theirs) < SOURCES
    with ExitStack() as stack:
        with publishing(databases, topic) as counts:
            instances = {name: stack.enter_context(Instance(tmp_path, kafka, urls, name)) for name in INSTANCES}
            wait_shared(instances, 60)
            before = epochs(databases)
            instances.pop(victim).kill()
            took = wait_shared(instances, 60)
            print(f"shared by two {took:.1f} s after the kill")
            after_kill = epochs(databases)
            instances[victim] = stack.enter_context(Instance(tmp_path, kafka, urls, victim))
            took = wait_shared(instances, 60)
            print(f"shared by three {took:.1f} s after the start")
            after_return = epochs(databases)
            for number in range(SOURCES):
                moved = [after_kill[number] - before[number], after_return[number] - after_kill[number]]
                if number in theirs:
                    assert moved == [0, 0], "what has nothing to do with it is not touched"
                else:  # twice, where one that ranks lower was quicker on a busy machine
                    assert min(moved) >= 1
            metrics = "".join(instance.get("/metrics")[1] for instance in instances.values())
            assert 'change="handed_over"' in metrics
        check_all_arrived(kafka, topic, counts)


def check_all_arrived(kafka: TestKafka, topic: str, counts: Sequence[int]) -> None:
    """Fail unless all of each source comes to arrive, and the first ones of each in order."""
    wanted = {f"source-{number}".encode(): [str(n) for n in range(count)] for number, count in enumerate(counts)}

    def arrived() -> dict[bytes | None, list[str]]:
        return {key: list(dict.fromkeys(numbers)) for key, numbers in by_key(kafka.records(topic)).items()}

    eventually(lambda: arrived() == wanted, 60, lambda: (arrived(), wanted))


@pytest.mark.timeout(120)
def test_an_instance_joins_and_leaves_by_sighup(
    postgres: TestServer, databases: list[str], kafka: TestKafka, tmp_path: Path
) -> None:
    """Its own sources move, no other is touched, and nothing is lost or overtaken on the way."""
    topic = kafka.create_topic(partitions=3)
    urls = [postgres.login(url, "relay") for url in databases]
    two, joining = INSTANCES[:2], INSTANCES[2]
    moving = [f"source-{number}" in by_rank(INSTANCES)[joining] for number in range(SOURCES)]
    assert {True, False} == set(moving)
    with ExitStack() as stack:
        with publishing(databases, topic) as counts:
            running = {name: stack.enter_context(Instance(tmp_path, kafka, urls, name, two)) for name in two}
            wait_shared(running, 60)
            before = epochs(databases)
            running[joining] = stack.enter_context(Instance(tmp_path, kafka, urls, joining))
            running[joining].wait_for_output("was asked to let go")
            for name in two:
                running[name].reload(INSTANCES)
            took = wait_shared(running, 60)
            print(f"shared by three {took:.1f} s after the reload")
            joined = epochs(databases)
            assert [after > at for after, at in zip(joined, before, strict=True)] == moving

            for instance in running.values():
                instance.reload(two)
            leaving = running.pop(joining)
            took = wait_shared(running, 60)
            print(f"shared by two {took:.1f} s after the reload")
            assert leaving.owned() == set()
            left = epochs(databases)
            assert [after > at for after, at in zip(left, joined, strict=True)] == moving
            leaving.wait_for_output("let go for a relay that comes before this one")
            leaving.wait_for_output("is not among `instances`")
        check_all_arrived(kafka, topic, counts)
