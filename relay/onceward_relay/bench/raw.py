"""The raw client: produces the messages of a benchmark as fast as confluent-kafka can. A process of its own.

Reads its task as JSON from standard input and prints {"seconds", "cpu"}. With `headers` each message carries the six
CloudEvents headers that the relay gives it; with `seed` the ids are the same each time.
"""

import json
import os
import sys
import time
from random import Random
from typing import Any
from uuid import UUID

from onceward_relay.bench.machine import cpu_seconds
from onceward_relay.kafka import LARGEST_BATCH, PROMISED, Client, Options
from onceward_relay.records import CE_ID, JSON, SPEC, now_ms

POLL_EVERY = 1000


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    print(json.dumps(produce(**task)))


def produce(
    options: Options, topic: str, messages: int, size: int, keys: int, *, headers: bool, seed: int | None = None
) -> dict[str, float]:
    """Produce, wait for every acknowledgement, and return seconds and CPU seconds."""
    settings: dict[str, Any] = {"linger.ms": 20, "batch.size": LARGEST_BATCH, "log_level": 3, **options, **PROMISED}
    client = Client(settings)
    payload = b"x" * size
    key = [b"key-%d" % i for i in range(keys)]
    chance = Random(seed)  # noqa: S311 -- ids of a benchmark
    ids = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(messages)]
    source, kind, at = ("ce_source", "bench"), ("ce_type", "Benched"), ("ce_time", "2000-01-01T00:00:00.000000Z")
    stamp, acknowledged = now_ms(), [0]

    def reported(error: Any, _: Any) -> None:
        assert error is None, error
        acknowledged[0] += 1

    client.list_topics(topic, timeout=30)
    send = client.produce
    began, cpu = time.perf_counter(), cpu_seconds(os.getpid())
    for number, message_id in enumerate(ids):
        attributes: Any = [SPEC, (CE_ID, message_id), source, kind, at, JSON] if headers else None
        while True:
            try:
                send(topic, payload, key[number % keys], -1, reported, None, stamp, attributes)
                break
            except BufferError:
                client.poll(0.01)
        if not number % POLL_EVERY:
            client.poll(0)
    client.flush()
    assert acknowledged[0] == messages
    result = {"seconds": time.perf_counter() - began, "cpu": cpu_seconds(os.getpid()) - cpu}
    client.close()
    return result


if __name__ == "__main__":
    main()
