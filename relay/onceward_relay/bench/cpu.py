"""CPU seconds of processes, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def backend_cpu_seconds(pid: int, database: str) -> float | None:
    """Return the CPU seconds of a PostgreSQL backend; None if it does not run on this machine.

    A backend shows its database's name in its command line, so that a process of the same number is not taken for it.
    """
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return cpu_seconds(pid) if b"postgres:" in command and database.encode() in command else None
    except OSError:
        return None
