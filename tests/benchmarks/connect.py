"""Kafka Connect with Debezium's PostgreSQL connector and its outbox event router, tuned for throughput."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from onceward_relay.bench import BenchError
from onceward_relay.bench.machine import backend_cpu_seconds
from onceward_relay.bench.stage import Connection, Servers
from onceward_relay.embedded.guard import Guard
from onceward_relay.embedded.postgres import free_port
from tests.servers import maven

POM = Path(__file__).parent / "pom.xml"
HEAP = "1g"
PATIENCE = 120.0
"""Seconds within which it must be streaming."""
WORKER = {
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "plugin.discovery": "only_scan",
    "topic.creation.enable": "false",
    "offset.flush.interval.ms": "1000",
    "producer.acks": "all",
    "producer.enable.idempotence": "true",
    "producer.linger.ms": "20",
    "producer.batch.size": "900000",
    "producer.buffer.memory": "134217728",
    "producer.max.request.size": "1048576",
}
"""The producer as the relay has it: the same acknowledgements, the same size of batches."""
CONNECTOR = {
    "name": "outbox",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "topic.prefix": "bench",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "disabled",
    "table.include.list": "onceward.outbox",
    "snapshot.mode": "no_data",
    "max.batch.size": "20480",
    "max.queue.size": "81920",
    "poll.interval.ms": "10",
    "tombstones.on.delete": "false",
    "transforms": "outbox",
    "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    "transforms.outbox.table.field.event.id": "message_id",
    "transforms.outbox.table.field.event.key": "key",
    "transforms.outbox.table.field.event.payload": "payload",
    "transforms.outbox.table.fields.additional.placement": "type:header:ce_type",
    "transforms.outbox.route.by.field": "topic",
    "transforms.outbox.route.topic.replacement": "${routedByValue}",
}
"""Queue and batches ten times the default, and no pause between two of them."""


class Slot:
    """A replication slot and a publication of the outbox's inserts, for the time of one run."""

    def __init__(self, connection: Connection) -> None:
        self.name = f"onceward_bench_{uuid4().hex[:8]}"
        self._connection = connection
        name = sql.Identifier(self.name)
        publication = "CREATE PUBLICATION {} FOR TABLE onceward.outbox WITH (publish = 'insert', publish_via_partition_root = true)"
        connection.execute(sql.SQL(publication).format(name))
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (self.name,))

    def sender_cpu(self) -> float | None:
        """CPU seconds of the backend that decodes the WAL for the slot; None if it does not run on this machine."""
        row = self._connection.execute(
            "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s AND active", (self.name,)
        ).fetchone()
        return None if row is None else backend_cpu_seconds(row[0], self._connection.info.dbname)

    def drop(self) -> None:
        """Drop both, once the connector has let go."""
        deadline = time.monotonic() + 30
        while self.sender_cpu() is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        self._connection.execute("SELECT pg_drop_replication_slot(%s)", (self.name,))
        self._connection.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(self.name)))


class Running:
    """A connector's process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise BenchError, with the end of its log, if it has ended."""
        if self._process.poll() is not None:
            raise BenchError(f"Debezium ended:\n{self._log.read_text(errors='replace')[-4000:]}")


@contextmanager
def connector(servers: Servers, slot: Slot) -> Iterator[Running]:
    """Run the connector, which streams what is in the slot."""
    jars = maven.artifacts("debezium", POM)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plugins").mkdir()
        files = [folder / "worker.properties", folder / "connector.properties"]
        for file, settings in zip(files, (_worker(servers, folder), _connector(servers, slot)), strict=True):
            file.write_text("".join(f"{option}={value}\n" for option, value in settings.items()))
        java = ["java", f"-Xmx{HEAP}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*"]
        command = [*java, "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        guard = Guard(process.pid, signal.SIGKILL)
        try:
            yield Running(process, folder / "log")
        finally:
            process.kill()
            process.wait()
            guard.release()


def _worker(servers: Servers, folder: Path) -> dict[str, str]:
    return WORKER | {
        "bootstrap.servers": servers.kafka,
        "listeners": f"http://127.0.0.1:{free_port()}",
        "offset.storage.file.filename": str(folder / "offsets"),
        "plugin.path": str(folder / "plugins"),
    }


def _connector(servers: Servers, slot: Slot) -> dict[str, str]:
    address = conninfo_to_dict(servers.url)
    return CONNECTOR | {
        "database.hostname": str(address["host"]),
        "database.port": str(address.get("port", 5432)),
        "database.user": str(address["user"]),
        "database.password": str(address.get("password", "")),
        "database.dbname": str(address["dbname"]),
        "slot.name": slot.name,
        "publication.name": slot.name,
    }
