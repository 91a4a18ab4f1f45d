"""A source's writer as a process, with its log outside PostgreSQL.

`python -m tests.campaign.writer NAME DATABASE TOPIC LOG SEED KEYS THREADS`
"""

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import psycopg

from tests.checker.workload import Log, Manner, Workload

ASYNCHRONOUS = 0.15
PAUSE = 0.08


def main(name: str, database: str, topic: str, log: str, seed: str, keys: str, threads: str) -> None:
    threading.excepthook = _end_at_once
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while (workload := _begin(name, database, topic, Path(log), seed, int(keys))) is None:
        if stopped.wait(0.1):
            return
    workload.start(int(threads))
    stopped.wait()
    while not _ended(workload):
        threading.Event().wait(0.1)


def _begin(name: str, database: str, topic: str, log: Path, seed: str, keys: int) -> Workload | None:
    try:
        workload = Workload(database, topic, Log(log), seed, Manner(keys, ASYNCHRONOUS, PAUSE), name)
        workload.end_what_is_left()
    except psycopg.OperationalError:
        return None  # the server is away
    return workload


def _ended(workload: Workload) -> bool:
    try:
        workload.stop()
        workload.end_what_is_left()
    except psycopg.OperationalError:
        return False
    return True


def _end_at_once(hook: threading.ExceptHookArgs) -> None:
    """End the process at an error that a participant should not meet: the campaign takes note of it."""
    traceback.print_exception(hook.exc_value)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
