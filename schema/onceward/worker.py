"""A participant's worker process: consumes messages, runs flows, carries on with calls."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, timedelta
from functools import partial
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine

from onceward import migrations
from onceward.backoff import Backoff
from onceward.consumer import Consumer
from onceward.crew import Crew, in_words
from onceward.errors import ConfigError
from onceward.flows.lease import LEASE
from onceward.flows.runner import TRIES, WAITS, Runner
from onceward.from_file import FromFile, Setting
from onceward.inbox import Counts
from onceward.inbox.faults import is_transient
from onceward.ledger import CallCounts, Ledger
from onceward.ledger.evidence import Evidence
from onceward.ledger.history import History
from onceward.ledger.making import SEND_WINDOW
from onceward.ledger.resolving import Resolving
from onceward.participant import Participant
from onceward.permits import Permits
from onceward.presence import Presence

if TYPE_CHECKING:  # who tells nobody needs no HTTP
    from onceward.notify import Notifier

log = logging.getLogger("onceward.worker")

IDLE = Backoff(timedelta(milliseconds=20), timedelta(milliseconds=200))
"""Between looks for a flow that is due, while there is none: one thread at a time looks."""
OUTAGE = Backoff(timedelta(milliseconds=200), timedelta(seconds=5))
"""Between tries while the database fails."""
SWEEP_EVERY = timedelta(seconds=1)
"""Between looks for what is due: calls, reports, decisions, messages that their flow may not know of."""
NOTIFY_EVERY = timedelta(seconds=10)
"""Between looks for what people have to be told."""
SHOWN_EVERY = timedelta(seconds=10)
"""Between signs of life."""
GRACE = timedelta(seconds=5)
"""How long the end waits for what is under way."""
_NOTICE = 0.1
"""Seconds within which a signal is noticed."""


class Worker:
    """Runs everything of a participant that is not its web server. Any number of them work beside each other.

    Args:
        participant: its handlers, flows and providers.
        engine: of its database. Its pool should have room for twice `threads` and eight more connections.
        kafka: settings of the Kafka client under the client's names; a secret may be `FromFile(Path("..."))`.
        threads: how many flows are run at a time, not counting those that wait for a provider's answer.
        name: who this is, for the record; host and process id by default.
        lease: how long a dead worker's flow waits for another one.
        tries: how many runs of a flow may fail in a row before it is left to a person.
        retries: spaces them.
        grace: how long the end waits for steps under way; those that take longer are left to the lease.
        code_version: version of the code, for the record: people see which one ran a flow last, and which ones work.
        notifier: tells people what waits for them.

    Raises:
        ConfigError: an argument cannot be.
    """

    def __init__(
        self,
        participant: Participant,
        engine: Engine,
        kafka: Mapping[str, Setting | FromFile],
        *,
        threads: int = 4,
        name: str | None = None,
        lease: timedelta = LEASE,
        tries: int = TRIES,
        retries: Backoff = WAITS,
        grace: timedelta = GRACE,
        code_version: str | None = None,
        notifier: "Notifier | None" = None,
    ) -> None:
        if threads < 1:
            raise ConfigError("threads", "must be at least 1")
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._participant = participant
        self._engine = engine
        self._kafka = kafka
        self._threads = threads
        self._grace = grace.total_seconds()
        self._notifier = notifier
        self._bell = participant.flows.started
        self._permits = Permits(threads)
        self._looking = Lock()
        self._ledger = Ledger(
            engine,
            participant.name,
            participant.providers,
            worker=self.name,
            outside=self._permits.lent,
            recording=Semaphore(max(4, threads // 2)),
            code_version=code_version,
        )
        self._presence = Presence(
            engine, self.name, code_version, list(participant.flows), [each.name for each in participant.providers]
        )
        self._evidence = Evidence(engine, self._ledger)
        self._history = History(engine, self.name, SEND_WINDOW)
        self._resolving = Resolving(engine, self._ledger, self.name)
        self._runner = Runner(
            participant.flows,
            engine,
            self._ledger,
            worker=self.name,
            lease=lease,
            tries=tries,
            waits=retries,
            code_version=code_version,
        )
        self._consumer: Consumer | None = None
        self._stop_asked = False
        self._stopping = Event()
        self._crew = Crew()

    @property
    def counts(self) -> Counts:
        """What became of messages since the start, for metrics."""
        return Counts() if self._consumer is None else self._consumer.counts

    @property
    def calls(self) -> CallCounts:
        """What became of attempts to call providers since the start, and how the providers are doing, for metrics."""
        return self._ledger.counts

    def run(self) -> None:
        """Work until `stop` is called or SIGTERM or SIGINT comes (in the main thread), then end within the grace.

        Raises:
            SchemaError: the database's schema is missing or of another revision; says what to do.
            ConfigError: a setting of the Kafka client is unknown, illegal or locked; or a provider's client would send
                again by itself.
            WorkerFailed: a thread died.
        """
        self._make_clients()
        with _signals(self.stop):
            if not self._prepare():
                return
            log.info("worker %s of %s begins", self.name, self._participant.name)
            with ExitStack() as ending:
                self._begin(ending)
                while not self._stop_asked and not self._crew.failed.wait(_NOTICE):
                    pass
            for left in self._crew.join(self._grace):
                log.warning("%s has not ended in time; its work is left to the lease", left)
            self._crew.check()
            log.info("worker %s has ended", self.name)

    def stop(self) -> None:
        """Let `run` end. Any thread or signal handler may call it."""
        self._stop_asked = True  # no lock: a signal may come while its thread holds one

    def _make_clients(self) -> None:
        """Make the providers' clients, so that one that may not be used is told of before anything is sent."""
        for provider in self._participant.providers:
            try:
                _ = provider.client
            except ConfigError:
                raise
            except Exception as error:  # noqa: BLE001 -- the team's function: it may do better when it is needed
                log.warning("provider %s: its client cannot be made now: %s", provider.name, type(error).__name__)

    def _prepare(self) -> bool:
        """Check the schema and declare the operations, however long the database is away; False if asked to stop."""
        failures = 0
        while not self._stop_asked:
            try:
                with self._engine.connect() as connection:
                    migrations.refuse_other(connection)
                self._ledger.declare()
                self._history.look()
                self._presence.show((), begins=True)
                for name, number in self._runner.unknown().items():
                    log.warning("%d flows %s are due, but this program has no flow of that name", number, name)
                return True
            except Exception as error:  # noqa: BLE001 -- raised again unless it is the database's and may pass
                failures += 1
                self._wait_out(error, failures)
        return False

    def _begin(self, ending: ExitStack) -> None:
        """Start all threads, and leave to `ending` what lets them end."""
        ending.callback(self._permits.close)
        ending.callback(self._stopping.set)
        if self._participant.topics:
            consumer = self._consumer = Consumer(self._participant, self._engine, self._kafka)
            ending.callback(consumer.stop)
            self._crew.start("consumer", consumer.run)
        if self._participant.flows:
            ending.callback(self._bell.ring)
            ending.callback(self._runner.stop)
            for number in range(self._threads + sum(each.in_flight for each in self._participant.providers)):
                self._crew.start(f"flows-{number}", self._run_flows)
        self._crew.start("presence", partial(self._run_looks, SHOWN_EVERY, self._show))
        if self._participant.flows.listening:
            looks = self._runner.notice, self._runner.age
            self._crew.start("noticing", partial(self._run_looks, SWEEP_EVERY, *looks))
        if self._participant.providers or self._participant.flows:
            decisions = partial(self._evidence.handle, 1), partial(self._resolving.carry_out, 1), self._history.look
            self._crew.start("decisions", partial(self._run_looks, SWEEP_EVERY, *decisions))
        if self._participant.providers:
            scheduler = self._scheduler()
            scheduler.start()
            ending.callback(self._crew.start, "end-of-scheduler", lambda: scheduler.shutdown(wait=False))
        if self._notifier is not None:
            self._crew.start("notifier", partial(self._notify, self._notifier))

    def _scheduler(self) -> BackgroundScheduler:
        """Make what runs the sweeps. Its jobs run in its own thread, which does not keep the process from ending."""
        logging.getLogger("apscheduler.executors").setLevel(logging.WARNING)  # else two lines for every sweep
        scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, timezone=UTC)
        options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        scheduler.add_job(self._sweep, "interval", seconds=SWEEP_EVERY.total_seconds(), **options)
        return scheduler

    def _run_flows(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._run_flow()
                failures = 0
            except Exception as error:  # noqa: BLE001 -- raised again unless it is the database's and may pass
                failures += 1
                self._wait_out(error, failures)

    def _run_flow(self) -> None:
        """Look for a flow, and when one is found let another thread look, and run it.

        There are as many more threads than permits to work as there may be calls under way: a thread that waits for a
        provider has lent its permit, so that flows go on which need another provider, or none.
        """
        with ExitStack() as turn:
            turn.enter_context(self._looking)
            idle = 0
            while not self._stopping.is_set():
                heard = self._bell.rings
                with self._permits.held() as held:
                    if held and self._runner.run_once(turn.close):
                        return
                idle += 1
                if self._bell.wait(heard, IDLE.seconds(idle)):
                    idle = 0

    def _notify(self, notifier: "Notifier") -> None:
        """Tell people. In a thread of its own: a channel may take its time."""
        failures = 0
        while not self._stopping.is_set():
            try:
                notifier.escalate(self._engine, self._participant.name)
                while not self._stopping.is_set() and notifier.send_one(self._engine):
                    pass
                failures = 0
                self._stopping.wait(NOTIFY_EVERY.total_seconds())
            except Exception as error:  # noqa: BLE001 -- raised again unless it is the database's and may pass
                failures += 1
                self._wait_out(error, failures)
        notifier.close()

    def _sweep(self) -> None:
        self._crew.guarded("sweep", lambda: self._while_found(self._have_calls_made))

    def _have_calls_made(self) -> bool:
        """Have calls carried on with that are due, in as many threads as each provider has room for now."""
        for provider, number in self._ledger.due().items():
            for _ in range(number):
                self._crew.start(f"calls of {provider}", partial(self._carry_on, provider))
        return False

    def _carry_on(self, provider: str) -> None:
        def one() -> bool:
            with self._permits.held() as held:
                found = held and self._ledger.carry_on(provider)
            if found:
                self._bell.ring()  # a flow may be waiting for it
            return found

        self._while_found(one)

    def _show(self) -> bool:
        self._presence.show(self._ledger.counts.resting)
        return False

    def _run_looks(self, every: timedelta, *looks: Callable[[], int | bool]) -> None:
        """Look again and again for what has to be done. Never behind the sweep."""
        while not self._stopping.wait(every.total_seconds()):
            for look in looks:
                self._while_found(look)

    def _while_found(self, look: Callable[[], int | bool]) -> None:
        try:
            while not self._stopping.is_set() and look():
                pass
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("database error, trying again: %s", in_words(error))

    def _wait_out(self, error: Exception, failures: int) -> None:
        """Wait a while if `error` is one of the database that may pass; else raise it."""
        if not is_transient(error):
            raise error
        log.warning("database error, trying again: %s", in_words(error))
        until = time.monotonic() + OUTAGE.jittered(failures)
        while not self._stop_asked and time.monotonic() < until:
            self._stopping.wait(_NOTICE)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call `stop`, where that can be: signals belong to the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
