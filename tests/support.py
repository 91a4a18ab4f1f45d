"""What the tests of every part use: waiting on conditions, and processes to kill."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from onceward_relay.embedded.guard import Guard

T = TypeVar("T")


def eventually(predicate: Callable[[], T], timeout: float = 30, describe: Callable[[], object] = lambda: "") -> T:
    """Return the first true value of `predicate`, asked again and again; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {predicate.__name__} {describe()}")
        time.sleep(0.01)
    return value


def gone(pid: int) -> bool:
    """Whether no process of this id runs; one that has ended and whom nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Process:
    """A Python program in a process of its own, with its output in a file; killed at the end of a `with` block.

    Nor does it outlive the tests if these are killed themselves.
    """

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str] | None = None, output: Path | None = None
    ) -> None:
        self._output = (
            output.open("ab") if output else tempfile.NamedTemporaryFile(prefix="onceward-test-", suffix=".log")  # noqa: SIM115 -- lives as long as the process
        )
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        self._guard = Guard(self._process.pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What the program has printed so far."""
        return Path(self._output.name).read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait(self, timeout: float = 90) -> int:
        """Wait for the end and return the exit status; negative for a signal."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.output[-4000:]}") from None

    def wait_for_output(self, text: str, timeout: float = 90) -> str:
        """Wait until the program has printed `text`, and return the line that holds it."""

        def line() -> str | None:
            lines = [line for line in self.output.splitlines() if text in line]
            assert lines or self.running, (
                f"ended with {self._process.returncode} before it printed {text!r}:\n{self.output[-4000:]}"
            )
            return lines[0] if lines else None

        found = eventually(line, timeout, lambda: f"{text!r} in:\n{self.output[-4000:]}")
        assert found is not None
        return found

    def terminate(self, timeout: float = 30) -> int:
        """Ask the process to end with SIGTERM and return its exit status."""
        self._process.terminate()
        return self.wait(timeout)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """Stop the process where it stands (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def wait_suspended(self, timeout: float = 90) -> None:
        """Wait until the process has stopped where it stands, as at a failpoint."""
        how = os.WSTOPPED | os.WNOWAIT | os.WNOHANG
        eventually(lambda: os.waitid(os.P_PID, self.pid, how) is not None, timeout, lambda: self.output[-4000:])

    def resume(self) -> None:
        """Let a suspended process go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._guard.release()
        self._output.close()
