"""Asking many participants at once: who does not answer in time is named, and the page is shown without them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from onceward.sqlfiles import statement
from onceward_relay.config_types import Named
from onceward_relay.people.deciding import calling, in_words

log = logging.getLogger(__name__)
READERS, DECIDERS = 8, 4
"""Connections to a participant's database at most, for pages and for decisions."""
READING = "-c default_transaction_read_only=on -c statement_timeout=10s -c plan_cache_mode=force_custom_plan -c jit=off"
"""What a page asks is planned for what it asks: a filter that is not given is no part of the plan."""
PATIENCE = 20.0
"""Seconds that a decision waits for another one, or for a worker."""
Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


@dataclass(slots=True)
class Answers:
    """What the participants that were asked have said."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """All rows, each with its `participant`."""
    missing: dict[str, str] = field(default_factory=dict)
    """Who did not answer, and why."""


class Participant:
    """One participant's database: read by connections that cannot write, decided over others."""

    def __init__(self, settings: Named) -> None:
        self.name = settings.name
        self.place = settings.place
        self._readers = pool_of(settings, READERS, READING, autocommit=True)
        self._deciders = pool_of(settings, DECIDERS, f"-c lock_timeout={PATIENCE:.0f}s -c statement_timeout=60s")

    async def __aenter__(self) -> Self:
        await self._readers.open()
        await self._deciders.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._readers.close()
        await self._deciders.close()

    async def rows(self, query: str, parameters: Mapping[str, Any]) -> list[DictRow]:
        """Run the query `people/sql/QUERY.sql` or `console/sql/QUERY.sql`, which only reads."""
        async with self._readers.connection() as connection:
            return await (await connection.execute(text_of(query), parameters)).fetchall()

    async def together(self, queries: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, list[DictRow]]:
        """Run several queries in one round trip and return the rows of each."""
        async with self._readers.connection() as connection, connection.pipeline():
            cursors = {query: await connection.execute(text_of(query), parameters) for query in queries}
            return {query: await cursor.fetchall() for query, cursor in cursors.items()}

    async def decide(self, *calls: tuple[str, Mapping[str, Any]]) -> list[DictRow]:
        """Call functions of the schema in one transaction and return the rows of the last.

        Raises:
            psycopg.Error: the database refuses; nothing was changed.

        """
        async with self._deciders.connection() as connection:
            rows: list[DictRow] = []
            for function, arguments in calls:
                rows = await (await connection.execute(*calling(function, **arguments))).fetchall()
            return rows


class Participants(Mapping[str, Participant]):
    """All participants that the console was told of."""

    def __init__(self, settings: Sequence[Named], deadline: float) -> None:
        self._all = {each.name: Participant(each) for each in settings}
        self._deadline = deadline
        self._open = AsyncExitStack()

    def __getitem__(self, name: str) -> Participant:
        return self._all[name]

    def __iter__(self) -> Any:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    async def __aenter__(self) -> Self:
        for participant in self._all.values():
            await self._open.enter_async_context(participant)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def ask(
        self,
        names: Iterable[str],
        query: str,
        parameters: Mapping[str, Any],
        own: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Answers:
        """Ask these participants the same at once, each within the deadline; `own` holds what differs for each."""
        answers = Answers()
        each = own or {}

        async def one(name: str) -> None:
            try:
                async with asyncio.timeout(self._deadline):
                    rows = await self[name].rows(query, {**parameters, **each.get(name, {})})
            except TimeoutError:
                answers.missing[name] = f"did not answer within {self._deadline * 1000:.0f} ms"
            except psycopg.Error as error:
                log.warning("participant %s does not answer: %s", name, type(error).__name__)
                answers.missing[name] = in_words(error)
            else:
                answers.rows += [{**row, "participant": name} for row in rows]

        await asyncio.gather(*map(one, names))
        return answers


def pool_of(settings: Any, most: int, options: str = "", *, autocommit: bool = False) -> Pool:
    """Return a pool that connects when it is asked to, with the password as it is then.

    With `autocommit` each statement is a transaction, and costs one round trip and not three.
    """
    return AsyncConnectionPool(
        lambda: settings.conninfo,
        kwargs={
            "row_factory": dict_row, "connect_timeout": 5, "options": options,
            "application_name": "onceward console", "autocommit": autocommit,
        },
        min_size=0,
        max_size=most,
        max_idle=300,
        timeout=5,
        open=False,
    )  # fmt: skip


def text_of(query: str) -> str:
    """Return the text of a query that the console has alone, or shares with the command line."""
    try:
        return statement("onceward_relay.console", query)
    except FileNotFoundError:
        return statement("onceward_relay.people", query)
