"""What goes to each topic, as far as the newest rows of the outboxes show."""

from dataclasses import dataclass

from onceward_relay.doctor.patient import Patient


@dataclass(frozen=True, slots=True)
class Traffic:
    """What goes to a topic."""

    largest: int
    """Bytes of the largest message with its key and headers, estimated from above."""
    keyless: bool
    """Whether any message has no key."""

    def __or__(self, other: "Traffic") -> "Traffic":
        """Return what both are together."""
        return Traffic(max(self.largest, other.largest), self.keyless or other.keyless)


Waiting = dict[str, Traffic]
"""By the topic's name in Kafka."""


def gather(patient: Patient, waiting: Waiting) -> None:
    """Add what a database's outbox holds to `waiting`."""
    for name, largest, keyless in patient.rows("topics"):
        topic = patient.source.routing.destination(name)
        goes = Traffic(largest, keyless)
        waiting[topic] = waiting.get(topic, goes) | goes
