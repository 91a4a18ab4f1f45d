"""Reads what a benchmark's writer has written, and how old each message is when it comes. A process of its own.

Reads its task as JSON from standard input, prints a line when it is ready, and then the ages in milliseconds:
{"read", "seconds" from the first to the last, "p50", "p99", "max"}.
"""

import json
import sys
import time
from statistics import quantiles
from typing import Any

from onceward_relay.bench.topics import reader


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    print(json.dumps(ages(task["kafka"], task["topic"], task["messages"], task["patience"])))


def ages(kafka: str, topic: str, messages: int, patience: float) -> dict[str, Any]:
    """Read so many messages and return percentiles of their ages."""
    found: list[float] = []
    began = now = 0
    deadline = time.monotonic() + patience
    with reader(kafka, topic) as next_values:
        print("ready", flush=True)
        while len(found) < messages and time.monotonic() < deadline:
            values = next_values(0.1)
            now = time.time_ns()
            began = began or (now if values else 0)
            found += [(now - int(value[:20])) / 1e6 for value in values]
    cuts = quantiles(found, n=100, method="inclusive") if len(found) > 1 else [0.0] * 99
    seconds = max(now - began, 1) / 1e9
    return {"read": len(found), "seconds": seconds, "p50": cuts[49], "p99": cuts[98], "max": max(found, default=0.0)}


if __name__ == "__main__":
    main()
