"""What a participant may tell the Kafka client of its consumer, and what it may not."""

from collections.abc import Mapping

from onceward.errors import ConfigError
from onceward.from_file import FromFile, LiveOptions, Setting
from onceward.kafka_options import CONSUMING, objection, value_objection

LOCKED: Mapping[str, tuple[str, str]] = {
    "enable.auto.commit": ("false", "an offset is committed after the database transaction, never by a timer"),
    "enable.auto.offset.store": ("false", "an offset is committed after the database transaction, never by a timer"),
    "auto.offset.reset": ("earliest", "any other value skips messages"),
    "isolation.level": ("read_committed", "messages of aborted Kafka transactions never happened"),
    "enable.partition.eof": ("false", "the end of a partition is no message"),
    "allow.auto.create.topics": ("false", "a misspelt topic must not come into being"),
}
"""Settings that promises rest on, and why."""

DEFAULTS: Mapping[str, Setting] = {
    # A topic that the broker did not know when the group was joined is assigned to nobody until the next look. The
    # client's own 5 minutes are long for a topic made a moment later, and for a broker that has just been restarted.
    "topic.metadata.refresh.interval.ms": 10_000,
}
"""Settings where the client's own default would not do. They may be changed."""
HEARTBEAT = 3000
"""Milliseconds between heartbeats, the client's own default."""
HEARTBEATS_A_SESSION = 3
"""How many heartbeats fit at least into a session, unless the settings say otherwise; Kafka's own advice."""


def settings_for(given: Mapping[str, Setting | FromFile], group: str) -> LiveOptions:
    """Return all settings of the consumer's client. Whether a value is right only the client knows.

    Raises:
        ConfigError: a setting may not be set, has a value that no setting has, cannot be read from its file, or the
            servers are missing.
    """
    locked = {**LOCKED, "group.id": (group, "it is set by group=")}
    for name, value in given.items():
        if not isinstance(value, Setting | FromFile):
            raise ConfigError(name, f"must be text, a number, true or false, is {type(value).__name__}")
        if reason := objection(name, CONSUMING | locked.keys()):
            raise ConfigError(name, reason)
    options = LiveOptions(
        {**DEFAULTS, **_heartbeat(given), **given, **{name: needed for name, (needed, _) in locked.items()}}
    )
    for name in given:
        needed, reason = locked.get(name, ("", ""))
        if needed and str(given[name]).lower() != needed.lower():
            raise ConfigError(name, f"must be {needed}: {reason}")
        if reason := value_objection(name, options[name]) or "":
            raise ConfigError(name, reason)
    if "bootstrap.servers" not in given:
        raise ConfigError("bootstrap.servers", "is missing: the addresses of Kafka, as host:port,host:port")
    return options


def _heartbeat(given: Mapping[str, Setting | FromFile]) -> Mapping[str, int]:
    """Return how often a member must show itself to outlive a session that is shorter than the client expects.

    Raises:
        ConfigError: by the settings, each session would end before its first heartbeat.
    """
    session, interval = (_milliseconds(given.get(name)) for name in ("session.timeout.ms", "heartbeat.interval.ms"))
    if session is None:
        return {}
    if interval is None:
        return {"heartbeat.interval.ms": max(1, min(HEARTBEAT, session // HEARTBEATS_A_SESSION))}
    if interval >= session:
        raise ConfigError(
            "heartbeat.interval.ms",
            f"must be shorter than session.timeout.ms ({session}), a third of it at most, is {interval}: "
            "else the group takes this member's partitions away again and again",
        )
    return {}


def _milliseconds(value: Setting | FromFile | None) -> int | None:
    """Return a whole number; None for what is not given or none, which is the client's to judge."""
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None
