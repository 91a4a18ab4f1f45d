"""Judges what exactly-once mode rests on in Kafka: limits of the brokers, and two topics of Kafka's own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from onceward_relay.cluster import Cluster, Settings
from onceward_relay.doctor.durability import durability
from onceward_relay.doctor.findings import Finding, ok, problem, span, warning
from onceward_relay.exactly_once_rights import LIMIT, TIMEOUT, too_short
from onceward_relay.kafka import ClientError, refusal
from onceward_relay.transactions import REMEMBERED

RETENTION = "offsets.retention.minutes"
SHORT_DOWN = 86400
"""Seconds for which a relay should be able to be down without a source's being halted for it: a day."""
RESTS_ON = {"__consumer_offsets": "page numbers", "__transaction_state": "which transactions are committed"}


def of_mode(brokers: Mapping[int, Settings | None]) -> Iterator[Finding]:
    """Yield what the brokers' settings mean for the mode."""
    if remedy := too_short(brokers):
        yield problem("transactions", f"{LIMIT} is less than the relay needs: it cannot begin", remedy)
    else:
        yield ok("transactions", f"{LIMIT} allows the relay's {TIMEOUT}")
    kept = [int(settings[RETENTION]) * 60 for settings in brokers.values() if settings and RETENTION in settings]
    if kept:
        yield _memory(min(kept))


def _memory(seconds: int) -> Finding:
    """Judge for how long Kafka remembers a page number, which is committed anew before a page after REMEMBERED."""
    left = seconds - REMEMBERED
    found, remedy = f"{RETENTION} = {seconds // 60}", f"set {RETENTION}=10080, Kafka's default, on every broker"
    if left <= 0:
        what = (
            "Kafka forgets the last page before the relay repeats it: a crash in the middle of a page halts the source"
        )
        return problem("page numbers", f"{found}: {what}", remedy)
    if left < SHORT_DOWN:
        what = f"a source whose relay crashes in the middle of a page and is down for {span(left)} halts"
        return warning("page numbers", f"{found}: {what}", remedy)
    return ok("page numbers", f"{found}: a relay may be down for {span(left)} in the middle of a page")


def of_topics(cluster: Cluster) -> Iterator[Finding]:
    """Yield how Kafka keeps its own topics that the mode rests on; they are there once it was used."""
    for name, what in RESTS_ON.items():
        for finding in _of_topic(cluster, name, what):
            yield replace(finding, subject=f"topic {name}")


def _of_topic(cluster: Cluster, name: str, what: str) -> Iterator[Finding]:
    try:
        replicas = cluster.replicas([name])[name]
    except ClientError as error:
        if refusal(error.args[0]).about == "missing":  # Kafka makes it at the first need
            return
        yield from _unseen(name, what, str(error.args[0].str()))
        return
    settings = cluster.settings_of([name])[name]
    if settings is None:
        yield from _unseen(name, what, "its settings are denied")
        return
    found = list(durability(name, replicas, settings))
    yield from found or [
        ok("replicas", f"{what}: {replicas.configured} replicas, {settings['min.insync.replicas']} in sync")
    ]


def _unseen(name: str, what: str, why: str) -> Iterator[Finding]:
    remedy = f"grant Describe and DescribeConfigs on the topic {name}"
    yield warning("replicas", f"how {what} are kept could not be seen: {why}", remedy)
