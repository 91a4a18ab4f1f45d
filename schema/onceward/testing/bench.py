"""The bench: flows run to their end on a copy of a real database, with providers that follow a script."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.orm import Session

from onceward.backoff import Backoff
from onceward.cloudevents import IncomingMessage
from onceward.errors import BadStep
from onceward.flows import listening
from onceward.flows.definition import FlowDefinition, start
from onceward.flows.noticing import Noticing
from onceward.flows.runner import Runner
from onceward.ids import derived
from onceward.ledger import Ledger
from onceward.participant import Participant
from onceward.providers import Operation
from onceward.sqlfiles import statement
from onceward.testing.crashes import Crash, Crashes
from onceward.testing.databases import Databases
from onceward.testing.script import Lost, Scripts

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

WITHIN = timedelta(days=30)
AT_ONCE = Backoff(timedelta(milliseconds=1), timedelta(milliseconds=1))
MOST_RUNS = 500
"""So often a flow may go on; more means that it never ends."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a flow ended, or why it stands."""

    state: str
    """completed, undone, closed; blocked, if its code failed; waiting, if nothing automatic was left to do."""
    error: str | None
    """Traceback of the run that failed last."""
    incidents: Sequence[str] = ()
    """Titles of what waits for people."""
    crashes: int = 0
    """At how many points it was crashed besides, each time with the same end."""
    in_doubt: Sequence[str] = field(default=())
    """Where a crash left a call in doubt, as it must where its provider has neither keys nor a lookup."""


class Bench:
    """Runs flows of `participant` on copies of a database.

    Use it as a context manager, so that the last copy is dropped: `with Bench(payer, url) as bench: yield bench`.

    Args:
        participant: its flows and providers. While the bench is open its operations follow the scripts.
        database: URL of a test database with the schema onceward and the team's own tables, to which nobody is
            connected. Its role must be allowed to create databases.
    """

    def __init__(self, participant: Participant, database: str) -> None:
        self._participant = participant
        self._databases = Databases(database)
        self._crashes = Crashes()
        self._scripts = Scripts(participant.providers, self._crashes.point)
        self._open = ExitStack()
        self._copy = ExitStack()
        self._engine: Engine | None = None
        self._lives = 0

    def __enter__(self) -> Self:
        self._open.enter_context(self._scripts.standing_in())
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()
        self._open.close()

    def answer(self, operation: Operation[Any, Any, R], *answers: R | Exception | Lost) -> None:
        """Say what the provider does with the requests of an operation, in their order; the last goes on for ever.

        A result takes effect, once for each key if the operation declares that keys are remembered; an error
        (`Rejected("no funds")`) does not; `lost_reply()` and `lost_request()` are exchanges without an answer. Lookups
        answer truthfully.
        """
        self._scripts[operation].answers = answers

    def effects(self, operation: Operation[Any, Any, Any]) -> int:
        """Return how many effects the operation has had in the last run."""
        return sum(self._scripts[operation].effects.values())

    def requests(self, operation: Operation[Any, Any, Any]) -> int:
        """Return how many requests the provider got in the last run."""
        return self._scripts[operation].requests

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give a session on the database as the last run left it."""
        with Session(self._database) as session:
            yield session

    def run(
        self,
        flow: FlowDefinition[M],
        event: M,
        *,
        signals: Collection[BaseModel] = (),
        crash_everywhere: bool = False,
        within: timedelta = WITHIN,
    ) -> Run:
        """Start a flow on a fresh copy and run it until it ends, or until nothing automatic is left.

        Time passes by itself, `within` at most. Each signal comes once the flow waits and nothing else is to be done.

        With `crash_everywhere` the same is done again and again, and each time the worker dies at another point: before
        a transaction, before a commit, before and after a provider acts. Whatever the point, the flow must come to the
        same end with the same effects and messages, and no call may have a second effect. Only where a provider has
        neither keys nor a lookup may a crash leave the call in doubt; `Run.in_doubt` says where.

        Raises:
            AssertionError: it came to another end, a call had a second effect, or an answer was missing in the script.
        """
        end = self._run(flow, event, signals, within, crash_at=0)
        if not crash_everywhere:
            return end
        in_doubt: list[str] = []
        points, traces = self._crashes.passed, self._traces()
        for point in range(1, points + 1):
            found = self._run(flow, event, signals, within, crash_at=point)
            where = self._crashes.where
            if found.state == "waiting" != end.state and found.in_doubt:
                in_doubt.append(where)
                continue
            after = f"after a crash {where} (point {point} of {points})"
            assert found.state == end.state, (
                f"{after} the flow is {found.state}, not {end.state}: "
                f"{found.error or '; '.join(found.incidents) or 'nothing is left to do'}"
            )
            assert (left := self._traces()) == traces, f"{after} there are {left}, not {traces}"
        return Run(end.state, end.error, end.incidents, points, in_doubt)

    def start(self, flow: FlowDefinition[M], event: M) -> None:
        """Start a flow on a fresh copy, to go on step by step with `work`, `signal` and `advance`."""
        self._fresh_copy()
        for script in self._scripts:
            script.begin_anew()
        with self._crashes.aside():
            self._ledger("bench").declare()
            with self.session() as session, session.begin():
                session.execute(start(flow, event))

    def signal(self, flow: FlowDefinition[Any], event: BaseModel) -> None:
        """Let a message come that `flow` listens to."""
        for listen in flow.listen:
            if isinstance(event, listen.model):
                with self.session() as session, session.begin():
                    listening.keep(listen, flow.name, session, event, _message(listen, event))
                return
        raise BadStep(f"flow {flow.name} does not listen to {type(event).__name__}")

    def work(self) -> None:
        """Do all that is due now, as a worker that was just started."""
        runner, ledger, noticing = self._worker()
        for _ in range(MOST_RUNS):
            if not (noticing.notice() + ledger.sweep(limit=1) + runner.run_once()):
                break
        else:
            raise AssertionError(f"it is due again and again, {MOST_RUNS} times")

    def advance(self, time: timedelta) -> None:
        """Let time pass."""
        with self._database.begin() as connection:
            connection.execute(_sql("pass_time"), {"time": time})

    def _run(
        self, flow: FlowDefinition[M], event: M, signals: Collection[BaseModel], within: timedelta, crash_at: int
    ) -> Run:
        self.start(flow, event)
        self._crashes.arm(crash_at)
        self._go_on(flow, list(signals), within)
        self._crashes.restarted()
        self._refuse_second_effects()
        return self._found(flow.row(event)["id"])

    def _go_on(self, flow: FlowDefinition[Any], signals: list[BaseModel], left: timedelta) -> None:
        """Work, let messages come, let time pass, until there is nothing to wait for any more."""
        while True:
            try:
                self.work()
            except Crash:
                self._scripts.refuse_mistakes()
                self._crashes.restarted()
                continue
            if signals:
                with self._crashes.aside():
                    self.signal(flow, signals.pop(0))
                continue
            due = self._until_due()
            if due is None or due > left:
                return
            left -= due
            with self._crashes.aside():
                self.advance(due)

    def _until_due(self) -> timedelta | None:
        with self._crashes.aside(), self._database.connect() as connection:
            due: timedelta | None = connection.execute(_sql("next_due")).scalar()
        return None if due is None else max(due, timedelta(milliseconds=1))

    def _worker(self) -> tuple[Runner, Ledger, Noticing]:
        self._lives += 1
        name = f"bench-{self._lives}"
        ledger = self._ledger(name)
        runner = Runner(self._participant.flows, self._database, ledger, worker=name, waits=AT_ONCE)
        return runner, ledger, Noticing(self._database)

    def _ledger(self, name: str) -> Ledger:
        participant = self._participant
        return Ledger(self._database, participant.name, participant.providers, worker=name, retries=AT_ONCE)

    def _refuse_second_effects(self) -> None:
        for script in self._scripts:
            for key, number in script.effects.items():
                where = f", after a crash {self._crashes.where}" if self._crashes.where else ""
                assert number <= 1, f"{script.operation} took effect {number} times under the key {key}{where}"

    def _traces(self) -> dict[str, int]:
        """Return what the run has left in the world: effects of each operation, messages of each kind."""
        effects = {str(script.operation): sum(script.effects.values()) for script in self._scripts}
        with self._crashes.aside(), self._database.connect() as connection:
            messages = {f"{row.type} to {row.topic}": row.number for row in connection.execute(_sql("messages"))}
        return effects | messages

    def _found(self, flow_id: object) -> Run:
        with self._database.connect() as connection:
            row = connection.execute(_sql("found"), {"id": flow_id}).one()
        return Run(row.state, row.error, row.incidents, in_doubt=row.in_doubt)

    @property
    def _database(self) -> Engine:
        assert self._engine is not None, "nothing was run yet"
        return self._engine

    def _fresh_copy(self) -> None:
        self._copy.close()
        self._copy = ExitStack()
        self._engine = self._copy.enter_context(self._databases.copy())
        self._crashes.watch(self._engine)


def _message(listen: listening.Listen[Any], event: BaseModel) -> IncomingMessage:
    payload = event.model_dump_json().encode()
    identity = derived(listen.topic, listen.event_type, payload.decode())
    return IncomingMessage(identity, listen.event_type, "bench", listen.topic, None, payload, {}, b"")


@cache
def _sql(name: str) -> TextClause:
    return text(statement("onceward.testing", name))
