"""A TCP proxy between the relay and PostgreSQL, to do to a connection what networks and poolers do."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Rewrite = Callable[[bytes], bytes]


class Proxy:
    """Forwards connections; can freeze, so that bytes go nowhere while every connection stays open."""

    def __init__(self, host: str, port: int, rewrite: Rewrite = bytes) -> None:
        self._target = host, port
        self._rewrite = rewrite
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._ended.set()
        self._open.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select([self._listener], [], [], 0.05)
            if ready:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._forward, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            while not self._ended.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.01)
                self._open.wait()
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is server:
                        client.sendall(self._rewrite(data))
                    else:
                        server.sendall(data)


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
