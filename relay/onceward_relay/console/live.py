"""What changes while people look: one poller for each participant, however many pages are open."""

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import psycopg

from onceward_relay.console.home.store import Home, Visit
from onceward_relay.console.participants import Participant, Participants
from onceward_relay.console.samples import Samples

log = logging.getLogger(__name__)
EVERY = 2.0
"""Seconds between two looks at a participant."""
PATIENCE = 2.0
"""Seconds that a participant has to answer a look."""
CHECKED_EVERY = 5.0
"""Seconds between two looks whether those who listen are still logged in."""
MOST_OF_ONE, MOST = 20, 2000
"""Streams of one person, and of all."""
LONGEST = 600.0
"""Seconds after which a stream ends, so that its page asks for another one and all is checked anew."""
AWAY = "away"
"""Mark of a participant that does not answer."""
Page = Literal["worklist", "approvals", "call", "flow", "sources"]
Topic = tuple[str, str, UUID | None]
"""Participant, what of it, and its id if it is one thing."""


class TooMany(Exception):
    """So many streams are open that this one is refused."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open page."""

    person: UUID
    token: bytes
    """Hash of its session's token."""
    page: Page
    topics: frozenset[Topic]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str | None = None
    """Why its stream ends, once it is to."""


class Hub:
    """Tells open pages that what they show has changed."""

    def __init__(self, participants: Participants, samples: Samples) -> None:
        self._participants = participants
        self._samples = samples
        self._listeners: set[Listener] = set()
        self._of: Counter[UUID] = Counter()
        self._marks: dict[Topic, str] = {}
        self._pollers: dict[str, asyncio.Task[None]] = {}
        self._checking: asyncio.Task[None] | None = None
        self._closed = False
        self.looks = 0
        """Looks at participants so far."""

    @property
    def open(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def start(self, home: Home) -> None:
        """Begin to look whether those who listen are still logged in."""
        self._checking = asyncio.create_task(self._check(home))

    def end_all(self) -> None:
        """End every stream, and take no new one."""
        self._closed = True
        for listener in self._listeners:
            self._end(listener, "restart")

    async def close(self) -> None:
        """Stop all that runs."""
        self.end_all()
        tasks = [*self._pollers.values(), *([self._checking] if self._checking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def mark(self, page: Page, topics: Iterable[Topic]) -> str | None:
        """Return what a page's state is told by, as it was last seen; None if it is not known."""
        if page == "sources":
            return self._samples.taken or None
        marks = [self._marks.get(topic) for topic in sorted(topics, key=repr) if topic[1] == page]
        known = [mark for mark in marks if mark is not None]
        if not known or len(known) < len(marks):
            return None
        return known[0] if page in ("call", "flow") else hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]

    def waiting(self, topics: Iterable[Topic]) -> int | None:
        """Return how many decisions wait for somebody, of the participants that a page looks at; None: not known."""
        marks = [self._marks[topic] for topic in topics if topic[1] == "approvals" and topic in self._marks]
        counts = [int(mark.split(" ")[0]) for mark in marks if mark != AWAY]
        return sum(counts) if counts else None

    async def listen(
        self, visit: Visit, token: bytes, page: Page, topics: frozenset[Topic]
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the state of a page: once it is known, and whenever it has changed.

        Raises:
            TooMany: of this person, or of all.

        """
        if self._closed or self._of[visit.person_id] >= MOST_OF_ONE or len(self._listeners) >= MOST:
            raise TooMany
        listener = Listener(visit.person_id, token, page, topics)
        self._listeners.add(listener)
        self._of[visit.person_id] += 1
        for name in {topic[0] for topic in topics}:
            self._poll(name)
        return self._states(listener)

    async def _states(self, listener: Listener) -> AsyncIterator[dict[str, Any]]:
        last: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(LONGEST):
                while listener.ended is None:
                    state = {
                        "mark": self.mark(listener.page, listener.topics),
                        "approvals": self.waiting(listener.topics),
                    }
                    if state != last and state["mark"] is not None:
                        last = state
                        yield state
                    await listener.changed.wait()
                    listener.changed.clear()
            yield {"end": listener.ended}
        except TimeoutError:
            return
        finally:
            self._listeners.discard(listener)
            self._of -= Counter([listener.person])

    def _end(self, listener: Listener, why: str) -> None:
        listener.ended = why
        listener.changed.set()

    def _poll(self, name: str) -> None:
        """Have a participant looked at, unless it is already."""
        task = self._pollers.get(name)
        if task is None or task.done():
            self._pollers[name] = asyncio.create_task(self._polling(self._participants[name]))

    async def _polling(self, participant: Participant) -> None:
        """Look at a participant until nobody listens any more."""
        while wanted := self._wanted(participant.name):
            found = await self._look(participant, wanted)
            changed = {topic for topic in wanted if self._marks.get(topic) != found.get(topic, "")}
            self._marks |= {topic: found.get(topic, "") for topic in wanted}
            for listener in self._listeners:
                if listener.page == "sources" or not changed.isdisjoint(listener.topics):
                    listener.changed.set()
            await asyncio.sleep(EVERY)
        for topic in [topic for topic in self._marks if topic[0] == participant.name]:
            del self._marks[topic]  # what nobody looks at any more is not known any more

    def _wanted(self, name: str) -> set[Topic]:
        return {topic for listener in self._listeners for topic in listener.topics if topic[0] == name}

    async def _look(self, participant: Participant, wanted: set[Topic]) -> dict[Topic, str]:
        """Return the marks of a participant. That it does not answer is one, too: its pages say so."""
        ids = {kind: [id_ for _, what, id_ in wanted if what == kind and id_ is not None] for kind in ("call", "flow")}
        self.looks += 1
        try:
            async with asyncio.timeout(PATIENCE):
                rows = await participant.rows("live", {"calls": ids["call"], "flows": ids["flow"]})
        except (TimeoutError, psycopg.Error) as error:
            log.info("participant %s is not seen: %s", participant.name, type(error).__name__)
            return dict.fromkeys(wanted, AWAY)
        return {(participant.name, row["topic"], row["id"]): row["mark"] for row in rows}

    async def _check(self, home: Home) -> None:
        """End the streams of those who are not logged in any more. Listening is no use of a session."""
        while True:
            await asyncio.sleep(CHECKED_EVERY)
            tokens = list({listener.token for listener in self._listeners})
            if not tokens:
                continue
            with contextlib.suppress(psycopg.Error):  # the next look is soon
                alive = await home.alive(tokens)
                for listener in self._listeners:
                    if listener.token not in alive:
                        self._end(listener, "session")
