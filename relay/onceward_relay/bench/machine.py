"""What processes take of this machine, from /proc, and what machine and versions a result comes from."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_MEBI = 1024  # /proc counts in KiB


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


def memory(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    return _status(pid, "VmRSS")


def peak_memory(pid: int) -> float:
    """Return the most resident memory that a process ever had, in MiB."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / _MEBI
    raise ProcessLookupError(f"process {pid} has ended")


def description() -> dict[str, Any]:
    """Return what the figures depend on besides the settings: the machine and the versions on this side."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("confluent-kafka", "psycopg", "sqlalchemy", "onceward")},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
