"""Two hundred open pages over real sockets, all at once, and what they cost the console."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a process, over some time."""

    cpu: float
    """Of one core, 0 to 1."""
    memory: int
    """Resident bytes at the end."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 -- a file of the kernel
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    """Return the memory of a process."""
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Crowd:
    """Open pages: connections that read what the console tells them."""

    def __init__(self, address: str, cookies: list[str]) -> None:
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._port = int(port)
        self._cookies = cookies
        self.heard = [0] * len(cookies)
        """States that each has heard of."""
        self.ended: list[bytes] = []
        """Last lines of streams that the console has ended."""

    async def listen(self, meanwhile: Callable[["Crowd"], object]) -> None:
        """Keep all pages open until `meanwhile`, which runs in a thread, has ended."""
        tasks = [asyncio.create_task(self._page(number)) for number in range(len(self._cookies))]
        try:
            await asyncio.to_thread(meanwhile, self)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _page(self, number: int) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            asked = f"GET /events?page=worklist HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nCookie: {self._cookies[number]}\r\n\r\n"
            writer.write(asked.encode())
            assert b"200 OK" in await reader.readline()
            last = b""
            while line := await reader.readline():
                self.heard[number] += line.startswith(b"event: state")
                last = line.strip() or last
            self.ended.append(last)
        finally:
            writer.close()
