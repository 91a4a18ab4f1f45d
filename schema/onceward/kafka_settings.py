"""What a participant may tell the Kafka client of its consumer, and what it may not."""

from collections.abc import Mapping

from onceward.errors import ConfigError

Setting = str | int | float | bool

LOCKED: Mapping[str, tuple[str, str]] = {
    "enable.auto.commit": ("false", "an offset is committed after the database transaction, never by a timer"),
    "enable.auto.offset.store": ("false", "an offset is committed after the database transaction, never by a timer"),
    "auto.offset.reset": ("earliest", "any other value skips messages"),
    "isolation.level": ("read_committed", "messages of aborted Kafka transactions never happened"),
    "enable.partition.eof": ("false", "the end of a partition is no message"),
}
"""Settings that promises rest on, and why."""


def settings_for(given: Mapping[str, Setting], group: str) -> dict[str, Setting]:
    """Return all settings of the consumer's client. Whether a name exists only the client knows.

    Raises:
        ConfigError: a value is of a type that no setting has, a locked setting is changed, or the servers are missing.
    """
    locked = {**LOCKED, "group.id": (group, "it is set by group=")}
    for name, value in given.items():
        if not isinstance(value, Setting):
            raise ConfigError(name, f"must be text, a number, true or false, is {type(value).__name__}")
        needed, reason = locked.get(name, (value, ""))
        if str(value).lower() != str(needed).lower():
            raise ConfigError(name, f"must be {needed}: {reason}")
    if "bootstrap.servers" not in given:
        raise ConfigError("bootstrap.servers", "is missing: the addresses of Kafka, as host:port,host:port")
    return {**given, **{name: needed for name, (needed, _) in locked.items()}}
