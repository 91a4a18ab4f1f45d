"""Two hundred open pages over real sockets, all at once, and what they cost the console."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")


def people(home: str, pages: int) -> list[str]:
    """Log people in, of whom each has ten pages, and return each page's cookie."""
    names = [f"person-{number}" for number in range(-(-pages // 10))]
    with psycopg.connect(home) as connection:
        connection.cursor().executemany(
            """WITH new AS (INSERT INTO onceward_console.person (name, issuer, subject) VALUES (%(name)s, 'test', %(name)s)
                            ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name RETURNING id),
                    role AS (INSERT INTO onceward_console.person_role (person_id, participant, role, given_by)
                             SELECT id, '*', 'viewer', 'test' FROM new ON CONFLICT DO NOTHING)
               INSERT INTO onceward_console.session (token_sha256, person_id, form_token, expires_at)
               SELECT sha256(convert_to(%(name)s, 'UTF8')), id, 'f', now() + interval '1 h' FROM new ON CONFLICT DO NOTHING""",
            [{"name": name} for name in names],
        )
    return [f"onceward={names[number // 10]}" for number in range(pages)]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def parent(pid: int) -> int:
    """Return the process that began another one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def resident(pid: int) -> int:
    """Return the memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
