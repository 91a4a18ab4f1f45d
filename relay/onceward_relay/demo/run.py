"""One run of the demo, from the first server to the reckoning."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from uuid import UUID

from sqlalchemy import create_engine

from onceward.database import sqlalchemy_url
from onceward_relay.demo.facts import Facts, gather, published
from onceward_relay.demo.guide import guides
from onceward_relay.demo.messages import CREDITS, DECISIONS, OUTCOMES, TOPICS, TRANSFERS
from onceward_relay.demo.observer import Observer
from onceward_relay.demo.progress import Databases
from onceward_relay.demo.reckoning import Finding, reckon
from onceward_relay.demo.scene import Scene, scene
from onceward_relay.demo.servers import servers
from onceward_relay.demo.settings import Settings, run_name
from onceward_relay.demo.show import Show
from onceward_relay.demo.supervisor import Death
from onceward_relay.demo.workload import Workload, orders, read_log

DEFAULT_TRANSFERS = 1000
BACKLOG = 80
"""Transfers under way at a time: people wait before they make more."""
LOADED_AFTER = 60.0
SPARED_AFTER = 75.0
DRAINED_AFTER = 105.0
"""Seconds after the start by which no more transfers are made, nobody is killed any more, and all must have come to its
end. For the default number of transfers or fewer; more have more time."""
_LOOK_EVERY = 0.25
THE_END = "everything comes to its end"
MENDED = "2"
"""The release without the bug of the first."""
GROUPS = {f"{run_name()}.payer": (TRANSFERS, DECISIONS, OUTCOMES), f"{run_name()}.payee": (CREDITS,)}
"""The participants' consumer groups and what they read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be shown."""

    transfers: int = DEFAULT_TRANSFERS
    seed: int = 0
    database: str | None = None
    """URL of a PostgreSQL server; None for an embedded one."""
    kafka: str | None = None
    """Bootstrap servers; None for an embedded stand-in."""
    stays: bool = False
    """Everything stays up afterwards."""
    console: bool = False
    """With screens on which people settle what is left."""

    @property
    def scale(self) -> float:
        """How many times the default's patience it needs."""
        return max(1.0, self.transfers / DEFAULT_TRANSFERS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    plan: Plan
    settings: Settings
    seconds: float
    facts: Facts
    findings: Sequence[Finding]
    deaths: Sequence[Death]
    console: str | None = None
    """Where the screens are."""

    @property
    def kept(self) -> bool:
        """Whether all promises were kept."""
        return all(finding.kept for finding in self.findings)

    @property
    def broken(self) -> bool:
        """Whether a promise was found broken. That the time was up, with work still under way, breaks none."""
        return any(not each.kept for each in self.findings if self.facts.complete or each.promise != THE_END)


def run(plan: Plan, show: Show, afterwards: Callable[[Outcome], None]) -> Outcome:
    """Run the demo and call `afterwards` before everything is ended and removed.

    Raises:
        OncewardError: something that the demo needs did not start.
    """
    began = time.monotonic()
    random = Random(plan.seed)  # noqa: S311 -- a demo's dice
    show.begin(plan.transfers, plan.seed)
    with ExitStack() as stack, _undisturbed_end():
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onceward-demo-")))
        show.say("starting PostgreSQL and Kafka, installing the schema in two databases")
        found = stack.enter_context(servers(run_name(), TOPICS, plan.database, plan.kafka))
        engine = create_engine(sqlalchemy_url(found.payer))
        stack.callback(engine.dispose)
        people = Workload(engine, folder / "workload.jsonl", orders(random, plan.transfers))
        stack.callback(people.stop)
        observer = Observer(found.kafka, TOPICS)
        stack.callback(observer.stop)
        show.say("starting two banks, the relay and a worker of each participant")
        stage = stack.enter_context(scene(folder, found, plan.transfers, random, show.event))
        databases = stack.enter_context(Databases(stage.settings))
        observer.start()
        play = _Play(plan, began, show, people, observer, stage, databases)
        show.say("people transfer money; processes are killed (✗)")
        with show.working():
            play.load()
            ended = play.drain()
        show.say("everything has come to its end; reading the books" if ended.kept else "time is up; reading the books")
        complete = ended.kept or not play.under_way()
        facts = gather(people.log, databases, observer.records, stage.books, complete=complete)
        findings = [ended, *reckon(facts), stage.finding()]
        outcome = Outcome(plan, stage.settings, time.monotonic() - began, facts, findings, stage.supervisor.deaths)
        if plan.stays:
            show.say(f"deploying release {MENDED} of the participants' programs, in which a bug is mended")
            stage.deploy(MENDED)
        if plan.console:
            outcome = replace(outcome, console=stage.open_console(guides(facts, stage.settings)))
        afterwards(outcome)
    return outcome


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """From the end of the block on, let no signal keep us from ending our processes and removing their files."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


class _Play:
    """The work while it goes on."""

    def __init__(
        self,
        plan: Plan,
        began: float,
        show: Show,
        people: Workload,
        observer: Observer,
        stage: Scene,
        databases: Databases,
    ) -> None:
        self._began = began
        self._plan = plan
        self._show = show
        self._people = people
        self._observer = observer
        self._stage = stage
        self._databases = databases

    def load(self) -> None:
        """Let people make transfers, for a bounded time."""
        self._people.start()
        while self._people.running and not self._past(LOADED_AFTER):
            self._look()
        in_time = not self._people.running
        self._people.stop()
        made = f"{'all' if in_time else 'in the time there is,'} {self._people.made:,} transfers are made"
        self._show.say(f"{made}; waiting for the last of them")

    def drain(self) -> Finding:
        """Wait until everything that code can do is done, for a bounded time."""
        began = time.monotonic()
        wanted = {entry.message_id for entry in read_log(self._people.log) if entry.committed}
        while (missing := self._missing(wanted)) and not self._past(DRAINED_AFTER):
            if self._past(SPARED_AFTER):
                self._stage.supervisor.spare()
            self._look()
        self._stage.supervisor.spare()
        counted = f"{time.monotonic() - began:.0f} s after the last of {self._people.made:,} transfers was made"
        return Finding(THE_END, counted, missing)

    def _past(self, seconds: float) -> bool:
        return time.monotonic() - self._began > seconds * self._plan.scale

    def under_way(self) -> list[str]:
        """Return what code is still at work on, in words."""
        behind = self._observer.behind(GROUPS)
        return self._databases.under_way() + ([f"{behind} records are not consumed yet"] if behind else [])

    def _missing(self, wanted: set[UUID]) -> list[str]:
        """Return what is still to come, in words."""
        if missing := self._databases.under_way() or self._databases.open_transfers():
            return missing
        wanted = wanted | published(self._databases)
        if undelivered := len(wanted - self._observer.message_ids):
            return [f"{undelivered} messages are not in Kafka yet"]
        return self.under_way()

    def _look(self) -> None:
        time.sleep(_LOOK_EVERY)
        self._observer.check()
        now = self._databases.progress()
        self._people.room = self._people.made - now.ended < BACKLOG
        self._stage.supervisor.done = now.ended / self._plan.transfers
        self._show.progress(now, self._people.made, self._plan.transfers, len(self._stage.supervisor.deaths))
