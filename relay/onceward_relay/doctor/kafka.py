"""Examines a Kafka cluster: does it answer, keep what it acknowledges, and take what waits in the outbox."""

from collections.abc import Iterator
from dataclasses import replace

from onceward.kafka_options import is_loopback
from onceward_relay.checks import describe, patience, silent_log
from onceward_relay.cluster import Cluster, Replicas, Settings
from onceward_relay.doctor.durability import changed, durability
from onceward_relay.doctor.exactly_once import of_mode, of_topics
from onceward_relay.doctor.findings import Finding, ok, problem, size, span, warning
from onceward_relay.doctor.traffic import Traffic, Waiting
from onceward_relay.errors import KafkaTrouble
from onceward_relay.kafka import BATCH_OVERHEAD, ClientError, Options
from onceward_relay.status.model import Count

SHORT_RETENTION = 86400 * 1000
"""Milliseconds of retention below which a consumer that stands still over a weekend loses messages."""

CLOCK = 60 * 1000
"""Milliseconds by which clocks may disagree in a cluster that is well."""


def examine(options: Options, waiting: Waiting, *, once: bool = False) -> Iterator[Finding]:
    """Yield what is found in the cluster and in the topics that the outboxes write to.

    `once`: a source is to be relayed exactly once.
    """
    servers = f"kafka {options['bootstrap.servers']}"
    try:
        found = [replace(each, subject=servers) for each in (*_cluster(options, once=once), *_transport(options))]
        topics = [*_topics(options, waiting), *(_topics_of_mode(options) if once else ())]
    except (KafkaTrouble, ClientError) as error:
        remedy = "start Kafka, or correct bootstrap.servers and the security options in [kafka]"
        yield replace(problem("reachable", str(error), remedy), subject=servers)
        return
    yield from found
    yield from topics


def _cluster(options: Options, *, once: bool) -> Iterator[Finding]:
    describe(options, [])
    cluster = Cluster(options, silent_log(), patience())
    brokers = cluster.brokers()
    number = Count(len(brokers)).of("broker")
    yield ok("reachable", f"{number}; Kafka shows clients neither its version nor its clock")
    if len(brokers) < 3:
        found = f"{number}: what is acknowledged is lost with a disk, or one broker down stops everything"
        yield warning("brokers", found, "run three brokers or more where losing messages matters")
    each = cluster.settings_of_brokers(brokers if once else brokers[:1])
    settings = each[brokers[0]]
    if settings is None:
        yield warning(
            "settings", "this client may not see the broker's settings", "grant it DescribeConfigs on the cluster"
        )
        return
    if settings.get("auto.create.topics.enable") == "true":
        found = "auto.create.topics.enable = true: a misspelt name becomes a topic with the wrong partitions"
        yield warning("auto-created topics", found, "set auto.create.topics.enable=false on every broker")
    else:
        yield ok("auto-created topics", "auto.create.topics.enable = false")
    if once:
        yield from of_mode(each)


def _transport(options: Options) -> Iterator[Finding]:
    """See whether anybody on the way can read what goes over the wire."""
    protocol = str(options.get("security.protocol", "plaintext")).lower()
    mechanism = str(options.get("sasl.mechanism", options.get("sasl.mechanisms", "")))
    hosts = [server.rpartition(":")[0] for server in str(options["bootstrap.servers"]).split(",")]
    if protocol in ("ssl", "sasl_ssl") or all(is_loopback(host.strip("[] ")) for host in hosts):
        return
    found, remedy = f"security.protocol = {protocol}: messages can be read on their way", "use ssl or sasl_ssl"
    if protocol == "sasl_plaintext" and mechanism in ("PLAIN", "OAUTHBEARER"):
        yield problem("encryption", f"{found}, and so can the {mechanism} secret", "use sasl_ssl")
    else:
        yield warning("encryption", found, remedy)


def _topics(options: Options, waiting: Waiting) -> Iterator[Finding]:
    if not waiting:
        return
    described = describe(options, list(waiting))
    there = [name for name in waiting if described[name].problem is None]
    cluster = Cluster(options, silent_log(), patience())
    replicas = cluster.replicas(there) if there else {}
    settings = cluster.settings_of(there) if there else {}
    for name, goes in waiting.items():
        for finding in _topic(name, goes, described[name].problem, replicas.get(name), settings.get(name)):
            yield replace(finding, subject=f"topic {name}")


def _topics_of_mode(options: Options) -> Iterator[Finding]:
    yield from of_topics(Cluster(options, silent_log(), patience()))


def _topic(
    name: str, goes: Traffic, trouble: str | None, replicas: Replicas | None, settings: Settings | None
) -> Iterator[Finding]:
    if trouble is not None or replicas is None:
        create = f"kafka-topics.sh --create --topic {name} --partitions 6 --replication-factor 3"
        remedy = create if trouble == "does not exist" else "correct the topic or the relay's ACLs"
        yield problem("topic", f"{trouble}; messages to it are held until this is mended", remedy)
        return
    if settings is None:
        yield warning("settings", "this client may not see them", f"grant it DescribeConfigs on the topic {name}")
        return
    doubts = [*durability(name, replicas, settings), *_limits(name, goes, settings), *_retention(name, settings)]
    yield from doubts
    if not doubts:
        yield ok(
            "topic", f"{replicas.configured} replicas, {settings['min.insync.replicas']} of which must have a message"
        )


def _limits(name: str, goes: Traffic, settings: Settings) -> Iterator[Finding]:
    most, largest = int(settings["max.message.bytes"]), goes.largest + BATCH_OVERHEAD
    if largest > most:
        found = (
            f"max.message.bytes = {most:,}, and the outbox has messages of up to {size(largest)}: their keys are held"
        )
        yield problem("message size", found, changed(name, "max.message.bytes", str(largest * 2)))
    behind = int(settings.get("message.timestamp.before.max.ms", SHORT_RETENTION))
    if behind < SHORT_RETENTION:
        found = (
            f"message.timestamp.before.max.ms = {behind}: a message that waits for {span(behind / 1000)} is set aside"
        )
        yield warning("timestamps", found, changed(name, "message.timestamp.before.max.ms", str(2**63 - 1)))
    ahead = int(settings.get("message.timestamp.after.max.ms", CLOCK))
    if ahead < CLOCK:
        found = f"message.timestamp.after.max.ms = {ahead}: a relay whose clock is so much ahead is refused"
        yield warning("timestamps", found, changed(name, "message.timestamp.after.max.ms", "3600000"))
    if "compact" in settings.get("cleanup.policy", "") and goes.keyless:
        found = "the topic is compacted, and refuses the messages without a key that go to it"
        yield problem("compaction", found, f"publish with a key, or {changed(name, 'cleanup.policy', 'delete')}")


def _retention(name: str, settings: Settings) -> Iterator[Finding]:
    """Inboxes forget nothing, so a repeated message is always known; a message that Kafka deletes unread is lost."""
    if "delete" not in settings.get("cleanup.policy", "delete"):
        return
    lasts, holds = int(settings.get("retention.ms", -1)), int(settings.get("retention.bytes", -1))
    if 0 <= lasts < SHORT_RETENTION:
        found = f"retention.ms = {lasts}: a consumer that stands still for {span(lasts / 1000)} loses messages"
        yield warning("retention", found, changed(name, "retention.ms", str(7 * 86400 * 1000)))
    if holds >= 0:
        found = f"retention.bytes = {holds}: a consumer that is {size(holds)} behind in a partition loses messages"
        yield warning("retention", found, changed(name, "retention.bytes", "-1"))
