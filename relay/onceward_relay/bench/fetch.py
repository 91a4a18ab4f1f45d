"""The relay's reading alone: walks the outbox page by page, as the relay does, and drops what it reads.

A process of its own. Reads its task as JSON from standard input and prints {"rows", "seconds"}.
"""

import json
import sys
import time

from pydantic import SecretStr

from onceward_relay.candidate import Candidate
from onceward_relay.config import SourceSettings
from onceward_relay.outbox import ID, Outbox
from onceward_relay.position import Position, Window
from onceward_relay.session import Session
from onceward_relay.shares import Share
from onceward_relay.stream import NO_WAIT


def main() -> None:
    """Do the task on standard input."""
    task = json.load(sys.stdin)
    source = SourceSettings(name="bench", database=SecretStr(task["database"]))
    session = Candidate(source, Share(source.name, "bench")).win("bench")
    print(json.dumps(fetch(session)))
    session.close()


def fetch(session: Session) -> dict[str, float]:
    """Read all that was committed since the checkpoint; return the number of rows and the seconds it took."""
    outbox, since, rows = Outbox(session), session.position.s1, 0
    began = time.perf_counter()
    now = outbox.probe(since, NO_WAIT).snapshot
    position = Position(since, now, outbox.start_of(Window(since, now)))
    while page := outbox.page(position):
        rows += len(page)
        position = Position(since, now, page[-1][ID])
        outbox.read_ahead(position)
    return {"rows": rows, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
