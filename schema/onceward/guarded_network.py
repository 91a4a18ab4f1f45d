"""The network under `onceward.http.Client`: when an exchange must begin and end, and where it may lead."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from onceward.errors import NotSent

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds keep credentials, besides their link-local addresses."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Exchange:
    """One request and its answer, in one thread."""

    def __init__(self, deadline: float, check: Callable[[], None]) -> None:
        self.deadline = deadline
        """When it must be over, in seconds of the monotonic clock."""
        self.began = False
        """Whether a byte of the request may have left."""
        self._check = check

    def begin(self) -> None:
        """Ask, just before the first byte leaves, whether it still may."""
        if not self.began:
            self._check()
            self.began = True

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        """Return how long a wait may take: `timeout`, or what is left.

        Raises:
            TimeoutException: as `late`, if nothing is left. Without that, what never makes us wait would never end.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise late("the total deadline is over")
        return left if timeout is None else min(left, timeout)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects only where it may, and gives every wait what is left of the exchange's deadline.

    Addresses are checked after the name is resolved and the connection goes to the address that was checked, so that a
    name cannot change its mind in between. Only the resolving itself cannot be given a time.
    """

    def __init__(self, *, anywhere: bool) -> None:
        self._anywhere = anywhere
        self._network: httpcore.NetworkBackend = httpcore.SyncBackend()
        self._of_thread = threading.local()

    @contextmanager
    def exchange(self, deadline: float, check: Callable[[], None]) -> Iterator[Exchange]:
        """Begin this thread's exchange; `check` is called before its first byte leaves, and may raise."""
        self._of_thread.exchange = exchange = Exchange(deadline, check)
        try:
            yield exchange
        finally:
            del self._of_thread.exchange

    @property
    def current(self) -> Exchange:
        """The exchange of this thread."""
        exchange = self._of_thread.exchange
        assert isinstance(exchange, Exchange)
        return exchange

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
        addresses = self._addresses(host, port)
        for number, address in enumerate(addresses):
            share = self.current.left(timeout, httpcore.ConnectTimeout) / (len(addresses) - number)
            try:
                return _GuardedStream(
                    self._network.connect_tcp(address, port, share, local_address, socket_options), self
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
        if not self._anywhere:
            for address in addresses:
                if is_special(address):
                    raise NotSent(f"{host} has the address {address}, which no provider has", code="address_refused")
        return addresses


class _GuardedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.current.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._backend.current.left(timeout, httpcore.WriteTimeout)
        self._backend.current.begin()
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._backend.current.left(timeout, httpcore.ConnectTimeout)
        return _GuardedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def is_special(address: str) -> bool:
    """Whether `address` leads to this machine, to its link, to where clouds keep credentials, or to nobody."""
    ip = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    return (
        ip in _METADATA or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved
    )


def _innermost(ip: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
