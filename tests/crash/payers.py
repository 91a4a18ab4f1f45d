"""Payers that are killed and frozen by the dozen, the database that they share, and a bank with books of its own."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from onceward.cloudevents import IncomingMessage
from onceward.flows.definition import start
from onceward.flows.listening import keep
from onceward.ledger.report import report
from onceward.sqlfiles import statement
from onceward_relay.demo.books import Movement
from tests.checker.checker import Verdict, check_calls, check_money, check_watched
from tests.conftest import Database
from tests.crash.mortal import Answer, Kind, Life, Moved, Order, live, participant_of, provider_of, undo_of
from tests.demo.support import RunningBank
from tests.people.desk import REASON, calling
from tests.support import eventually

T = TypeVar("T")
AT_ONCE = 4
"""Payers that are started at a time."""
OUTCOMES = """
SELECT CASE WHEN undoes IS NULL THEN ref ELSE 'undo of ' || ref END AS reference, state FROM onceward.call
"""
UNWATCHED = """
SELECT 'call of ' || c.ref || ' is ' || c.state FROM onceward.call c
 WHERE c.settled_at IS NULL AND c.due_at IS NULL
   AND NOT EXISTS (SELECT FROM onceward.incident i WHERE i.call_id = c.id AND i.closed_at IS NULL)
 UNION ALL
SELECT 'flow ' || f.key || ' is blocked' FROM onceward.flow f
 WHERE f.state = 'blocked' AND NOT EXISTS (SELECT FROM onceward.incident i WHERE i.flow_id = f.id AND i.closed_at IS NULL)
"""
"""What nothing automatic will move and nobody has heard of."""
FLOWS = "SELECT key, state FROM onceward.flow"
RESTLESS = """
SELECT f.key, f.state, f.error, c.state, c.error_text FROM onceward.flow f LEFT JOIN onceward.call c ON c.flow_id = f.id
 WHERE f.ended_at IS NULL AND f.due_at IS NOT NULL OR c.settled_at IS NULL AND c.due_at IS NOT NULL
"""
"""What something automatic still moves."""
UNDECIDED = "SELECT FROM onceward.resolution WHERE state IN ('proposed', 'approved')"

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["__main__", "tests.crash.mortal"])


class Mortal:
    """A payer that runs, until it is killed or kills itself."""

    def __init__(self, life: Life) -> None:
        self._log = life.log
        self._process = _forks.Process(target=live, args=(life,), daemon=True)
        self._process.start()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end and return the exit status; negative for a signal."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"still running after {timeout} s:\n{self.output[-4000:]}"
        return self._process.exitcode

    def wait_frozen(self, timeout: float = 60) -> None:
        """Wait until it stands still at its failpoint."""
        state = Path(f"/proc/{self._process.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", timeout, lambda: self.output[-4000:])

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> int:
        """Ask it to end and return its exit status."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()

    def _signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.close()


class Payers:
    """Payers of one database that pay at one bank, each with flows and a provider under names of its own."""

    def __init__(self, database: Database, bank: RunningBank, folder: Path) -> None:
        self.bank = bank
        self.database = database
        self._folder = folder
        self._numbers = count(1)
        with database.engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS public.paid (number text)"))

    def begin(
        self, parts: Mapping[str, Kind], failpoint: str = "", bug: str = "", *, threads: int = 1, database: str = ""
    ) -> Mortal:
        """Start a payer with these flows and providers; `database` is another way to its database."""
        log = self._folder / f"payer-{next(self._numbers)}.log"
        where = database or self.database.url, self.bank.address
        return Mortal(Life(parts, *where, log, failpoint, bug, threads))

    def order(self, name: str, kind: Kind, number: str, *, regretted: bool = False) -> None:
        """Start the flow of this name."""
        flow = participant_of({name: kind}, self.bank.address).flows[name]
        with self.database.engine.begin() as connection:
            connection.execute(start(flow, Order(number=number, regretted=regretted)))

    def answer(self, name: str, kind: Kind) -> None:
        """Let the answer come that the flow of this name waits for."""
        flow = participant_of({name: kind}, self.bank.address).flows[name]
        message = IncomingMessage(
            uuid4(), "answer", "test", "answers", None, Answer(number=name).model_dump_json().encode(), {}, b""
        )
        with Session(self.database.engine) as session, session.begin():
            keep(flow.listen[0], name, session, Answer(number=name), message)

    def report(self, number: str) -> None:
        """Let the bank report by itself that it has paid an order."""
        (movement,) = [each for each in self.bank.movements if each.reference == number]
        (call,) = self.rows(f"SELECT provider, key FROM onceward.call WHERE undoes IS NULL AND ref = '{number}'")
        provider = provider_of(call.provider, "neither", self.bank.address)
        body = Moved(id=movement.id)
        with self.database.engine.begin() as connection:
            connection.execute(report(provider, key=call.key, applied=True, body=body, evidence_id=uuid4()))

    def pass_time(self, time: timedelta = timedelta(minutes=1)) -> None:
        """Let all leases, delays and times to send be over. The dead do not notice; the frozen, whose clocks are real, do not."""
        with self.database.engine.begin() as connection:
            connection.execute(text(statement("onceward.testing", "pass_time")), {"time": time})

    def wait_until_quiet(self, timeout: float = 60, describe: Callable[[], object] = lambda: "") -> None:
        """Wait until all that was decided is carried out, and everything has ended or waits for a person."""
        eventually(lambda: not self.rows(UNDECIDED), timeout, lambda: (self.rows(UNDECIDED), describe()))
        eventually(lambda: not self.rows(RESTLESS), timeout, lambda: (self.rows(RESTLESS), describe()))

    def states(self) -> dict[str, str]:
        """What the ledger says: the state of each call, by the bank's reference."""
        return dict(self.rows(OUTCOMES))

    def flows(self) -> dict[str, str]:
        """The state of each order's flow."""
        return dict(self.rows(FLOWS))

    def effects(self) -> Counter[str]:
        """What the bank's books say: how many movements under each reference."""
        return Counter(movement.reference for movement in self.bank.movements)

    def verdict(self, doubtful: Iterable[str]) -> Verdict:
        """Ask the checker. `doubtful`: the references of calls of which nobody but a person can find out."""
        return judged(self.rows, self.bank.movements, set(doubtful))

    def decide(self, verb: str, number: str) -> None:
        """Let Ada decide about an order's call or flow, and Bob agree; what a person says took effect is in the books.

        Raises:
            psycopg.Error: that cannot be decided.
        """
        of_flow = verb in ("undo", "close")
        table = "flow WHERE key" if of_flow else "call WHERE undoes IS NULL AND ref"
        (subject,) = self.rows(f"SELECT id, version FROM onceward.{table} = '{number}'")
        given: dict[str, Any] = {"verb": verb, "subject": subject.id, "seen_version": subject.version}
        with psycopg.connect(self.database.console_url, autocommit=True, row_factory=dict_row) as console:
            if verb == "applied":
                (movement,) = [each for each in self.bank.movements if each.reference == number]
                reference = f"{movement.operation}-{movement.no}"
                told = {"kind": "statement", "says": "applied", "reference": reference, "body": None}
                evidence = calling(console, "add_evidence", id=uuid4(), call=subject.id, actor="ada", **told)
                given |= {"evidence": evidence["id"], "body": {"result": {"id": reference}}}
            decision = calling(console, "propose", id=uuid4(), **given, actor="ada", reason=REASON)
            if decision["state"] == "proposed":
                calling(console, "approve", id=decision["id"], actor="bob", reason=REASON)

    def rows(self, query: str) -> Sequence[Any]:
        """Return what is in the database."""
        with self.database.engine.connect() as connection:
            return connection.execute(text(query)).all()


def judged(
    rows: Callable[[str], Sequence[Any]], movements: Sequence[Movement], doubtful: Container[str] | None
) -> Verdict:
    """Compare a payer's database with the bank's books. `doubtful` as in `check_calls`."""
    moved: Counter[str] = Counter()
    for movement in movements:
        moved[movement.reference] += abs(movement.cents)
    verdict = check_calls(Counter(each.reference for each in movements), dict(rows(OUTCOMES)), doubtful)
    undone = [key for key, state in rows(FLOWS) if state == "undone"]
    verdict += check_money(moved, {key: moved[undo_of(key)] for key in set(moved)}, undone)
    return verdict + check_watched(row[0] for row in rows(UNWATCHED))


def side_by_side(act: Callable[[T], object], each: Iterable[T]) -> None:
    """Do it for each, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(act, one) for one in each]:
            done.result()
