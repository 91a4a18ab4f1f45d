"""Whether a configuration would work: each source is asked, and Kafka about its topics; nothing is taken over."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from onceward.errors import ConfigError
from onceward_relay.cluster import Cluster
from onceward_relay.config import Settings, SourceSettings
from onceward_relay.errors import KafkaTrouble, SourceTrouble
from onceward_relay.exactly_once_rights import Rights, are_safe_to_ask, too_short
from onceward_relay.kafka import ClientError, Options, Pulse
from onceward_relay.session import connect, explained, refuse_foreign, refuse_other_schema, refuse_unfit, sql
from onceward_relay.topics import Topic, Topics
from onceward_relay.transactions import identity

PATIENCE = 10.0
"""Seconds that Kafka has to answer."""
MAY = "the relay may do what the mode needs"
UNASKED = (
    "whether it may use its transactional id was not asked: that could disturb a relay at work if brokers allow"
    " transactions of any length, and their settings are not to be seen without DescribeConfigs on the cluster"
)
NO_COORDINATOR = "with fewer brokers than transaction.state.log.replication.factor there are no transactions"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing."""

    subject: str
    """kafka, a source, a topic, or the exactly-once mode of a source."""
    ok: bool
    text: str
    """How it stands; where it is not ok, what is wrong and what to do."""


def check(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each source, for Kafka, each topic that waits in an outbox, and each source's mode."""
    waiting: set[str] = set()
    for source in settings.source:
        yield _source(source, waiting)
    once = [source for source in settings.source if source.delivery == "exactly_once"]
    yield from _kafka(settings.client_options, sorted(waiting), once)


def _source(source: SourceSettings, waiting: set[str]) -> Finding:
    subject = f"source {source.name}"
    try:
        with connect(source) as connection, explained():
            refuse_unfit(connection)
            newer = refuse_other_schema(connection)
            missing = [row[0] for row in connection.execute(sql("missing_rights")).fetchall()]
            if missing:
                text = f"rights are missing: {', '.join(missing)}; grant onceward_relay to the relay's role"
                return Finding(subject, ok=False, text=text)
            refuse_foreign(connection, connection.execute(sql("newest_checkpoint")).fetchone())
            waiting |= {source.routing.destination(row[0]) for row in connection.execute(sql("newest_topics"))}
            return Finding(subject, ok=True, text=f"{source.place}: {_owner(connection)}{_newer(newer)}")
    except SourceTrouble as error:
        return Finding(subject, ok=False, text=f"{source.place}: {error}")


def _newer(revision: str | None) -> str:
    return f"; its schema, revision {revision}, is newer than this program and lets it go on" if revision else ""


def _owner(connection: "psycopg.Connection[tuple[object, ...]]") -> str:
    row = connection.execute(sql("owner")).fetchone()
    assert row is not None
    relay, since, held = row
    if not held:
        return "no relay owns it"
    return f"relay {relay} owns it since {since}"


def _kafka(options: Options, topics: list[str], once: Sequence[SourceSettings]) -> Iterator[Finding]:
    servers = f"kafka {options['bootstrap.servers']}"
    try:
        described = describe(options, topics)
    except (KafkaTrouble, ConfigError) as error:
        text = f"{error}; see bootstrap.servers and the security options in [kafka]"
        yield Finding(servers, ok=False, text=text)
        return
    yield Finding(servers, ok=True, text="answers")
    for name in topics:
        problem = described[name].problem
        text = f"{problem}; messages to it are held until it is there" if problem else "is there"
        yield Finding(f"topic {name}", ok=problem is None, text=text)
    yield from (_exactly_once(options, source) for source in once)


def _exactly_once(options: Options, source: SourceSettings) -> Finding:
    """See whether Kafka would let a source work in its mode. A relay that is at work there does not notice."""
    subject, asked, missing = f"exactly once {source.name}", False, list[str]()
    try:
        cluster = Cluster(options, silent_log(), patience())
        brokers = cluster.settings_of_brokers(cluster.brokers())
        missing += filter(None, [too_short(brokers)])
        rights = Rights(source, options, silent_log(), patience())
        missing += rights.missing()
        asked = are_safe_to_ask(brokers)
        if asked and rights.denied_id():
            missing.append(f"grant Write and Describe on the transactional id {identity(source.name)}")
    except (KafkaTrouble, ClientError) as error:
        missing.append(f"see why it does not answer, {error}: {NO_COORDINATOR}")
    if missing:
        return Finding(subject, ok=False, text=f"Kafka would not let it: {'; '.join(missing)}")
    return Finding(subject, ok=True, text=MAY if asked else f"{MAY}, as far as can be seen; {UNASKED}")


def describe(options: Options, topics: Sequence[str]) -> dict[str, Topic]:
    """Return what Kafka says about `topics`; with none, find out whether it answers at all.

    Raises:
        KafkaTrouble: it did not answer within PATIENCE.

    """
    # A topic that cannot exist is asked for too: the answer shows that Kafka answers.
    return Topics(options, silent_log()).describe([*topics, "onceward-check"], patience())


def patience() -> Pulse:
    """Return a pulse that ends a wait after PATIENCE, counted from now."""
    deadline = time.monotonic() + PATIENCE

    def pulse() -> None:
        if time.monotonic() > deadline:
            raise KafkaTrouble("unreachable", f"no answer within {PATIENCE:.0f} s")

    return pulse


def silent_log() -> logging.Logger:
    """Return a logger for the client, of which nothing is seen: what it says is summed up in a finding."""
    log = logging.getLogger("onceward.relay.check")
    log.setLevel(logging.CRITICAL + 1)
    return log
