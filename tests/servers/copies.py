"""Copies of a PostgreSQL server: standbys, point-in-time recoveries, and plain copies of the files."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.support import eventually

from .postgres import NEWEST, SETTINGS, local_binaries

KEEP_WAL = {"wal_keep_size": "2GB", "max_wal_size": "2GB"}
"""For a primary whose WAL a copy reads later."""


@contextmanager
def standby_of(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Run a hot standby that streams from `primary`."""
    with _copy() as copy:
        _base_backup(primary, copy, "-R")
        copy.start()
        yield copy


@contextmanager
def base_backup_of(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Take a base backup. It is not started."""
    with _copy() as copy:
        _base_backup(primary, copy)
        yield copy


@contextmanager
def files_of(stopped: EmbeddedPostgres, settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """Copy the files of a server that does not run. The copy is not started."""
    with _copy(settings) as copy:
        subprocess.run(["cp", "-a", stopped._data, copy._data], check=True)
        (copy._data / "postmaster.pid").unlink(missing_ok=True)
        yield copy


@contextmanager
def recovered(backup: EmbeddedPostgres, wal: Path, lsn: str) -> Iterator[EmbeddedPostgres]:
    """Recover a copy of `backup` up to `lsn`, with the WAL from the folder `wal`, and promote it."""
    target = {
        "restore_command": f'cp "{wal}/%f" "%p"',
        "recovery_target_lsn": lsn,
        "recovery_target_action": "promote",
    }
    with files_of(backup, target) as copy:
        subprocess.run(["cp", "-a", copy._data / "PG_VERSION", copy._data / "recovery.signal"], check=True)
        copy.start()
        wait_primary(copy)
        yield copy


def promote(standby: EmbeddedPostgres) -> None:
    """Make a standby the primary."""
    with psycopg.connect(standby.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
    wait_primary(standby)


def wait_primary(server: EmbeddedPostgres) -> None:
    """Wait until a server takes writes."""

    def writable() -> bool:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)

    eventually(writable)


def wait_replayed(standby: EmbeddedPostgres, primary: EmbeddedPostgres) -> None:
    """Wait until a standby has replayed all that the primary has written by now."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        lsn = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    with psycopg.connect(standby.url(), autocommit=True) as connection:
        eventually(
            lambda: connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn).fetchone() == (True,)
        )


@contextmanager
def _copy(settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(local_binaries(NEWEST), settings=SETTINGS | dict(settings or {}))
    try:
        yield server
    finally:
        server.close()


def _base_backup(primary: EmbeddedPostgres, copy: EmbeddedPostgres, *options: str) -> None:
    address = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
    copy._run("pg_basebackup", *address, "-D", str(copy._data), "-c", "fast", "-X", "stream", "--no-sync", *options)


@contextmanager
def upgraded(old: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Carry a server that does not run over to the newest version with pg_upgrade. The new one is not started."""
    with _copy() as new:
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-data-checksums")
        new._run("initdb", "-D", str(new._data), *options)
        folders = ("-d", str(old._data), "-D", str(new._data), "-b", str(old._binaries), "-B", str(new._binaries))
        ports = ("-p", str(old.port), "-P", str(new.port), "-s", str(new._folder))
        new._run("pg_upgrade", *folders, *ports, "-U", "postgres", "--no-sync")
        yield new
