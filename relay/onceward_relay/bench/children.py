"""Processes of a benchmark: modules of this package that read their task as JSON and print their result as JSON."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onceward_relay.bench import BenchError
from onceward_relay.embedded.guard import Guard


class Child:
    """A process that works on its task."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self._name = name
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait for the line that it prints once it is ready."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def result(self) -> dict[str, Any]:
        """Wait for its end and return its result.

        Raises:
            BenchError: it failed; its own output says why.

        """
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        if self._process.wait():
            raise BenchError(f"the benchmark's {self._name} failed; see above")
        result: dict[str, Any] = json.loads(text)
        return result


@contextmanager
def started(name: str, task: dict[str, Any]) -> Iterator[Child]:
    """Run the module `name` of this package with its task; it is killed at the end, and if this process is."""
    command = [sys.executable, "-m", f"onceward_relay.bench.{name}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        guard = Guard(process.pid, signal.SIGKILL)
        try:
            json.dump(task, process.stdin)
            process.stdin.close()
            yield Child(name, process)
        finally:
            if process.poll() is None:
                process.kill()
            guard.release()


def run(name: str, **task: Any) -> dict[str, Any]:
    """Run the module `name` of this package to its end and return its result."""
    with started(name, task) as child:
        return child.result()
