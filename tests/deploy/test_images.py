"""The images and the compose file, as far as they can be held against the repository and a PostgreSQL without Docker."""

import os
import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from onceward import migrations
from onceward_relay.console.home.store import upgrade
from onceward_relay.embedded.postgres import EmbeddedPostgres
from tests.servers.postgres import psql

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()


def sent_to_docker(path: str) -> bool:
    """Whether .dockerignore leaves `path` in the context: the last rule that names it or a folder above decides."""
    left = True
    for rule in (ROOT / ".dockerignore").read_text().split():
        named = rule.removeprefix("!")
        if named == "*" or f"{path}/".startswith(f"{named}/"):
            left = rule.startswith("!")
    return left


@pytest.mark.parametrize("image", ["deploy/Dockerfile", "participant_template/Dockerfile"])
def test_what_an_image_copies_is_there(image: str) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / image).read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) > 4
    for source in sources:
        assert (ROOT / source).exists(), source
        assert sent_to_docker(source), f".dockerignore leaves {source} out"


def test_kafka_keeps_its_log_in_the_volume() -> None:
    [volume] = re.findall(r'"kafka:(/[^"]+)"', COMPOSE)
    assert f"KAFKA_LOG_DIRS: {volume} " in COMPOSE


def test_the_roles_of_the_compose_file_can_do_their_work(own_postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(own_postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE orders")
    address = {"PGHOST": "127.0.0.1", "PGPORT": str(own_postgres.port), "POSTGRES_PASSWORD": 'it\'s "odd"'}
    path = f"{Path(psql()).parent}{os.pathsep}{os.environ['PATH']}"
    script = ["sh", str(ROOT / "deploy" / "compose-roles.sh")]
    subprocess.run(script, env={**os.environ, **address, "PATH": path}, check=True, capture_output=True)
    url = own_postgres.url("orders")
    migrations.install(url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (id int)")
    with psycopg.connect(url, user="service") as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        connection.execute("SELECT onceward.publish('orders', 'k', 'x', NULL)")
    with psycopg.connect(url, user="relay") as connection:
        assert connection.execute("SELECT count(*) FROM onceward.outbox").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM orders")
    with psycopg.connect(url, user="console") as connection:
        connection.execute("SELECT count(*) FROM onceward.call_shown")
    upgrade(make_conninfo(own_postgres.url("console"), user="console_home"))
