"""An outbox under load, relays that may be killed, and the checker at the end."""

import json
import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.checker.checker import Arrived, Verdict, check_effects, check_topic
from tests.checker.workload import Log, Workload, commit_marker, resolve
from tests.crash.reader import TAKEN
from tests.servers.kafka import TestKafka
from tests.support import Process, eventually

KILLED = -signal.SIGKILL
OWNS = "source taken over"
DRAINED_WITHIN = 90.0
DRAINED = """
SELECT c.s2 IS NULL AND NOT EXISTS (SELECT FROM onceward.outbox o WHERE NOT pg_visible_in_snapshot(o.xid, c.s1))
  FROM onceward.checkpoint c ORDER BY c.epoch DESC, c.seq DESC LIMIT 1
"""
ROOT = Path(__file__).parents[2]
WINDOW_OPEN = "SELECT s2 IS NOT NULL FROM onceward.checkpoint ORDER BY epoch DESC, seq DESC LIMIT 1"


@dataclass
class Scene:
    """An outbox under load, a topic, and relays between the two."""

    url: str
    kafka: TestKafka
    topic: str
    log: Log
    folder: Path
    stack: ExitStack
    delivery: str = "at_least_once"
    kafka_toml: str = ""
    """The relay's [kafka], where an address is not enough."""
    relay_toml: str = ""
    """More of the relay's [relay]."""
    reader_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the reader's Kafka client besides the address."""
    readers: list[Process] = field(default_factory=list)
    """Those started so far."""

    @property
    def source(self) -> str:
        """Name of the source: its own in Kafka, which all scenes share."""
        return self.topic if self.delivery == "exactly_once" else "payer"

    def relay(
        self, name: str = "first", failpoint: str = "", bug: str = "", *, database: int = 0, clock: int = 0
    ) -> Process:
        """Start a relay; with `bug` it is one of `tests.checker.planted`.

        `database` is the port of what stands between it and its database; its clock is `clock` seconds off.
        """
        config = self.configure(name, database)
        shifted = ["tests.crash.shifted", str(clock)] if clock else []
        arguments = *shifted, "onceward_relay", "relay", "run", "--config", str(config)
        return self._run(*arguments, failpoint=failpoint, bug=bug)

    def configure(self, name: str, database: int = 0) -> Path:
        """Write the configuration of a relay, and return its file."""
        config = self.folder / f"{name}.toml"
        kafka = self.kafka_toml or f'[kafka]\n"bootstrap.servers" = "{self.kafka.bootstrap}"\n'
        config.write_text(
            f'{kafka}[relay]\nname = "{name}"\nhttp_port = 0\n{self.relay_toml}\n'
            f'[[source]]\nname = "{self.source}"\ndatabase = "{self.through(database)}"\ndelivery = "{self.delivery}"\n'
        )
        return config

    def reader(self, failpoint: str = "", bug: str = "", *, database: int = 0) -> Process:
        """Start a consumer that writes down in the table `taken` what it takes."""
        with psycopg.connect(self.url) as connection:
            connection.execute(TAKEN)
        where = self.through(database), self.kafka.bootstrap, self.topic, "reader-1"
        self.readers.append(self._run("tests.crash.reader", *where, failpoint=failpoint, bug=bug))
        return self.readers[-1]

    def through(self, port: int) -> str:
        """Return the database's URL by way of a port of this machine."""
        parts = urlsplit(self.url)
        return self.url if not port else urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))

    @property
    def address(self) -> tuple[str, int]:
        """Where the database's server listens."""
        parts = urlsplit(self.url)
        return str(parts.hostname), parts.port or 5432

    def taken(self) -> Counter[str]:
        """How often each message has taken effect."""
        with psycopg.connect(self.url) as connection:
            return Counter(row[0] for row in connection.execute("SELECT message_id FROM taken"))

    def _run(self, module: str, *arguments: str, failpoint: str, bug: str) -> Process:
        options = json.dumps(self.reader_options)
        environment = {"ONCEWARD_FAILPOINT": failpoint, "PYTHONPATH": str(ROOT), "READER_KAFKA": options}
        return self.stack.enter_context(Process(["-m", *program(module, bug), *arguments], environment))

    def workload(self, seed: int = 1) -> Workload:
        """Make a workload; its writers stop with the scene if the test did not get so far."""
        workload = Workload(self.url, self.topic, self.log, seed)
        self.stack.callback(workload.stop)
        return workload

    def arrived(self) -> list[Arrived]:
        return [Arrived.of(record) for record in self.kafka.records(self.topic)]

    def wait_for_arrival(self, count: int) -> None:
        """Wait until so many messages have arrived."""
        eventually(lambda: len({each.message_id for each in self.arrived()}) >= count, DRAINED_WITHIN)

    def check(self) -> None:
        """Fail with what the checker finds. What became of unanswered commits is asked of the participant's own table."""
        resolve(self.url, self.log.sent)
        verdict = self.verdict()
        assert verdict, str(verdict)

    def check_taken(self, within: float = DRAINED_WITHIN) -> None:
        """Fail unless each committed message comes to take effect once, and no other does."""
        arrived = self.arrived()

        def verdict() -> Verdict:
            return check_effects(self.log.sent, arrived, self.taken())

        eventually(verdict, within, lambda: f"{verdict()}\nparked: {self.parked()}\n{self.readers[-1].output[-4000:]}")

    def parked(self) -> list[str]:
        """Errors of the messages that the consumer has set aside."""
        with psycopg.connect(self.url) as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT error FROM onceward.inbox_parked")]

    def verdict(self) -> Verdict:
        """Wait until a relay has settled all that was committed, or the bound is over, and ask the checker.

        Only what is missing then is lost, and only a phantom that has not come by then never comes.
        """
        commit_marker(self.url, self.topic, self.log)
        deadline = time.monotonic() + DRAINED_WITHIN
        while not (drained := self.drained()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return check_topic(self.log.sent, self.arrived(), drained=drained)

    def drained(self) -> bool:
        """Whether the newest checkpoint covers all that is visible."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(DRAINED).fetchone()
        return bool(row and row[0])

    def window_open(self) -> bool:
        """Whether the newest checkpoint lies inside an open window."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(WINDOW_OPEN).fetchone()
        return bool(row and row[0])


def program(module: str, bug: str) -> list[str]:
    """Return the module to run, with its arguments: `module`, or with `bug` one of `tests.checker.planted` in it."""
    return ["tests.checker.planted", bug, module] if bug else [module]
