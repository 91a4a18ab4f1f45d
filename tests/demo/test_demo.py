"""The whole demo, as a person starts it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.support import Process, eventually

pytestmark = pytest.mark.timeout(300)

DEMO = ("-m", "onceward_relay", "demo")


def environment(folder: Path) -> dict[str, str]:
    """Let everything temporary go to a folder of its own, where what is left behind can be seen."""
    return {"TMPDIR": str(folder), "COLUMNS": "200"}


@pytest.fixture
def scratch() -> Iterator[Path]:
    with TemporaryDirectory(prefix="onceward-test-") as folder:  # not pytest's: only its owner may enter that
        Path(folder).chmod(0o755)
        yield Path(folder)


def left_behind(folder: Path) -> list[str]:
    """Return files in `folder`, and processes that know of it."""
    files = [path.name for path in folder.iterdir()]
    return files + [command for command in commands() if str(folder) in command]


def commands() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            scene = (path.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        yield command + scene


def run(scratch: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run the demo to its end with --json; return its exit status, its document and what it told."""
    done = subprocess.run(
        [sys.executable, *DEMO, "--json", *options],
        env={**os.environ, **environment(scratch)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.long
def test_keeps_its_promises_and_leaves_nothing_behind(scratch: Path) -> None:
    status, document, told = run(scratch, "--transfers", "60", "--seed", "1")
    assert (status, document["kept"]) == (0, True), f"{document}\n{told}"
    assert sum(document["transfers"].values()) == 60
    assert [each["promise"] for each in document["promises"] if not each["kept"]] == []
    assert {kill["victim"] for kill in document["kills"]} == {"relay", "payer's worker", "payee's worker"}
    assert len(re.findall("^✗ ", told, re.MULTILINE)) == len(document["kills"])
    assert left_behind(scratch) == []


@pytest.mark.long
def test_uses_real_servers_and_leaves_them_as_they_were(scratch: Path, postgres: TestServer, kafka: TestKafka) -> None:
    url = postgres.create_database()
    before = databases(url), topics(kafka), groups(kafka)
    options = ["--transfers", "40", "--seed", "2", "--database", url, "--kafka", kafka.bootstrap]
    status, document, told = run(scratch, *options)
    assert (status, document["kept"]) == (0, True), f"{document}\n{told}"
    eventually(lambda: (databases(url), topics(kafka), groups(kafka)) == before)
    assert left_behind(scratch) == []


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {
            row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'onceward-demo%'")
        }


def topics(kafka: TestKafka) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    return {name for name in admin.list_topics(timeout=10).topics if name.startswith("onceward-demo")}


def groups(kafka: TestKafka) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    found = admin.list_consumer_groups(request_timeout=10).result().valid
    return {group.group_id for group in found if group.group_id.startswith("onceward-demo")}


def test_with_keep_it_stays_up_and_its_commands_settle_what_is_left(scratch: Path) -> None:
    with Process([*DEMO, "--transfers", "30", "--seed", "3", "--keep"], environment(scratch)) as demo:
        demo.wait_for_output("Everything stays up until Ctrl-C", timeout=200)
        demo.wait_for_output("bank B:")
        shown = {what: re.findall(f"  {what} +(onceward .*)", demo.output) for what in ("look at it", "settle it")}
        assert [line.split()[2] for line in shown["settle it"]] == ["applied", "accept-difference", "resume"], (
            demo.output
        )
        for line in shown["look at it"]:
            assert shlex.split(line)[3] in as_typed(line)
        subjects = {shlex.split(line)[3] for line in shown["settle it"]}
        [incidents] = re.findall("onceward incidents list .*", demo.output)
        assert subjects <= waiting(incidents)
        for line in shown["settle it"]:
            as_typed(line)
        eventually(lambda: not subjects & waiting(incidents), timeout=60)
        os.kill(demo.pid, signal.SIGINT)
        assert demo.wait() == 0
    assert left_behind(scratch) == []


def as_typed(line: str) -> str:
    """Run a command as a person copies it; return what it prints."""
    words = shlex.split(line)
    done = subprocess.run(
        [sys.executable, "-m", "onceward_relay", *words[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def waiting(incidents: str) -> set[str]:
    """Return what the open incidents are about."""
    rows = json.loads(as_typed(f"{incidents} --json"))
    return {row[subject] for row in rows for subject in ("call_id", "flow_id") if row[subject]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(scratch: Path, number: signal.Signals) -> None:
    with Process([*DEMO, "--transfers", "5000"], environment(scratch)) as demo:
        demo.wait_for_output("✗ ", timeout=100)
        os.kill(demo.pid, number)
        assert demo.wait() == 130
        assert "everything is removed" in demo.output
    assert left_behind(scratch) == []


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--database", "postgresql://nobody@127.0.0.1:1/none", "PostgreSQL at 127.0.0.1:1/none: "),
        ("--database", "mysql://nobody@127.0.0.1/none", "must begin with postgresql://"),
        ("--kafka", "127.0.0.1:1", "Kafka at 127.0.0.1:1: "),
        ("--transfers", "0", "--transfers"),
    ],
)
def test_says_in_a_line_why_it_cannot_begin(scratch: Path, option: str, value: str, message: str) -> None:
    status, document, told = run(scratch, option, value)
    assert status in (1, 2)
    assert document == {}
    assert message in told
    assert "Traceback" not in told
    assert left_behind(scratch) == []
