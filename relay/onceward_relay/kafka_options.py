"""The options of the Kafka client that a configuration may set: which, in which form, and which are secrets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from onceward.from_file import FromFile
from onceward.kafka_options import CONNECTION, is_secret, objection

LOCKED = {
    "acks": "a message counts as sent only when all in-sync replicas have it",
    "allow.auto.create.topics": "a topic made by accident has wrong partitions; a missing one is held and reported",
    "delivery.report.only.error": "the relay counts every report",
    "delivery.timeout.ms": "a message that times out lets later ones of its key overtake it",
    "enable.gapless.guarantee": "without it the next message of a key lands although the one before was refused",
    "enable.idempotence": "without it a retry reorders and repeats messages",
    "max.in.flight": "the idempotent producer sets it",
    "max.in.flight.requests.per.connection": "the idempotent producer sets it",
    "message.max.bytes": "the relay goes by each topic's own limit",
    "message.send.max.retries": "a message is retried until it is acknowledged",
    "message.timeout.ms": "a message that times out lets later ones of its key overtake it",
    "partitioner": "all producers of a key must choose the same partition; murmur2_random is the Java client's choice",
    "queuing.strategy": "order is kept first in, first out",
    "request.required.acks": "a message counts as sent only when all in-sync replicas have it",
    "retries": "a message is retried until it is acknowledged",
    "transaction.timeout.ms": "the relay sets it where delivery = exactly_once",
    "transactional.id": "the relay sets it, by the source's name, where delivery = exactly_once",
}
"""Kafka options that a promise rests on, and why nobody may set them."""

PRODUCING = frozenset(
    """
    linger.ms queue.buffering.max.ms queue.buffering.max.messages queue.buffering.max.kbytes
    queue.buffering.backpressure.threshold batch.size batch.num.messages
    compression.type compression.codec compression.level sticky.partitioning.linger.ms request.timeout.ms
    """.split()  # noqa: SIM905 -- names read better without quotes and commas
)
"""What may be chosen besides how the brokers are reached."""

Scalar = str | int | float | bool


def from_file(value: object) -> object:
    """Let `{ file = "/run/secrets/x" }` stand for what is in the file."""
    if isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
        return FromFile(Path(value["file"]))
    return value


def _allowed(option: str) -> str:
    if option in LOCKED:
        raise ValueError(f"is set by the relay and may not be changed: {LOCKED[option]}")
    if reason := objection(option, PRODUCING):
        raise ValueError(reason)
    return option


def _flat(options: object) -> object:
    """Let `bootstrap.servers` stand with and without quotes: TOML reads the bare form as nested tables."""
    return dict(_joined("", options)) if isinstance(options, dict) else options


def _joined(prefix: str, options: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, given in options.items():
        option = prefix + name
        value = given if f"{option}.file" in CONNECTION else from_file(given)
        if isinstance(value, dict):
            yield from _joined(f"{option}.", value)
        else:
            yield option, value


def _with_secrets(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: SecretStr(str(value)) if is_secret(name) and isinstance(value, Scalar) else value
        for name, value in options.items()
    }


def _has_servers(options: dict[str, Any]) -> dict[str, Any]:
    if not options.get("bootstrap.servers"):
        raise ValueError('needs "bootstrap.servers"')
    return options


KafkaOptions = Annotated[
    dict[Annotated[str, AfterValidator(_allowed)], Scalar | SecretStr | FromFile],
    BeforeValidator(_flat),
    AfterValidator(_has_servers),
    AfterValidator(_with_secrets),
]
"""Options of the Kafka client by librdkafka's names."""
