"""Writes messages at a steady rate, each with the time of its writing. A process of its own.

Reads its task as JSON from standard input and prints {"written", "commit_p50", "commit_p99"}: how long the
transactions themselves took, in milliseconds.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import quantiles
from typing import Any

from onceward_relay.bench.stage import connect, sql

CONNECTIONS = 4
TRANSACTION = 10
"""Messages of one transaction."""


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        took = [each for share in pool.map(partial(_write, task), range(CONNECTIONS)) for each in share]
    cuts = quantiles(took, n=100, method="inclusive")
    print(json.dumps({"written": len(took) * TRANSACTION, "commit_p50": cuts[49], "commit_p99": cuts[98]}))


def _write(task: dict[str, Any], number: int) -> list[float]:
    """Write one connection's share; return how long each transaction took, in milliseconds."""
    pause = CONNECTIONS * TRANSACTION / task["rate"]
    row = {name: task[name] for name in ("size", "topic", "keys")} | {"messages": TRANSACTION}
    took = []
    with connect(task["database"]) as connection:
        began = time.monotonic() + pause * number / CONNECTIONS
        for turn in range(task["messages"] // (CONNECTIONS * TRANSACTION)):
            time.sleep(max(0.0, began + turn * pause - time.monotonic()))
            stamp = time.time_ns()
            connection.execute(sql("write"), {**row, "stamp": f"{stamp:020}", "turn": turn})
            took.append((time.time_ns() - stamp) / 1e6)
    return took


if __name__ == "__main__":
    main()
