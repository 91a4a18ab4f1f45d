"""Writes the rows of calls, or of flows of one call each, by psycopg from many threads. A process of its own.

The same task and result as `caller`: what the database alone allows.
"""

import json
import os
import sys
from collections.abc import Iterable
from uuid import uuid4

from psycopg import Connection

from onceward.database import psycopg_url
from onceward_relay.bench.caller import timed
from onceward_relay.bench.stage import PREFIX, connect, sql

REQUEST = b'{"amount":"12.50","account":"account 1234"}'
RESULT = '{"reference":"paid-key-1234"}'


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    threads, number = task["threads"], task["number"]
    url = psycopg_url(task["database"])
    with connect(url) as connection:
        connection.execute(sql("raw_operation"), {"provider": f"{PREFIX}bank"})
        if task["flows"]:
            connection.execute(sql("raw_start"), {"name": f"{PREFIX}settle", "number": number})
    connections = [connect(url) for _ in range(threads)]
    if task["flows"]:
        took = timed(threads, lambda own: _flows(connections[own]))
    else:
        took = timed(threads, lambda own: _calls(connections[own], range(own, number, threads)))
    print(json.dumps(took))


def _calls(connection: Connection, numbers: Iterable[int]) -> None:
    for _ in numbers:
        _call(connection, None)


def _flows(connection: Connection) -> None:
    while claimed := connection.execute(sql("raw_claim"), {"name": f"{PREFIX}settle"}, prepare=True).fetchone():
        _call(connection, claimed[0])
        connection.execute(sql("raw_complete"), {"id": claimed[0]}, prepare=True)


def _call(connection: Connection, flow: object) -> None:
    """Commit the attempt, then what it proves: two transactions, as every ledger needs."""
    call = {"id": uuid4(), "flow": flow, "provider": f"{PREFIX}bank", "request": REQUEST, "fingerprint": os.urandom(32)}
    with connection.transaction():
        connection.execute(sql("raw_begin"), call, prepare=True)
        connection.execute(sql("raw_attempt"), {"id": call["id"]}, prepare=True)
    with connection.transaction():
        connection.execute(sql("raw_attempt_end"), {"id": call["id"]}, prepare=True)
        connection.execute(sql("raw_succeed"), {"id": call["id"], "result": RESULT}, prepare=True)


if __name__ == "__main__":
    main()
