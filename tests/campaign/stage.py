"""All that a campaign runs: servers, proxies on the ways to them, relays, consumers and writers."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from onceward_relay.embedded.postgres import EmbeddedPostgres, free_port
from tests.campaign.members import Member
from tests.campaign.orders import BAD_MANNERS, PLENTY, Orders
from tests.campaign.plan import Scale
from tests.checker.workload import Log, Manner, Workload
from tests.crash.reader import TAKEN
from tests.crash.scene import program
from tests.demo.support import RunningBank
from tests.servers.kafka import KafkaServer, TestKafka
from tests.servers.postgres import NEWEST, SETTINGS, TestServer, local_binaries
from tests.servers.proxy import Proxy
from tests.support import eventually

SLOT_SECONDS = 10
"""Instead of ten minutes: the outbox's slots are emptied while the campaign runs."""
SLOT = """
CREATE OR REPLACE FUNCTION onceward.slot() RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE
RETURN (floor(extract(epoch FROM now()) / {seconds})::bigint % 3)::smallint
"""
STALLED_AFTER = 10
UP_WITHIN = 120.0
SETTLING = 15.0
"""Seconds at a round's end without new orders: calls take their time to be settled."""


@dataclass
class Topic:
    """A topic and what the campaign wrote for it itself, besides the writers' logs."""

    name: str
    log: Log
    logs: list[Path] = field(default_factory=list)
    """Of the writers of this round."""
    taken: bool = True
    """Whether there are consumers of it."""


@dataclass
class SourceDatabase:
    """A participant's database: source of one topic, and inbox of its own or another's."""

    name: str
    server: str
    url: str
    topic: Topic
    delivery: str
    reader_url: str = ""
    """Where the consumers of its topic have their inbox."""
    late: list[Topic] = field(default_factory=list)
    """Topics that were made after the first messages for them."""


class Stage:
    """Everything running, until `close`."""

    def __init__(self, scale: Scale, seed: int, folder: Path, bug: str = "") -> None:
        self.scale = scale
        self._bug = bug
        self.seed = seed
        self.folder = folder
        self.servers: dict[str, EmbeddedPostgres] = {}
        self.sources: dict[str, SourceDatabase] = {}
        self.links: dict[str, Proxy] = {}
        self.members: dict[str, Member] = {}
        self._stack = ExitStack()

    def open(self) -> None:
        """Start it all but the writers."""
        settings = SETTINGS | {"fsync": "off", "wal_writer_delay": "10s"}
        # Processes are killed here, not machines: what was written is in the system's memory.
        for name in self.scale.server_names:
            server = EmbeddedPostgres(local_binaries(NEWEST), settings=settings)
            self.servers[name] = self._stack.enter_context(server)
        self._link_databases()
        self.broker = self._stack.enter_context(KafkaServer(self._link_kafka()))
        self.kafka = TestKafka(self.broker)
        self._make_sources()
        self._open_bank()
        self._make_members()
        for member in self.readers_and_relays():
            member.start()

    def close(self) -> None:
        """End it all."""
        for member in self.members.values():
            member.kill()
        self._stack.close()

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_round(self, number: int, seconds: float) -> None:
        """Give each source a new log, let the writers work, and wait until they do and everybody else is there."""
        for source in self.sources.values():
            source.topic = self._topic(source.topic.name, f"campaign.{source.name}.{number}")
            source.late = []
        for name in self.scale.writer_names:
            self.members[name].start()
        for source in self.sources.values():
            _wait_until_written(source.topic.logs[0])
        self.wait_until_up()
        self.orders.begin(seconds - SETTLING)

    def wait_until_up(self) -> None:
        """Wait until every relay and consumer has begun to work: on a busy machine that takes its time."""
        for member in self.readers_and_relays():
            _wait_until_up(member, self._word(member.name))

    def _word(self, name: str) -> str:
        """Return what a member says when it has begun."""
        words = dict.fromkeys(self.scale.relay_names, "relay started") | dict.fromkeys(self.scale.payer_names, "begins")
        return words.get(name, "assigned")

    def readers_and_relays(self) -> Iterator[Member]:
        """All members but the writers."""
        return (self.members[name] for name in self._all_but_writers)

    @property
    def _all_but_writers(self) -> list[str]:
        return [*self.scale.consumer_names, *self.scale.relay_names, *self.scale.payer_names]

    @property
    def payers_source(self) -> SourceDatabase:
        """Whose database the payers share."""
        return self.sources[self.scale.source_names[0]]

    def late_topic(self, source: SourceDatabase, name: str) -> Topic:
        """Name a topic that does not exist yet."""
        topic = self._topic(name, name)
        topic.taken = False
        source.late.append(topic)
        return topic

    def workload(self, source: SourceDatabase, topic: Topic | None = None) -> Workload:
        """Return what the campaign itself writes with."""
        topic = topic or source.topic
        return Workload(source.url, topic.name, topic.log, self.seed, Manner(self.scale.keys), "campaign")

    def connect(self, source: SourceDatabase, **options: Any) -> "psycopg.Connection[Any]":
        """Connect to a source's database, past the proxies."""
        return psycopg.connect(source.url, connect_timeout=5, application_name="campaign", **options)

    def keep_logs(self) -> None:
        """Copy the servers' logs beside the others."""
        for name, server in self.servers.items():
            shutil.copy(server.log, self.folder / f"{name}.log")
        shutil.copy(self.broker.log, self.folder / "kafka.log")

    def _topic(self, name: str, log: str) -> Topic:
        return Topic(name, Log(self.folder / f"{log}.jsonl"))

    def _link_databases(self) -> None:
        for relay in self.scale.relay_names:
            for name, server in self.servers.items():
                self._link(f"{relay} to {name}", server.port)

    def _link_kafka(self) -> dict[str, str]:
        """Return the settings of a broker that tells each relay, at a port of its own, to come back through its proxy."""
        ways = [("PLAINTEXT", "{port}", "{port}")]
        for number, relay in enumerate(self.scale.relay_names, 1):
            door = free_port()
            self._link(f"{relay} to kafka", door)
            ways.append((f"DOOR{number}", str(door), str(self.links[f"{relay} to kafka"].port)))
        return {
            "listeners": ",".join(
                ["CONTROLLER://127.0.0.1:{controller}", *(f"{n}://127.0.0.1:{own}" for n, own, _ in ways)]
            ),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{told}" for name, _, told in ways),
            "listener.security.protocol.map": ",".join(
                f"{name}:PLAINTEXT" for name in ("CONTROLLER", *(w[0] for w in ways))
            ),
        }

    def _link(self, name: str, port: int) -> None:
        self.links[name] = Proxy("127.0.0.1", port)
        self._stack.callback(self.links[name].close)

    def _make_sources(self) -> None:
        names = self.scale.source_names
        makers = {name: TestServer(server) for name, server in self.servers.items()}
        for number, name in enumerate(names):
            server = self.scale.server_names[number % self.scale.servers]
            url = makers[server].create_database(installed=True)
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(sql.SQL(SLOT).format(seconds=sql.Literal(SLOT_SECONDS)))
                owner.execute(TAKEN)
            topic = self._topic(self.kafka.create_topic(f"topic-of-{name}"), f"campaign.{name}")
            delivery = ("at_least_once", "exactly_once")[number % 2]
            self.sources[name] = SourceDatabase(name, server, url, topic, delivery)
        for name, other in zip(names, (*names[1:], names[0]), strict=True):
            self.sources[name].reader_url = self.sources[other].url

    def _open_bank(self) -> None:
        options = ["--manners", BAD_MANNERS, "--seed", str(self.seed), "--opening", str(PLENTY)]
        self.bank = self._stack.enter_context(RunningBank(self.folder / "books", *options))
        self.kafka.create_topic("paid", partitions=1)
        with psycopg.connect(self.payers_source.url, autocommit=True) as owner:
            owner.execute("CREATE TABLE paid (number text)")
        self.orders = Orders(self.payers_source.url)
        self._stack.callback(self.orders.end)

    def _make_members(self) -> None:
        for payer in self.scale.payer_names:
            where = [payer, self.payers_source.url, self.bank.address]
            self._member(payer, lambda _, where=where: ["tests.campaign.payer", *where])
        for relay in self.scale.relay_names:
            config = self._relay_config(relay)
            self._member(
                relay,
                lambda _, config=config: [
                    *program("onceward_relay", self._bug),
                    "relay",
                    "run",
                    "--config",
                    str(config),
                ],
            )
        for number, source in enumerate(self.sources.values(), 1):
            for i in range(1, self.scale.consumers + 1):
                name = f"consumer-{number}.{i}"
                where = [source.reader_url, self.broker.bootstrap, source.topic.name, name]
                self._member(name, lambda _, where=where: ["tests.crash.reader", *where])
            name = f"writer-{number}"
            self._member(name, lambda life, name=name, source=source: self._writer(name, source, life))

    def _member(self, name: str, arguments: Any) -> None:
        self.members[name] = Member(name, arguments, self.folder / f"{name}.log")

    def _writer(self, name: str, source: SourceDatabase, life: int) -> list[str]:
        log = self.folder / f"{name}.{life}.jsonl"
        source.topic.logs.append(log)
        settings = f"{self.seed}/{life}", str(self.scale.keys), str(self.scale.writers)
        return ["tests.campaign.writer", name, source.url, source.topic.name, str(log), *settings]

    def _relay_config(self, relay: str) -> Path:
        """Write the configuration of a relay that reaches every server by a proxy of its own."""
        parts = [
            f'[kafka]\n"bootstrap.servers" = "127.0.0.1:{self.links[f"{relay} to kafka"].port}"',
            f'[relay]\nname = "{relay}"\nhttp_port = 0\nstall_timeout = {STALLED_AFTER}',
        ]
        for source in self.sources.values():
            port = self.links[f"{relay} to {source.server}"].port
            url = urlunsplit(urlsplit(source.url)._replace(netloc=f"relay:relay@127.0.0.1:{port}"))
            parts.append(f'[[source]]\nname = "{source.name}"\ndatabase = "{url}"\ndelivery = "{source.delivery}"')
        path = self.folder / f"{relay}.toml"
        path.write_text("\n".join(parts) + "\n")
        return path


def _wait_until_written(log: Path) -> None:
    eventually(lambda: log.exists() and log.stat().st_size, UP_WITHIN, lambda: log)


def _wait_until_up(member: Member, word: str) -> None:
    eventually(lambda: member.says(word), UP_WITHIN, lambda: f"{member.name} has not said {word!r}")
