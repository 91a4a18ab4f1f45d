"""The faults, one function each: what is done, and after the `yield` how it is healed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from confluent_kafka import KafkaError, KafkaException
from psycopg import sql

from onceward.ids import uuid7
from tests.campaign.members import Member
from tests.campaign.plan import REFUSAL, Injection
from tests.campaign.stage import UP_WITHIN, SourceDatabase, Stage
from tests.checker.workload import Outcome, deadlocks
from tests.support import eventually

T = TypeVar("T")
AWAY = psycopg.OperationalError, psycopg.InterfaceError, KafkaException, TimeoutError
"""What another fault at the same time can make of this one."""
HEALED_WITHIN = 60.0
REACHED_WITHIN = 10.0
BACKLOG = 300
"""Messages of each shared key: more than a page in all, so that a window is opened."""
SMALL = "100"
"""Bytes, so few that Kafka refuses everything."""
LET_GO = """
SELECT count(onceward.release_hold(hold_id, 'campaign', 'Kafka takes it again')) FROM onceward.hold
 WHERE state = 'held' AND reason NOT LIKE '%does not exist%'
"""
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE %s AND application_name <> 'campaign'
"""
Healing = Iterator[None]
Fault = Callable[[Stage, Injection], AbstractContextManager[None]]


@contextmanager
def kill(stage: Stage, injection: Injection) -> Healing:
    stage.members[injection.target].kill()
    yield
    stage.members[injection.target].start()


@contextmanager
def freeze(stage: Stage, injection: Injection) -> Healing:
    stage.members[injection.target].suspend()
    yield
    stage.members[injection.target].resume()


@contextmanager
def failpoint(stage: Stage, injection: Injection) -> Healing:
    """Start it so that it kills itself at a named point. Of the relays all are ended, so that this one owns the sources."""
    relays = [stage.members[name] for name in stage.scale.relay_names]
    dying = relays[0] if injection.target == "every relay" else stage.members[injection.target]
    others = [relay for relay in relays if relay is not dying] if dying in relays else []
    for other in others:
        other.kill()
    dying.start(injection.how)
    if "window_opened" in injection.how:
        with suppress(*AWAY):
            stage.workload(next(iter(stage.sources.values()))).write_many(BACKLOG * stage.scale.keys)
    yield
    _wait_for_death(dying)
    _start([dying, *others])


def _wait_for_death(*members: Member) -> None:
    """Wait until one of them has killed itself, but not for ever: under other faults it may not get so far."""
    with suppress(AssertionError):
        eventually(lambda: any(member.died or member.says("started") for member in members), UP_WITHIN)
        eventually(lambda: any(member.died for member in members), REACHED_WITHIN)


@contextmanager
def database_down(stage: Stage, injection: Injection) -> Healing:
    server = stage.servers[injection.target]
    server.kill() if injection.how == "kill" else server.stop("fast" if injection.how == "fast" else "immediate")
    yield
    server.start()


@contextmanager
def terminate_backends(stage: Stage, injection: Injection) -> Healing:
    with stage.connect(stage.sources[injection.target], autocommit=True) as admin:
        admin.execute(TERMINATE, ("onceward-relay%" if injection.how == "of the relay" else "%",))
    yield


@contextmanager
def snapshot_held(stage: Stage, injection: Injection) -> Healing:
    with closing(stage.connect(stage.sources[injection.target])) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM onceward.outbox")
        yield


@contextmanager
def prepared_and_abandoned(stage: Stage, injection: Injection) -> Healing:
    source = stage.sources[injection.target]
    name, key = f"abandoned {uuid7()}", f"own-{uuid7()}"
    workload = stage.workload(source)
    with stage.connect(source) as connection:
        connection.execute("INSERT INTO account VALUES (%s)", (key,))
        messages = workload.write(connection, [key])
        source.topic.log.about_to_end(messages)
        connection.execute(sql.SQL("PREPARE TRANSACTION {}").format(sql.Literal(name)))
        connection.commit()
    yield
    keep = injection.how == "committed"

    def end() -> None:
        with stage.connect(source, autocommit=True) as anybody:
            verb = sql.SQL("COMMIT" if keep else "ROLLBACK")
            anybody.execute(sql.SQL("{} PREPARED {}").format(verb, sql.Literal(name)))

    with suppress(psycopg.errors.UndefinedObject):  # it ended, and the answer was lost
        insist(end)
    source.topic.log.ended(messages, Outcome.COMMITTED if keep else Outcome.ROLLED_BACK)


@contextmanager
def table_locked(stage: Stage, injection: Injection) -> Healing:
    with closing(stage.connect(stage.sources[injection.target])) as locker:
        locker.execute("SET lock_timeout = '2s'")
        table = sql.Identifier("onceward", injection.how)
        locker.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
        yield


@contextmanager
def short_timeouts(stage: Stage, injection: Injection) -> Healing:
    """Statements and waits for locks are ended after a moment, in all sessions that do not ask for more."""
    source = stage.sources[injection.target]

    def set_all(*commands: str) -> None:
        with stage.connect(source, autocommit=True) as admin:
            for command in commands:
                admin.execute(sql.SQL("ALTER DATABASE {} " + command).format(sql.Identifier(admin.info.dbname)))
            admin.execute(TERMINATE, ("%",))

    set_all("SET statement_timeout = '20ms'", "SET lock_timeout = '10ms'")
    yield
    insist(lambda: set_all("RESET statement_timeout", "RESET lock_timeout"))


@contextmanager
def deadlock(stage: Stage, injection: Injection) -> Healing:
    source = stage.sources[injection.target]
    with deadlocks(lambda: stage.connect(source), [f"key-{number}" for number in range(stage.scale.keys)], 0.05):
        yield


@contextmanager
def backlog(stage: Stage, injection: Injection) -> Healing:
    stage.workload(stage.sources[injection.target]).write_many(BACKLOG * stage.scale.keys)
    yield


@contextmanager
def kafka_down(stage: Stage, _: Injection) -> Healing:
    stage.broker.kill()
    yield
    stage.broker.start()


@contextmanager
def kafka_frozen(stage: Stage, _: Injection) -> Healing:
    stage.broker.suspend()
    yield
    stage.broker.resume()


@contextmanager
def refusal(stage: Stage, injection: Injection) -> Healing:
    """Let Kafka refuse every message of a topic for a while, and then a person let go what was held."""
    source = stage.sources[injection.target]
    relays = [stage.members[name] for name in stage.scale.relay_names]
    if injection.how == "relay.judged":
        _start(relays, injection.how)
    insist(lambda: stage.kafka.configure(source.topic.name, max_message_bytes=SMALL))
    yield
    if injection.how == "relay.judged":
        _wait_for_death(*relays)
        _start(relays)
    insist(lambda: stage.kafka.configure(source.topic.name, max_message_bytes="1048588"))
    if injection.how == "relay.released":
        _start(relays, injection.how)
    insist(lambda: let_go(stage, source))
    if injection.how == "relay.released":
        _wait_for_death(*relays)
        _start(relays)


def _start(relays: Sequence[Member], failpoint: str = "") -> None:
    for relay in relays:
        relay.start(failpoint)


def let_go(stage: Stage, source: SourceDatabase) -> int:
    """Release what is held and does not heal by itself; return how many holds that were."""
    with stage.connect(source) as person:
        row = person.execute(LET_GO).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def topic_missing(stage: Stage, injection: Injection) -> Healing:
    source = stage.sources[injection.target]
    topic = stage.late_topic(source, f"late-{uuid7()}")
    with suppress(*AWAY), stage.connect(source) as connection:
        workload = stage.workload(source, topic)
        connection.execute("INSERT INTO account VALUES (%s)", (topic.name,))
        connection.commit()
        for _ in range(10):
            workload.commit(connection, workload.write(connection, [topic.name]))
    yield
    insist(lambda: _create(stage, topic.name))


def _create(stage: Stage, topic: str) -> None:
    try:
        stage.kafka.create_topic(topic, partitions=1)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


@contextmanager
def network_cut(stage: Stage, injection: Injection) -> Healing:
    direction: Any = injection.how
    stage.links[injection.target].freeze(direction)
    yield
    stage.links[injection.target].thaw()


@contextmanager
def connections_broken(stage: Stage, injection: Injection) -> Healing:
    stage.links[injection.target].drop()
    yield


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "freeze": freeze,
    "freeze past the lease": freeze,
    "failpoint": failpoint,
    "database down": database_down,
    "terminate backends": terminate_backends,
    "snapshot held": snapshot_held,
    "prepared and abandoned": prepared_and_abandoned,
    "table locked": table_locked,
    "short timeouts": short_timeouts,
    "deadlocks": deadlock,
    "backlog": backlog,
    "kafka down": kafka_down,
    "kafka frozen": kafka_frozen,
    REFUSAL: refusal,
    "topic missing": topic_missing,
    "network cut": network_cut,
    "connections broken": connections_broken,
}


def insist(act: Callable[[], T]) -> T:
    """Do it, however often the servers are away."""
    deadline = time.monotonic() + HEALED_WITHIN
    while True:
        try:
            return act()
        except AWAY:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
