"""The password of a source's role is changed under load: the relay takes up the new one without a restart."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.crash.scene import OWNS, Scene
from tests.support import Process

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'"
FIRST, SECOND = "swordfish-9f2c", "albatross-77d1"
LONG = 180.0


def ask_for_passwords(admin: "psycopg.Connection[tuple[str]]") -> None:
    row = admin.execute("SHOW hba_file").fetchone()
    assert row is not None
    file = Path(row[0])
    file.write_text(f"host all relay all scram-sha-256\n{file.read_text()}")
    admin.execute("SELECT pg_reload_conf()")


@pytest.mark.timeout(600)
def test_the_password_of_the_database_is_rotated(
    fragile_database: Scene, own_postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    scene, secret, config = fragile_database, tmp_path / "secret", tmp_path / "relay.toml"
    secret.write_text(f"{FIRST}\n")
    place = make_conninfo(scene.url, user="relay")
    config.write_text(
        f'[kafka]\n"bootstrap.servers" = "{scene.kafka.bootstrap}"\n[relay]\nhttp_port = 0\nlog_level = "debug"\n'
        f'[[source]]\nname = "payer"\ndatabase = "{place}"\npassword = {{ file = "{secret}" }}\n'
    )
    workload = scene.workload()
    with psycopg.connect(scene.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE relay LOGIN PASSWORD '{FIRST}' IN ROLE onceward_relay")
        ask_for_passwords(admin)
        workload.start()
        relay = scene.stack.enter_context(Process(["-m", "onceward_relay", "relay", "run", "--config", str(config)]))
        relay.wait_for_output(OWNS, LONG)
        admin.execute(f"ALTER ROLE relay PASSWORD '{SECOND}'")
        admin.execute(END)
        relay.wait_for_output("password authentication failed", LONG)
        secret.write_text(SECOND)
        workload.wait_for(50)
    workload.stop()
    scene.check()
    assert relay.terminate() == 0
    assert FIRST not in relay.output
    assert SECOND not in relay.output
