"""What people do for many at once is done here, item by item, in the background of the console's process.

An item stays locked in the home database while it is done, so several consoles share the work, and one that dies leaves
its item to another. Ids of decisions make it harmless that it may have been done already.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import psycopg
from psycopg.rows import DictRow

from onceward_relay.console.deciding import Call, Kind, Proposal, Refused, Unanswered, at_once, decide
from onceward_relay.console.home.bulk import Bulks, Turn
from onceward_relay.console.participants import Participants
from onceward_relay.console.verbs import VERBS
from onceward_relay.people.deciding import Attempt

log = logging.getLogger(__name__)
HANDS = 2
"""Items that are done at a time."""
PAUSE = 1.0
"""Seconds between two looks for work, where nobody says that there is some."""
PATIENCE = timedelta(seconds=10)
"""How long a participant that does not answer is left alone."""


class BulkWork:
    """Does what is due, until it is cancelled."""

    def __init__(self, bulks: Bulks, participants: Participants) -> None:
        self._bulks = bulks
        self._participants = participants
        self._begun = asyncio.Event()

    def wake(self) -> None:
        """Say that there is work."""
        self._begun.set()

    async def run(self) -> None:
        """Work."""
        async with asyncio.TaskGroup() as hands:
            for _ in range(HANDS):
                hands.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                busy = await self._one()
            except (psycopg.Error, OSError) as error:
                log.warning("the console's own database does not answer: %s", type(error).__name__)
                busy = False
            if not busy:
                self._begun.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._begun.wait(), PAUSE)

    async def _one(self) -> bool:
        """Do one item; return whether there was one."""
        async with self._bulks.next() as turn:
            if turn is None:
                return False
            await self._do(turn)
            return True

    async def _do(self, turn: Turn) -> None:
        row = turn.row
        participant = self._participants.get(row["participant"])
        if participant is None:
            await turn.end("refused", f"this console is not told of {row['participant']} any more")
        elif not row["may"]:
            await turn.end("refused", f"{row['person']} may not do this at {participant.name} any more")
        else:
            attempt = Attempt(row["person"], row["verb"], row["kind"], str(row["subject"]), row["reason"])
            try:
                rows = await decide(participant, attempt, *calls_of(row))
            except Refused as refused:
                if refused.sqlstate == "55P03":  # somebody decides about it just now
                    await turn.put_off(timedelta(seconds=1), refused.words)
                else:
                    await turn.end("refused", refused.words)
            except Unanswered:
                await turn.put_off(PATIENCE, f"{participant.name} does not answer; it is tried again")
            except Exception as error:  # one item's bug is not the others' trouble
                log.exception("an item of a bulk failed at %s", participant.name)
                await turn.end("refused", f"an error, {type(error).__name__}; look whether it was done")
            else:
                await turn.end(*outcome_of(rows))


def calls_of(row: DictRow) -> list[Call]:
    """Return what is called for an item."""
    verb, kind = row["verb"], row["kind"]
    if kind != "decision" and VERBS[kind, verb].proposes:
        proposal = Proposal(
            verb, row["subject"], row["decision"], row["version"], amount=row["amount"], batch=row["id"]
        )
        return proposal.calls(row["person"], row["reason"])
    return [at_once(verb, cast("Kind", kind), row["subject"], row["person"], row["reason"])]


def outcome_of(rows: list[DictRow]) -> tuple[str, str]:
    """Return what has become of an item."""
    decision: dict[str, Any] = rows[0] if rows else {}
    match decision.get("state"):
        case None:
            return "done", "asked for"
        case "stale":
            return "refused", f"stale: {decision['outcome']}"
        case "proposed":
            return "done", "proposed; another person has to agree"
        case "approved" if decision["solo"]:
            return "done", f"decided alone; carried out after {decision['not_before'].isoformat(timespec='seconds')}"
        case "approved":
            return "done", "agreed; a worker carries it out"
        case state:
            return "done", f"{state}{': ' + decision['outcome'] if decision['outcome'] else ''}"
