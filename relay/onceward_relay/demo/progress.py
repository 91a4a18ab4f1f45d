"""How far the work is, read from the databases while it goes on."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row

from onceward.sqlfiles import statement
from onceward_relay.demo.settings import Settings


@dataclass(frozen=True, slots=True)
class Progress:
    """How many transfers are where."""

    held: int = 0
    """Those whose money was held, whatever became of it, unless it was released."""
    completed: int = 0
    refused: int = 0
    refunded: int = 0
    searching: int = 0
    """Calls whose outcome code is finding out."""
    left_to_people: int = 0
    """Transfers that wait for a person."""

    @property
    def ended(self) -> int:
        """Transfers that have come to their end, or as near to it as code can bring them."""
        return self.completed + self.refused + self.refunded + self.left_to_people


class Databases:
    """The two participants' databases, for looking."""

    def __init__(self, settings: Settings) -> None:
        self._payer = _connect(settings.payer_database)
        self._payee = _connect(settings.payee_database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._payer.close()
        self._payee.close()

    def progress(self) -> Progress:
        """Return how far the work is."""
        transfers = self.payer("progress_payer")[0]
        searching = sum(each("progress_calls")[0]["searching"] for each in (self.payer, self.payee))
        return Progress(**transfers, searching=searching, left_to_people=len(self._left_to_people()))

    def under_way(self) -> list[str]:
        """Return what code is still at work on, in words."""
        found = [f"payer: {row['what']}" for row in self.payer("under_way")]
        return found + [f"payee: {row['what']}" for row in self.payee("under_way")]

    def open_transfers(self) -> list[str]:
        """Return which transfers have neither come to their end nor are left to people, in words."""
        left_to_people = self._left_to_people()
        return _by_state([row for row in self.payer("open_transfers") if row["id"] not in left_to_people])

    def _left_to_people(self) -> set[UUID]:
        return {UUID(row["ref"]) for row in [*self.payer("left_to_people"), *self.payee("left_to_people")]}

    def payer(self, name: str) -> list[DictRow]:
        """Run a statement of the demo in the payer's database."""
        return self._payer.execute(statement("onceward_relay.demo", name)).fetchall()

    def payee(self, name: str) -> list[DictRow]:
        """Run a statement of the demo in the payee's database."""
        return self._payee.execute(statement("onceward_relay.demo", name)).fetchall()


def _connect(url: str) -> psycopg.Connection[DictRow]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=10)


def _by_state(transfers: Collection[dict[str, Any]]) -> list[str]:
    states = sorted({row["state"] for row in transfers})
    return [f"{sum(row['state'] == state for row in transfers)} transfer(s) {state}" for state in states]
