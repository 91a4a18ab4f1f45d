"""Topics have other names in Kafka than in the outbox; holds and incidents know them by the outbox's."""

import json
from pathlib import Path

from click.testing import CliRunner

from onceward_relay.cli import main
from onceward_relay.config import Settings
from onceward_relay.routes import Routes
from tests.conftest import Database
from tests.servers.kafka import TestKafka
from tests.support import eventually

from .support import Relay, by_key, connect, publish, rows, running, values


def routed(database: Database, kafka: TestKafka, **source: object) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": kafka.bootstrap},
            "relay": {"http_port": 0, "name": "test"},
            "source": [{"name": "payer", "database": database.relay_url, **source}],
        }
    )


def test_a_route_is_a_whole_name_and_the_prefix_is_for_the_others() -> None:
    routes = Routes("eu.", {"orders": "orders.v2"})
    assert [routes.destination(name) for name in ("orders", "payments")] == ["orders.v2", "eu.payments"]


def test_a_topic_that_would_end_where_a_route_leads() -> None:
    routes = Routes("eu.", {"orders": "eu.sales", "sales": "eu.sales.old", "x": "x"})
    assert [name for name in ("orders", "sales", "x", "others") if routes.problem(name)] == []
    assert Routes("", {"orders": "sales"}).problem("sales") == (
        "would go to sales, where the route of orders leads; give it a route of its own"
    )


def test_messages_go_where_the_routes_lead(database: Database, kafka: TestKafka) -> None:
    prefixed, whole = kafka.create_topic(partitions=1), kafka.create_topic(partitions=1)
    prefix, name = prefixed[:8], prefixed[8:]
    with (
        connect(database.participant_url) as app,
        running(routed(database, kafka, topic_prefix=prefix, routes={"orders": whole})) as daemon,
    ):
        relay = Relay(daemon, database, kafka)
        for number in range(3):
            publish(app, name, "k", f"p{number}")
            publish(app, "orders", "k", f"o{number}")
        relay.wait_settled(6)
    assert values(kafka.records(prefixed)) == ["p0", "p1", "p2"]
    assert values(kafka.records(whole)) == ["o0", "o1", "o2"]


def test_what_is_held_names_both(database: Database, kafka: TestKafka) -> None:
    """The key of a message that is too large; a destination that is missing, and heals; two topics on one way."""
    small, missing = kafka.create_topic(partitions=1, max_message_bytes="2000"), f"{database.name}-later"
    routes = {"orders": small, "late": missing}
    with (
        connect(database.participant_url) as app,
        running(routed(database, kafka, routes=routes)) as daemon,
    ):
        relay = Relay(daemon, database, kafka)
        publish(app, "orders", "a", b"x" * 3000)
        publish(app, "orders", "a", "a2")
        publish(app, "orders", "b", "b1")
        publish(app, "late", "k", "1")
        publish(app, small, "k", "on the way of orders")
        relay.wait_settled(5)
        assert sorted(rows(database, "SELECT topic, scope, reason FROM onceward.hold")) == sorted(
            [
                ("orders", "key", f"with 3230 bytes it is larger than max.message.bytes of {small}, 2000"),
                ("late", "topic", f"goes to {missing}, which does not exist"),
                (small, "topic", f"would go to {small}, where the route of orders leads; give it a route of its own"),
            ]
        )
        titles = [title for (title,) in rows(database, "SELECT title FROM onceward.incident")]
        assert f"Topic late is held: it goes to {missing}, which does not exist" in titles
        kafka.create_topic(missing, 1)
        eventually(lambda: relay.count("holds", scope="topic") == 1)
    assert values(kafka.records(missing)) == ["1"]
    assert by_key(kafka.records(small)) == {b"b": ["b1"]}


def test_check_and_doctor_look_at_the_destination(database: Database, kafka: TestKafka, tmp_path: Path) -> None:
    topic = kafka.create_topic()
    file = tmp_path / "relay.toml"
    file.write_text(
        f'[kafka]\n"bootstrap.servers" = "{kafka.bootstrap}"\n[[source]]\nname = "payer"\n'
        f'database = "{database.relay_url}"\nroutes = {{ orders = "{topic}" }}\n'
    )
    with connect(database.participant_url) as app:
        publish(app, "orders", "k", "x")
    for command in (["relay", "check"], ["doctor"]):
        done = CliRunner().invoke(main, [*command, "--config", str(file), "--json"])
        subjects = {finding["subject"] for finding in json.loads(done.output)["findings"]}
        assert f"topic {topic}" in subjects
        assert "topic orders" not in subjects
