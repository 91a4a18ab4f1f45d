"""Verifies the audits' chains in the background: from the last entry that was verified, a part at a time."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg

from onceward_relay.console.participants import Participant, Participants

log = logging.getLogger(__name__)
PART = 5000
"""Entries that are recomputed in one statement."""
PAUSE = 0.05
"""Seconds between two parts: the participant's database has other work."""
NOTHING = bytes(32)
"""What the first entry follows."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a chain is known to be as it was written."""

    number: int = 0
    """Of the last entry that is."""
    hash: bytes = NOTHING
    at: datetime | None = None
    """When its end was last reached; None while that has not happened."""
    wrong: str | None = None
    """What was changed, in words; None if nothing is known to be."""
    failed: str | None = None
    """Why the last try came to no end, in words."""

    @property
    def head(self) -> str:
        """Number and hash, as the command line takes them: `17:3f9a...`."""
        return f"{self.number}:{self.hash.hex()}"


class Chains:
    """How far each participant's audit is verified, in the memory of this console: a restart begins anew."""

    def __init__(self, participants: Participants) -> None:
        self._participants = participants
        self._verified = dict.fromkeys(participants, Verified())
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def of(self, name: str) -> Verified:
        """Return how far a participant's chain is verified."""
        return self._verified[name]

    def under_way(self, name: str) -> bool:
        """Return whether it is being verified just now."""
        return name in self._tasks and not self._tasks[name].done()

    def follow(self, name: str, *, anew: bool = False) -> None:
        """Begin to verify what came since, or all of it `anew`; nothing if that is under way. Return at once."""
        if self.under_way(name):
            return
        if anew:
            self._verified[name] = Verified()
        if self._verified[name].wrong is None:
            self._tasks[name] = asyncio.create_task(self._follow(self._participants[name]))

    async def settled(self, name: str) -> Verified:
        """Wait until what is under way has come to its end."""
        if self.under_way(name):
            await self._tasks[name]
        return self._verified[name]

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, participant: Participant) -> None:
        known = replace(self._verified[participant.name], failed=None)
        try:
            while known.wrong is None:
                known, entries = await self._next(participant, known)
                self._verified[participant.name] = known
                if entries < PART:
                    break
                await asyncio.sleep(PAUSE)
        except psycopg.Error as error:
            log.warning("the audit of %s cannot be verified: %s", participant.name, type(error).__name__)
            self._verified[participant.name] = replace(known, failed=f"it could not be read: {type(error).__name__}")
        else:
            self._verified[participant.name] = replace(known, at=datetime.now(UTC))

    async def _next(self, participant: Participant, known: Verified) -> tuple[Verified, int]:
        where = {"number": known.number, "hash": known.hash, "limit": PART}
        row = (await participant.rows("audit_chain_part", where))[0]
        wrong = None
        if known.number and row["kept"] is None:
            wrong = f"entry {known.number}, which was there before, is gone: the end was cut off"
        elif known.number and bytes(row["kept"]) != known.hash:
            wrong = f"entry {known.number} is another than it was: the audit was written anew"
        elif row["broken"] is not None:
            wrong = f"entry {row['broken']} {row['why']}; what stands before it is as it was written"
        if wrong is not None or row["number"] is None:
            return replace(known, wrong=wrong), 0
        return replace(known, number=row["number"], hash=bytes(row["hash"])), row["entries"]
