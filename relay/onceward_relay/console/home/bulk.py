"""Lists that a dry run has frozen, and how far they were done, in the console's own database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from onceward.sqlfiles import statement
from onceward_relay.console.home.store import Home

FROZEN_FOR = timedelta(hours=12)
"""How long a dry run can be acted on."""
KEPT_FOR = timedelta(days=30)
"""How long the results of a bulk can be looked at."""
COPY = """
COPY onceward_console.bulk_item
  (bulk_id, no, participant, subject, version, decision, about, amount, currency, state, outcome) FROM STDIN"""


@dataclass(frozen=True, slots=True)
class Item:
    """One call, flow or decision, as the dry run saw it."""

    participant: str
    subject: UUID
    version: int
    decision: UUID
    about: str
    amount: Decimal | None
    currency: str | None
    impossible: str | None = None
    """Why nothing can be done to it; None if something can."""


class Bulks:
    """The frozen lists of all people."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def freeze(
        self, id_: UUID, person: UUID, kind: str, verb: str, about: str, items: Sequence[Item], *, capped: bool
    ) -> None:
        """Keep what a dry run has found. The same id again changes nothing."""
        bulk = {"id": id_, "person": person, "kind": kind, "verb": verb, "about": about, "capped": capped}
        async with self._home.transaction() as connection:
            await connection.execute("DELETE FROM onceward_console.bulk WHERE expires_at < clock_timestamp()")
            kept = await connection.execute(_sql("bulk_freeze"), bulk | {"time": FROZEN_FOR})
            if not kept.rowcount:
                return
            async with connection.cursor() as cursor, cursor.copy(COPY) as rows:
                for no, each in enumerate(items, 1):
                    state = "waiting" if each.impossible is None else "impossible"
                    seen = each.participant, each.subject, each.version, each.decision, each.about
                    await rows.write_row((id_, no, *seen, each.amount, each.currency, state, each.impossible))

    async def of(self, id_: UUID, person: UUID) -> DictRow | None:
        """Return a person's bulk with what it amounts to; None if there is none, or it is another's."""
        rows = await self._home.rows(_sql("bulk_of"), {"id": id_, "person": person})
        return rows[0] if rows else None

    async def totals(self, id_: UUID) -> list[DictRow]:
        """Return the money at stake of what is possible, for each currency."""
        return await self._home.rows(_sql("bulk_totals"), {"id": id_})

    async def items(self, id_: UUID, *, behind: int, limit: int, state: str | None = None) -> list[DictRow]:
        """Return items in their order, those behind a number."""
        return await self._home.rows(_sql("bulk_items"), {"id": id_, "behind": behind, "limit": limit, "state": state})

    async def newest(self, person: UUID) -> list[DictRow]:
        """Return what a person did for many of late."""
        return await self._home.rows(_sql("bulks_newest"), {"person": person})

    async def begin(self, id_: UUID, person: UUID, reason: str) -> bool:
        """Let a frozen list be done; False if it has expired, or was begun with another reason."""
        begun = {"id": id_, "person": person, "reason": reason, "kept": KEPT_FOR}
        return bool(await self._home.rows(_sql("bulk_begin"), begun))

    async def stop(self, id_: UUID, person: UUID) -> None:
        """Let nothing more be done; what is being done just now ends."""
        await self._home.rows(_sql("bulk_stop"), {"id": id_, "person": person})

    @asynccontextmanager
    async def next(self) -> AsyncIterator["Turn | None"]:
        """Lend the next item that is due, locked; None if nothing is. Unless it is ended it stays as it was."""
        async with self._home.transaction() as connection:
            row = await (await connection.execute(_sql("bulk_next"))).fetchone()
            yield Turn(row, connection) if row is not None and row["id"] is not None else None


class Turn:
    """An item whose turn it is."""

    def __init__(self, row: DictRow, connection: AsyncConnection[DictRow]) -> None:
        self.row = row
        self._connection = connection

    async def end(self, state: str, outcome: str) -> None:
        """Say what has become of it."""
        ended = {"state": state, "outcome": outcome[:1000], "id": self.row["id"], "no": self.row["no"]}
        await self._connection.execute(_sql("bulk_item_end"), ended)
        await self._wait(timedelta(0), None)

    async def put_off(self, time: timedelta, trouble: str) -> None:
        """Leave the whole bulk alone for a while."""
        await self._wait(time, trouble[:1000])

    async def _wait(self, time: timedelta, trouble: str | None) -> None:
        await self._connection.execute(_sql("bulk_wait"), {"time": time, "trouble": trouble, "id": self.row["id"]})


def _sql(name: str) -> str:
    return statement("onceward_relay.console.home", name)
