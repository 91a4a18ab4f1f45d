"""SIGHUP: sources come, change and go, and the others do not notice."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.servers.postgres import TestServer
from tests.support import eventually

from .support import connect, publish, rows, values
from .test_daemon import Relay


@pytest.fixture
def other(postgres: TestServer) -> Iterator[str]:
    """A second database, as the relay's role sees it."""
    url = postgres.create_database(installed=True)
    yield postgres.login(url, "relay")
    postgres.drop_database(url)


def reconfigure(relay: Relay, folder: Path, sources: Mapping[str, str], more: str = "", relay_more: str = "") -> None:
    """Write another configuration and tell the relay."""
    file = folder / "first.toml"
    kafka = file.read_text().partition("[relay]")[0]
    tables = "".join(f'[[source]]\nname = "{name}"\ndatabase = "{url}"\n{more}' for name, url in sources.items())
    file.write_text(f'{kafka}[relay]\nname = "first"\nhttp_port = 0\n{relay_more}{tables}')
    os.kill(relay.pid, signal.SIGHUP)


def states(relay: Relay) -> dict[str, str]:
    return {source["name"]: source["state"] for source in json.loads(relay.get("/health/ready")[1])["sources"]}


def epochs(database: Database) -> list[int]:
    return [epoch for (epoch,) in rows(database, "SELECT epoch FROM onceward.ownership ORDER BY epoch")]


def test_sources_come_and_go_without_touching_the_others(
    database: Database, other: str, kafka: TestKafka, tmp_path: Path
) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, Relay(tmp_path, kafka, database.relay_url) as relay:
        eventually(lambda: states(relay) == {"source-0": "owner"})
        reconfigure(relay, tmp_path, {"source-0": database.relay_url, "late": other})
        eventually(lambda: states(relay) == {"source-0": "owner", "late": "owner"}, describe=lambda: relay.output)
        with connect(other.replace("relay:relay", "app:app")) as late:
            publish(late, topic, "k", "from the new one")
        eventually(lambda: values(kafka.records(topic)) == ["from the new one"])
        assert 'source="late"' in relay.get("/metrics")[1]
        reconfigure(relay, tmp_path, {"source-0": database.relay_url})
        eventually(lambda: states(relay) == {"source-0": "owner"})
        assert 'source="late"' not in relay.get("/metrics")[1], "what is gone is no series that stands still"
        publish(app, topic, "k", "from the old one")
        eventually(lambda: values(kafka.records(topic)) == ["from the new one", "from the old one"])
        with connect(other) as eye:
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            assert eye.execute(held).fetchone() == (0,), "the lease was let go"
        reloads = [event for event in relay.events if event["event"] == "configuration reloaded"]
        assert [(event["added"], event["removed"]) for event in reloads] == [(["late"], []), ([], ["late"])]
    assert epochs(database) == [1], "the source that stayed was never let go"


def test_a_source_that_changes_begins_anew_and_alone(
    database: Database, other: str, kafka: TestKafka, tmp_path: Path
) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, Relay(tmp_path, kafka, database.relay_url) as relay:
        eventually(lambda: states(relay) == {"source-0": "owner"})
        reconfigure(relay, tmp_path, {"source-0": database.relay_url}, 'event_source = "urn:shop"\n')
        eventually(lambda: epochs(database) == [1, 2])
        publish(app, topic, "k", "1")
        eventually(lambda: len(kafka.records(topic)) == 1)
        assert ("ce_source", b"urn:shop") in (kafka.records(topic)[0].headers() or [])
        reload = next(event for event in relay.events if event["event"] == "configuration reloaded")
        assert (reload["added"], reload["removed"], reload["changed"]) == ([], [], ["source-0"])


def test_an_invalid_configuration_is_reported_whole_and_changes_nothing(
    database: Database, kafka: TestKafka, tmp_path: Path
) -> None:
    topic = kafka.create_topic(partitions=1)
    with connect(database.participant_url) as app, Relay(tmp_path, kafka, database.relay_url) as relay:
        eventually(lambda: states(relay) == {"source-0": "owner"})
        bad = {"source-0": database.relay_url, "late": "not a url", "la te": database.relay_url}
        reconfigure(relay, tmp_path, bad, relay_more="http_prot = 1\n")
        relay.wait_for_output("configuration refused")
        refused = next(event for event in relay.events if event["event"].startswith("configuration refused"))
        assert [word in " ".join(refused["problems"]) for word in ("http_prot", "source.1", "source.2")] == [True] * 3
        assert states(relay) == {"source-0": "owner"}
        publish(app, topic, "k", "1")
        eventually(lambda: values(kafka.records(topic)) == ["1"])
    assert epochs(database) == [1]


def test_what_needs_a_restart_is_said(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    with Relay(tmp_path, kafka, database.relay_url) as relay:
        reconfigure(relay, tmp_path, {"source-0": database.relay_url}, relay_more="stall_timeout = 30\n")
        relay.wait_for_output("configuration reloaded")
        reload = next(event for event in relay.events if event["event"] == "configuration reloaded")
        assert reload["after_a_restart"] == ["relay.stall_timeout"]
        assert relay.terminate() == 0
