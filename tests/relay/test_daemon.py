"""The relay as its operators meet it: a process, its pages, its log, its end."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import Process, eventually

from .support import connect, publish, publish_many, rows, values


class Relay(Process):
    """`onceward relay run` with a configuration file, as an operator starts it."""

    def __init__(
        self,
        folder: Path,
        kafka: TestKafka,
        *databases: str,
        name: str = "first",
        failpoint: str = "",
        relay_more: str = "",
    ) -> None:
        config = folder / f"{name}.toml"
        sources = "".join(
            f'[[source]]\nname = "source-{number}"\ndatabase = "{url}"\n' for number, url in enumerate(databases)
        )
        config.write_text(
            f'[kafka]\n"bootstrap.servers" = "{kafka.bootstrap}"\n[relay]\nname = "{name}"\nhttp_port = 0\n{relay_more}{sources}'
        )
        command = ["-m", "onceward_relay", "relay", "run", "--config", str(config)]
        super().__init__(command, {"ONCEWARD_FAILPOINT": failpoint})
        self.address = json.loads(self.wait_for_output("relay started"))["http"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log: each line is one event."""
        return [json.loads(line) for line in self.output.splitlines()]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def state(self, source: int = 0) -> str:
        _, body = self.get("/health/ready")
        return str(json.loads(body)["sources"][source]["state"])

    def sent(self) -> float:
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return sum(s.value for family in families for s in family.samples if s.name == "onceward_relay_sent_total")


@pytest.fixture
def relay(database: Database, kafka: TestKafka, tmp_path: Path) -> Iterator[Relay]:
    with Relay(tmp_path, kafka, database.relay_url) as relay:
        eventually(lambda: relay.state() == "owner")
        yield relay


def test_a_stop_in_the_middle_of_the_work_is_clean(
    database: Database, kafka: TestKafka, relay: Relay, tmp_path: Path
) -> None:
    """Status 0, and the next relay sends exactly what is missing: the checkpoint was written."""
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish_many(app, topic, 20_000)
    eventually(lambda: relay.sent() > 0)
    assert relay.terminate() == 0
    assert [event["event"] for event in relay.events][-1] == "relay stopped"
    with Relay(tmp_path, kafka, database.relay_url, name="second"):
        eventually(lambda: len(kafka.records(topic)) >= 20_000)
    assert len(kafka.records(topic)) == 20_000, "no message a second time"


def test_its_metrics_say_what_it_did(database: Database, kafka: TestKafka, relay: Relay) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, "k", "1")
        publish(app, topic, "k", "x" * 2_000_000)
        publish(app, topic, "k", "3")
    eventually(lambda: 'state="behind"' in relay.get("/metrics")[1])
    metrics = {
        " ".join([sample.name, *(value for label, value in sample.labels.items() if label != "source")]): sample.value
        for family in text_string_to_metric_families(relay.get("/metrics")[1])
        for sample in family.samples
    }
    assert metrics["onceward_relay_sent_total"] == 1
    assert metrics["onceward_relay_held_total poison"] == 1
    assert metrics["onceward_relay_held_total behind"] == 1
    assert metrics["onceward_relay_holds key"] == 1
    assert metrics["onceward_relay_lease_changes_total taken"] == 1


def test_health_is_that_of_the_process_and_of_any_source(
    database: Database, empty_database: Database, kafka: TestKafka, tmp_path: Path
) -> None:
    with Relay(tmp_path, kafka, empty_database.url, database.relay_url) as relay:
        eventually(lambda: (relay.state(0), relay.state(1)) == ("broken", "owner"))
        code, body = relay.get("/health/ready")
        assert code == 200, "one broken source does not stop a roll-out"
        assert "onceward schema install" in json.loads(body)["sources"][0]["reason"]
        assert relay.get("/health/live")[0] == 200
        assert relay.get("/")[0] == 404
    with Relay(tmp_path, kafka, empty_database.url, name="second") as relay:
        eventually(lambda: relay.state() == "broken")
        assert relay.get("/health/ready")[0] == 503
        assert relay.get("/health/live")[0] == 200, "a restart would not help"


def test_a_second_one_stands_by_and_takes_over_after_a_kill(
    database: Database, kafka: TestKafka, relay: Relay, tmp_path: Path
) -> None:
    topic = kafka.create_topic()
    with Relay(tmp_path, kafka, database.relay_url, name="second") as second:
        eventually(lambda: second.state() == "stand_by")
        assert second.get("/health/ready")[0] == 200
        relay.kill()
        eventually(lambda: second.state() == "owner")
        with connect(database.participant_url) as app:
            publish(app, topic, "k", "1")
        eventually(lambda: len(kafka.records(topic)) == 1)


def test_its_log_tells_a_story_and_no_secret(database: Database, kafka: TestKafka, relay: Relay) -> None:
    topic = kafka.create_topic()
    with connect(database.participant_url) as app:
        publish(app, topic, "the-key", "the-payload")
    eventually(lambda: relay.sent() == 1)
    assert relay.terminate() == 0
    assert [event["event"] for event in relay.events if event["level"] == "info"] == [
        "relay started",
        "source taken over; relaying",
        "stopping",
        "relay stopped",
    ]
    login_and_password = database.relay_url.partition("://")[2].partition("@")[0]
    for hidden in ("the-key", "the-payload", login_and_password):
        assert hidden not in relay.output


def test_a_relay_killed_while_it_releases_a_hold(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    """Kafka has acknowledged, the hold is still there: all of it is sent again, in order, before what comes after."""
    topic = kafka.create_topic(partitions=1, max_message_bytes="2000")
    big = "x" * 3000
    with connect(database.participant_url) as app:
        with Relay(tmp_path, kafka, database.relay_url, failpoint="relay.released") as relay:
            for payload in (big, "1", "2"):
                publish(app, topic, "k", payload)
            eventually(lambda: rows(database, "SELECT count(*) FROM onceward.held_message") == [(3,)])
            kafka.configure(topic, max_message_bytes="10000")
            rows(database, "SELECT onceward.release_hold(hold_id, 'ada', 'widened') FROM onceward.hold")
            assert relay.wait() == -signal.SIGKILL
        publish(app, topic, "k", "3")
        with Relay(tmp_path, kafka, database.relay_url, name="second"):
            eventually(lambda: rows(database, "SELECT count(*) FROM onceward.hold") == [(0,)])
            eventually(lambda: values(kafka.records(topic))[-1:] == ["3"])
    assert values(kafka.records(topic)) == [big, "1", "2", big, "1", "2", "3"]
