"""The network under `onceward.http.Client`: a total deadline for each exchange, and a check of each address."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from onceward.errors import NotSent


class GuardedBackend(httpcore.NetworkBackend):
    """Connects only where it may, and gives every wait what is left of the exchange's deadline.

    Addresses are checked after the name is resolved and the connection goes to the address that was checked, so that a
    name cannot change its mind in between.
    """

    def __init__(self, *, anywhere: bool) -> None:
        self._anywhere = anywhere
        self._network = httpcore.SyncBackend()
        self._of_thread = threading.local()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Set the deadline of this thread's exchange, in seconds of the monotonic clock."""
        self._of_thread.deadline = deadline
        try:
            yield
        finally:
            del self._of_thread.deadline

    def left(self, timeout: float | None) -> float:
        """Return how long a wait may take: `timeout`, or what is left, never nothing."""
        left = float(self._of_thread.deadline) - time.monotonic()
        return max(left if timeout is None else min(left, timeout), 0.001)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers; refuse it if any is one that may not be called."""
        failure: Exception | None = None
        for address in self._addresses(host, port):
            try:
                stream = self._network.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
                return _GuardedStream(stream, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
        if not self._anywhere:
            for address in addresses:
                if _is_special(address):
                    raise NotSent(f"{host} has the address {address}, which no provider has", code="address_refused")
        return addresses


class _GuardedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return _GuardedStream(secured, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _is_special(address: str) -> bool:
    """Whether `address` leads to this machine, to its link (where clouds keep credentials), or to nobody."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved
