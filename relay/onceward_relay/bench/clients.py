"""A participant's transactions, one after the other from many clients. A process of its own.

Reads its task as JSON from standard input and prints {"transactions", "p50", "p99"} in milliseconds. The clients are
threads over libpq, which wait without the interpreter's lock: their own share of the machine is small.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import quantiles
from threading import Barrier
from typing import Any

from psycopg.pq import ExecStatus

from onceward_relay.bench import BenchError
from onceward_relay.bench.stage import connect, sql


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    ready = Barrier(task["clients"])
    with ThreadPoolExecutor(task["clients"]) as pool:
        took = [each for share in pool.map(partial(_write, task, ready), range(task["clients"])) for each in share]
    cuts = quantiles(took, n=100, method="inclusive")
    print(json.dumps({"transactions": len(took), "p50": cuts[49], "p99": cuts[98]}))


def _write(task: dict[str, Any], ready: Barrier, number: int) -> list[float]:
    """Write one row after the other until the time is over; return how long each took, in milliseconds."""
    took: list[float] = []
    topic, payload, keys = task["topic"].encode(), b"x" * task["size"], task["keys"]
    with connect(task["database"]) as connection:
        server = connection.pgconn
        server.prepare(b"write", sql(task["statement"]).encode())
        ready.wait()
        until = time.perf_counter() + task["seconds"]
        while (began := time.perf_counter()) < until:
            key = b"key-%d" % ((number + len(took) * task["clients"]) % keys)
            result = server.exec_prepared(b"write", [topic, key, payload])
            if result.status != ExecStatus.COMMAND_OK:
                raise BenchError(result.get_error_message())
            took.append((time.perf_counter() - began) * 1000)
    return took


if __name__ == "__main__":
    main()
