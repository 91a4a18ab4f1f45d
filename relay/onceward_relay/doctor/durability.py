"""Judges whether a topic keeps what it has acknowledged."""

from collections.abc import Iterator

from onceward_relay.cluster import Replicas, Settings
from onceward_relay.doctor.findings import Finding, problem, warning


def durability(name: str, replicas: Replicas, settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with how a topic is kept; nothing if all is well."""
    least = int(settings["min.insync.replicas"])
    kept = f"replication factor {replicas.configured}, min.insync.replicas {least}"
    if least > replicas.configured or least > replicas.in_sync:
        found = f"{kept}, {replicas.in_sync} in sync: nothing can be written"
        remedy = "bring the brokers back" if least <= replicas.configured else changed(name, "min.insync.replicas", "1")
        yield problem("replicas", found, remedy)
    elif replicas.configured == 1:
        found = f"{kept}: what is acknowledged is lost with one disk"
        yield warning("replicas", found, "kafka-reassign-partitions.sh to three replicas, then min.insync.replicas=2")
    elif least == 1:
        found = f"{kept}: a message that only its leader has counts as acknowledged, and is lost with it"
        yield problem("replicas", found, changed(name, "min.insync.replicas", "2"))
    elif least == replicas.configured:
        found = f"{kept}: one broker down, and nothing can be written"
        yield warning("replicas", found, "add a replica with kafka-reassign-partitions.sh")
    if settings.get("unclean.leader.election.enable") == "true":
        found = "unclean.leader.election.enable = true: a replica that lags may become leader, and the rest is lost"
        yield problem("leader election", found, changed(name, "unclean.leader.election.enable", "false"))


def changed(topic: str, setting: str, value: str) -> str:
    """Return the command that changes a setting of a topic."""
    return f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {setting}={value}"
