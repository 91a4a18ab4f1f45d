"""What happens to databases: snapshots that are held, prepared transactions, timeouts, deadlocks, poolers, full disks."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from onceward import migrations
from onceward_relay.embedded.guard import Guard
from onceward_relay.embedded.postgres import EmbeddedPostgres, free_port
from tests.checker.workload import Outcome, Workload, deadlocks, keys
from tests.conftest import without
from tests.crash.conftest import scene_of
from tests.crash.scene import OWNS, Scene
from tests.servers.kafka import TestKafka
from tests.servers.postgres import NEWEST, SETTINGS, local_binaries
from tests.support import eventually

WAITS_FOR_LOCK = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'onceward-relay%' AND wait_event_type = 'Lock'
"""


def test_a_snapshot_that_is_held(scene: Scene) -> None:
    """A report that runs for hours: messages flow past it, and it makes no dead rows in the relay's tables."""
    workload = scene.workload()
    scene.relay().wait_for_output(OWNS)
    with psycopg.connect(scene.url) as report:
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM onceward.outbox")
        workload.start()
        workload.wait_for(200)
        workload.stop()
        scene.check()
        with psycopg.connect(scene.url) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            query = "SELECT sum(n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relid = ANY(%s::regclass[])"
            tables = ["onceward.outbox_0", "onceward.outbox_1", "onceward.outbox_2", "onceward.checkpoint"]
            assert connection.execute(query, (tables,)).fetchone() == (0,)


def test_an_abandoned_prepared_transaction(fragile_database: Scene, own_postgres: EmbeddedPostgres) -> None:
    """It outlives a crash of the server and holds up nobody; whenever it is committed, its messages go."""
    scene = fragile_database
    workload = scene.workload()
    relay = scene.relay()
    relay.wait_for_output(OWNS)
    with psycopg.connect(scene.url) as coordinator:
        abandoned = workload.write(coordinator, keys()[:2])
        coordinator.execute("PREPARE TRANSACTION 'abandoned'")
        coordinator.commit()
    own_postgres.kill()
    own_postgres.start()
    with psycopg.connect(scene.url) as quick:
        for _ in range(3):
            workload.commit(quick, workload.write(quick, keys()[2:5]))
    scene.check()
    scene.log.about_to_end(abandoned)
    with psycopg.connect(scene.url, autocommit=True) as anybody:
        anybody.execute("COMMIT PREPARED 'abandoned'")
    scene.log.ended(abandoned, Outcome.COMMITTED)
    scene.check()
    assert relay.running


def test_statements_and_locks_that_time_out_and_deadlocks(scene: Scene) -> None:
    """Writers and consumer meet all three, the relay a statement that is cancelled while it waits for a lock."""
    workload = scene.workload()
    with psycopg.connect(scene.url, autocommit=True) as admin:
        name = sql.Identifier(admin.info.dbname)
        for setting in "statement_timeout = '30ms'", "lock_timeout = '15ms'", "deadlock_timeout = '1ms'":
            admin.execute(sql.SQL("ALTER DATABASE {} SET ").format(name) + sql.SQL(setting))
    relay = scene.relay()
    relay.wait_for_output(OWNS)
    scene.reader()
    workload.start()
    with deadlocks(lambda: psycopg.connect(scene.url), keys(), 0.01):
        workload.wait_for(50)
        cancel_the_relay_at_a_lock(scene)
        workload.wait_for(50)
    workload.stop()
    scene.check()
    scene.check_taken()
    assert relay.running


def cancel_the_relay_at_a_lock(scene: Scene) -> None:
    with psycopg.connect(scene.url) as owner, psycopg.connect(scene.url, autocommit=True) as admin:
        owner.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        owner.execute("LOCK TABLE onceward.checkpoint IN ACCESS EXCLUSIVE MODE")
        admin.execute("SET statement_timeout = 0")
        waiting = eventually(lambda: admin.execute(WAITS_FOR_LOCK).fetchone())
        admin.execute("SELECT pg_cancel_backend(%s)", waiting)


@pytest.fixture
def pooler(scene: Scene, tmp_path: Path) -> Iterator[int]:
    """PgBouncer in transaction mode before the scene's database; its port."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        without("no pgbouncer on this machine")
    port, (host, server) = free_port(), scene.address
    users, settings = tmp_path / "users", tmp_path / "pgbouncer.ini"
    users.write_text('"postgres" ""\n')
    settings.write_text(
        f"[databases]\n* = host={host} port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 5\n"
    )
    with as_nobody(program, settings, tmp_path):
        eventually(lambda: connects(scene.through(port)))
        yield port


@contextmanager
def as_nobody(program: str, settings: Path, folder: Path) -> Iterator[None]:
    """Run PgBouncer, which refuses to be root, from files that everybody may read."""
    for path in (settings, folder / "users", *folder.parents[:3], folder):
        if path.is_relative_to("/tmp/pytest-of-root"):
            path.chmod(path.stat().st_mode | 0o055)
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    running = subprocess.Popen([program, "-q", settings], cwd="/", **user)  # type: ignore[call-overload]
    guard = Guard(running.pid, signal.SIGKILL)
    yield
    running.kill()
    running.wait()
    guard.release()


def connects(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def test_a_transaction_pooler(scene: Scene, pooler: int) -> None:
    """Participants may write and consume through it; the relay refuses it, for its lease is a session."""
    workload = Workload(scene.through(pooler), scene.topic, scene.log)
    refused = scene.relay("pooled", database=pooler)
    refused.wait_for_output("connection pooler stands between")
    scene.relay("direct").wait_for_output(OWNS)
    scene.reader(database=pooler)
    workload.start()
    workload.wait_for(200)
    workload.stop()
    scene.check()
    scene.check_taken()
    assert refused.running, "it tries again: somebody may mend the address"


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of half a gigabyte, for temporary folders."""
    disk = Path(tempfile.mkdtemp(prefix="onceward-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512m,mode=755", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        disk.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    yield disk
    subprocess.run(["umount", disk], check=True)
    disk.rmdir()


@pytest.mark.timeout(300)
def test_a_full_disk(small_disk: Path, kafka: TestKafka, tmp_path: Path) -> None:
    """Participants' transactions fail, for they cannot be durable; none that has committed is lost, and all goes on."""
    settings = SETTINGS | {"min_wal_size": "32MB", "max_wal_size": "48MB"}
    with EmbeddedPostgres(local_binaries(NEWEST), settings=settings) as server:
        migrations.install(server.url())
        for scene in scene_of(server.url(), kafka, tmp_path):
            workload = scene.workload()
            relay = scene.relay()
            relay.wait_for_output(OWNS)
            workload.start()
            workload.wait_for(50)
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - LEFT)))
            eventually(lambda: "No space left on device" in server.log.read_text(errors="replace"), 120)
            ballast.unlink()
            eventually(lambda: answers(server), 60)
            workload.wait_for(50)
            workload.stop()
            scene.check()
            assert relay.running


LEFT = 2**20
"""Bytes that the ballast leaves free."""


def answers(server: EmbeddedPostgres) -> bool:
    """Whether the server has recovered; one that has given up is started again."""
    if not server.running:
        server.stop()
        server.start()
    return connects(server.url())
