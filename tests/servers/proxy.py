"""A TCP proxy in front of a server, to do to connections what networks and poolers do."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Rewrite = Callable[[bytes], bytes]
Direction = Literal["both", "to server", "to client"]
AT_ONCE = 65536
LOOK_EVERY = 0.02
"""Seconds after which the proxy's thread sees at the latest what it was told to do."""


class Connection:
    """A client's connection and the server's that belongs to it, with what is on its way in each direction."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.said_before = False
        """Whether the client has said what must come before the question."""
        self.reply_is_lost = False
        """What the server says next is thrown away, and the connection breaks."""
        self.pipes = Pipe(self, client, server, to_server=True), Pipe(self, server, client, to_server=False)

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.source.close()


@dataclass(eq=False)
class Pipe:
    """One direction of a connection."""

    connection: Connection
    source: socket.socket
    sink: socket.socket
    to_server: bool
    waiting: bytes = b""


class Proxy:
    """Forwards connections; can freeze, so that bytes go nowhere while every connection stays open."""

    def __init__(self, host: str, port: int, rewrite: Rewrite = bytes) -> None:
        self._target = host, port
        self._rewrite = rewrite
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pipes: list[Pipe] = []
        self._frozen: frozenset[bool] = frozenset()
        """Which pipes stand still, by `to_server`."""
        self._question, self._before, self._passes = b"", b"", 0
        self._dropping = self._ended = False
        self.lost = 0
        """How many replies were lost."""
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name=f"proxy of port {port}")
        self._thread.start()

    def freeze(self, direction: Direction = "both") -> None:
        """Let nothing through, or nothing in one direction."""
        self._frozen = frozenset({"both": (True, False), "to server": (True,), "to client": (False,)}[direction])

    def thaw(self) -> None:
        """Let everything through again, first what was held back."""
        self._frozen = frozenset()

    def drop(self) -> None:
        """Break all connections."""
        self._dropping = True

    def lose_reply_to(self, question: bytes, passes: int = 0, before: bytes = b"") -> None:
        """Let `question` reach the server after so many like it, but not the reply: the connection breaks instead.

        `before`: only a question counts whose connection has said this before it.
        """
        self._passes, self._before, self._question = passes, before, question

    def close(self) -> None:
        """Break all connections and take no more."""
        self._ended = True
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._ended:
            moving = [pipe for pipe in self._pipes if pipe.to_server not in self._frozen]
            sources = {pipe.source: pipe for pipe in moving if not pipe.waiting}
            sinks = {pipe.sink: pipe for pipe in moving if pipe.waiting}
            readable, writable, _ = select.select([self._listener, *sources], [*sinks], [], LOOK_EVERY)
            if self._dropping:
                self._break(*{pipe.connection for pipe in self._pipes})
                self._dropping = False
                continue
            for sink in writable:
                self._pass_on(sinks[sink])
            for source in readable:
                if source is self._listener:
                    self._accept()
                elif sources[source] in self._pipes:
                    self._take(sources[source])
        self._break(*{pipe.connection for pipe in self._pipes})

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        for side in client, server:
            side.setblocking(False)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pipes += Connection(client, server).pipes

    def _take(self, pipe: Pipe) -> None:
        """Read what has come, and pass it on, change it or lose it."""
        try:
            data = pipe.source.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data and pipe.to_server:
            pipe.waiting = data
            pipe.connection.reply_is_lost |= self._is_asked(pipe.connection, data)
        elif data and pipe.connection.reply_is_lost:
            self.lost += 1
            data = b""
        else:
            pipe.waiting = self._rewrite(data)
        self._pass_on(pipe) if data else self._break(pipe.connection)

    def _is_asked(self, connection: Connection, data: bytes) -> bool:
        connection.said_before |= self._before in data
        if not self._question or self._question not in data or not connection.said_before:
            return False
        self._passes -= 1
        if self._passes >= 0:
            return False
        self._question = b""
        return True

    def _pass_on(self, pipe: Pipe) -> None:
        try:
            pipe.waiting = pipe.waiting[pipe.sink.send(pipe.waiting) :]
        except BlockingIOError:
            pass  # tried again when there is room
        except OSError:
            self._break(pipe.connection)

    def _break(self, *connections: Connection) -> None:
        self._pipes = [pipe for pipe in self._pipes if pipe.connection not in connections]
        for connection in connections:
            connection.close()


@contextmanager
def proxy(host: str, port: int, rewrite: Rewrite = bytes) -> Iterator[Proxy]:
    running = Proxy(host, port, rewrite)
    try:
        yield running
    finally:
        running.close()


def pooled(data: bytes) -> bytes:
    """Give the client a process number of the pooler's own, as poolers do: BackendKeyData is K, length 12, pid, secret."""
    place = data.find(b"K\x00\x00\x00\x0c")
    return data if place < 0 else data[: place + 5] + struct.pack("!i", 1_000_001) + data[place + 9 :]
