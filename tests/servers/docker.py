"""Whether there is a Docker engine, and its containers."""

import socket
from functools import cache
from pathlib import Path


@cache
def engine_answers() -> bool:
    """Return whether a local Docker engine accepts connections; testcontainers is slow to find that there is none."""
    path = Path("/var/run/docker.sock")
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0
