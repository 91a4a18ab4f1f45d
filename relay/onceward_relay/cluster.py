"""What Kafka's admin client tells of a cluster: brokers, replicas and settings. Changes nothing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from onceward_relay.kafka import ClientError, Options, Pulse, answered

Settings = Mapping[str, str]
_ASKED = 5
"""Seconds that the brokers have for one request."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How a topic is kept."""

    configured: int
    """Replicas of the partition that has the fewest."""
    in_sync: int
    """In-sync replicas of the partition that has the fewest."""


class Cluster:
    """A connection to a cluster. Each wait lasts as long as `pulse` lets it."""

    def __init__(self, options: Options, log: logging.Logger, pulse: Pulse) -> None:
        self._admin = AdminClient({"client.id": "onceward-doctor", "log_level": 0, **options}, logger=log)
        self._pulse = pulse

    def brokers(self) -> list[int]:
        """Return the numbers of the brokers that are there."""
        return sorted(
            node.id for node in answered(self._admin.describe_cluster(request_timeout=_ASKED), self._pulse).nodes
        )

    def replicas(self, topics: Sequence[str]) -> dict[str, Replicas]:
        """Return how each of `topics` is kept; they must exist."""
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_ASKED)
        found = {name: answered(future, self._pulse).partitions for name, future in asked.items()}
        return {
            name: Replicas(min(len(each.replicas) for each in parts), min(len(each.isr) for each in parts))
            for name, parts in found.items()
        }

    def settings_of_broker(self, number: int) -> Settings | None:
        """Return the settings of a broker; None if we may not ask."""
        return self._settings(ConfigResource.Type.BROKER, [str(number)])[str(number)]

    def settings_of_brokers(self, numbers: Sequence[int]) -> dict[int, Settings | None]:
        """Return the settings of each of these brokers, by its number; None if we may not ask."""
        return {number: self.settings_of_broker(number) for number in numbers}

    def settings_of(self, topics: Sequence[str]) -> dict[str, Settings | None]:
        """Return the settings of each of `topics`; None if we may not ask."""
        return self._settings(ConfigResource.Type.TOPIC, topics)

    def _settings(self, kind: Any, names: Sequence[str]) -> dict[str, Settings | None]:
        asked = self._admin.describe_configs([ConfigResource(kind, name) for name in names], request_timeout=_ASKED)
        found: dict[str, Settings | None] = {}
        for resource, future in asked.items():
            try:
                entries = answered(future, self._pulse)
                found[resource.name] = {name: entry.value for name, entry in entries.items() if entry.value is not None}
            except ClientError:
                found[resource.name] = None
        return found
