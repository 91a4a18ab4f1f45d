"""Ends a server when the process that started it has ended, in whatever way that happened."""

import signal
import subprocess

_WAIT_THEN_SIGNAL = 'read -r _; kill -s "$0" "$1"'


class Guard:
    """Watches over a server from a process of its own, which waits at a pipe whose other end this process holds.

    When this process ends, even by SIGKILL, the pipe ends with it, and the server gets its signal.
    """

    def __init__(self, pid: int, how: signal.Signals) -> None:
        self._watch = subprocess.Popen(
            ["sh", "-c", _WAIT_THEN_SIGNAL, how.name.removeprefix("SIG"), str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # a Ctrl-C in the terminal is not for the guard
        )

    def release(self) -> None:
        """Watch no longer: the server has ended, and its process id may go to another."""
        self._watch.kill()
        self._watch.communicate()
