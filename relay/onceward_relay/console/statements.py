"""Statements at work: rows are matched with calls, and what follows is proposed in the background, once."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import psycopg

from onceward_relay.console.deciding import Refused, Unanswered, decide
from onceward_relay.console.home import statements as kept
from onceward_relay.console.home.store import Home
from onceward_relay.console.participants import Participant
from onceward_relay.people.deciding import Attempt
from onceward_relay.people.statements.batch import Found, Item, found_of, steps
from onceward_relay.people.statements.columns import Columns
from onceward_relay.people.statements.matching import asked_for, hindered, matched
from onceward_relay.people.statements.movements import Line, movements

T = TypeVar("T")
log = logging.getLogger(__name__)
ASKED_AT_ONCE = 1000
"""Rows in one query."""
FORGETTING = 3600
"""Seconds between two looks for what is past its time."""
DONE_AT_ONCE = 20
"""Rows after which outcomes are kept, and a stop is seen."""


async def find(
    participant: Participant,
    provider: str,
    operation: str | None,
    header: Sequence[str],
    columns: Columns,
    lines: Sequence[Line],
) -> list[Found]:
    """Return what each row is about.

    Raises:
        Unequal: amounts of both signs, and nobody said which count.
        psycopg.Error: the participant does not answer.

    """
    rows = await asyncio.to_thread(movements, lines, columns, len(header))
    candidates = []
    for part in _parts(rows, ASKED_AT_ONCE):
        candidates += await participant.rows("statement_matches", asked_for(part, provider, operation))
    matches = await asyncio.to_thread(matched, rows, candidates)
    decided = [(match.call["id"], match.verb) for match in matches if match.verb and match.call]
    obstacles = []
    for pairs in _parts(decided, ASKED_AT_ONCE):
        calls, verbs = [call for call, _ in pairs], [verb for _, verb in pairs]
        obstacles += await participant.rows("statement_obstacles", {"calls": calls, "verbs": verbs})
    declared = await participant.rows("statement_operations", {"provider": provider, "operation": operation})
    schemas = {row["name"]: row["result_schema"] for row in declared}
    settled = hindered(matches, obstacles)
    return await asyncio.to_thread(lambda: [found_of(match, header, columns, schemas) for match in settled])


class Works:
    """What is being proposed from statements, one task for each; at the console's end what is left waits to go on."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    def begin(self, participant: Participant, statement: kept.Statement, person: str) -> None:
        """Propose what follows from a statement, unless that is being done."""
        if statement.id not in self._tasks:
            task = asyncio.create_task(self._propose(participant, statement, person))
            self._tasks[statement.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(statement.id, None))

    def at_work(self, statement: UUID) -> bool:
        """Return whether a statement is being worked on, by this console."""
        return statement in self._tasks

    async def forget(self) -> None:
        """Forget, now and every hour, what is past its time."""
        while True:
            try:
                await kept.forget_expired(self._home)
            except psycopg.Error as error:
                log.warning("expired statements are still there: %s", type(error).__name__)
            await asyncio.sleep(FORGETTING)

    async def close(self) -> None:
        """Let go of everything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _propose(self, participant: Participant, statement: kept.Statement, person: str) -> None:
        try:
            while items := await kept.open_items(self._home, statement.id, DONE_AT_ONCE):
                done = [(item.line, *await _do(participant, statement, item, person)) for item in items]
                await kept.record(self._home, statement.id, done)
            await kept.end(self._home, statement.id)
        except (psycopg.Error, Unanswered) as error:
            log.warning("statement %s waits: %s", statement.id, type(error).__name__)


async def _do(participant: Participant, statement: kept.Statement, item: Item, person: str) -> tuple[bool, str]:
    """Do what follows from one row; return whether it was refused, and the outcome in words.

    Raises:
        Unanswered: the participant does not answer: the row waits.

    """
    assert statement.batch_id is not None
    assert statement.reason is not None
    attempt = Attempt(person, item.verb or "evidence", "call", str(item.call), statement.reason)
    calls = steps(item, batch=statement.batch_id, actor=person, reason=statement.reason)
    try:
        rows = await decide(participant, attempt, *calls)
    except Refused as refused:
        return True, refused.words
    return False, told(rows[0]["state"]) if item.verb else "evidence was added"


def told(state: str) -> str:
    """Return what a decision's state means for whoever proposed it."""
    return {"proposed": "proposed; another person has to agree", "approved": "approved; a worker carries it out"}.get(
        state, state
    )


def _parts(rows: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
