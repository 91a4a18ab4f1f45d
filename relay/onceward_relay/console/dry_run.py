"""A dry run: what a verb would be done to, and what is in its way. Nothing is changed."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg

from onceward_relay.console.home.bulk import Item
from onceward_relay.console.participants import Participant, Participants
from onceward_relay.console.verbs import Verb
from onceward_relay.people.deciding import in_words
from onceward_relay.people.words import money

log = logging.getLogger(__name__)
MOST = 10_000
"""Items that one list holds at most."""
AT_ONCE = 500
"""Items whose obstacles are asked for in one query."""
PATIENCE = 60.0
"""Seconds that a participant has to answer: a dry run of ten thousand takes longer than a page."""


@dataclass(slots=True)
class Found:
    """What a dry run has found."""

    items: list[Item] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Who did not answer, and why."""

    @property
    def capped(self) -> bool:
        """Whether there are more than one list holds."""
        return len(self.items) > MOST


async def find(participants: Participants, names: list[str], verb: Verb, filters: dict[str, Any]) -> Found:
    """Return what the open incidents that a filter finds are about, with what is in the way of a verb."""
    found = Found()

    async def one(name: str) -> list[Item]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await _items(participants[name], verb, filters)
        except TimeoutError:
            found.missing[name] = f"did not answer within {PATIENCE:.0f} s"
        except psycopg.Error as error:
            log.warning("participant %s does not answer: %s", name, type(error).__name__)
            found.missing[name] = in_words(error)
        return []

    for items in await asyncio.gather(*map(one, names)):
        found.items += items
    return found


async def _items(participant: Participant, verb: Verb, filters: dict[str, Any]) -> list[Item]:
    rows = await participant.rows(f"bulk_{verb.kind}s", {**filters, "limit": MOST + 1})
    obstacles: dict[Any, str] = {}
    for begin in range(0, len(rows), AT_ONCE):
        subjects = [row["id"] for row in rows[begin : begin + AT_ONCE]]
        hindered = await participant.rows(f"obstacles_of_{verb.kind}s", {"subjects": subjects, "verb": verb.name})
        obstacles |= {row["id"]: row["why"] for row in hindered}
    return [
        Item(
            participant.name,
            row["id"],
            row["version"],
            uuid4(),
            " ".join(part for part in (row["name"], row["ref"] or "", money(row["amount"], row["currency"])) if part)[
                :1000
            ],
            row["amount"],
            row["currency"],
            obstacles.get(row["id"]),
        )
        for row in rows
    ]
