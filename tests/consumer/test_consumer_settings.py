"""A consumer that cannot work says so when it is made, and names the setting."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from onceward.consumer import Consumer
from onceward.errors import ConfigError
from onceward.from_file import FromFile
from onceward.kafka_settings import LOCKED, settings_for
from onceward.participant import Participant
from tests.consumer.support import Paid


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    yield engine
    engine.dispose()


@pytest.fixture
def participant() -> Participant:
    participant = Participant("stock")
    participant.on("orders", Paid)(lambda session, event: None)
    return participant


def refused(match: str) -> Any:
    return pytest.raises(ConfigError, match=match)


def make(participant: Participant, engine: Engine, settings: dict[str, Any], **options: Any) -> Consumer:
    consumer = Consumer(participant, engine, {"bootstrap.servers": "127.0.0.1:1", **settings}, **options)
    consumer.close()
    return consumer


def test_the_group_is_the_participants_name(participant: Participant, engine: Engine) -> None:
    assert make(participant, engine, {}).group == "stock"
    assert make(participant, engine, {}, group="stock-2").group == "stock-2"


@pytest.mark.parametrize("name", LOCKED)
def test_settings_that_promises_rest_on_are_locked(participant: Participant, engine: Engine, name: str) -> None:
    value, reason = LOCKED[name]
    make(participant, engine, {name: value})
    with refused(f"^{name}: must be {value}: {reason}$"):
        make(participant, engine, {name: "true" if value == "false" else "latest"})


def test_the_group_is_not_set_twice(participant: Participant, engine: Engine) -> None:
    make(participant, engine, {"group.id": "stock"})
    with refused("^group.id: must be stock: "):
        make(participant, engine, {"group.id": "other"})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"sesion.timeout.ms": 1}, "^sesion.timeout.ms: is not among the options .*; did you mean session.timeout.ms"),
        ({"linger.ms": 1}, "^linger.ms: is not among the options that may be set"),
        ({"debug": "all"}, "^debug: may not be set: what the client tells then may hold secrets"),
        ({"enable.ssl.certificate.verification": False}, "^enable.ssl.certificate.verification: must be true: "),
        ({"ssl.endpoint.identification.algorithm": "none"}, "^ssl.endpoint.*: must be https: "),
        ({"sasl.oauthbearer.token.endpoint.url": "http://example.com"}, "^sasl.*: must be an https:// URL"),
        (
            {"sasl.password": FromFile(Path("/no/such/file"))},
            "^sasl.password: cannot be read from /no/such/file: No such",
        ),
        ({"session.timeout.ms": "soon"}, "^session.timeout.ms: Invalid value"),
        ({"session.timeout.ms": -1}, "^session.timeout.ms: "),
        (
            {"session.timeout.ms": 3000, "heartbeat.interval.ms": 3000},
            "^heartbeat.interval.ms: must be shorter than sess",
        ),
        ({"client.id": print}, "^client.id: must be text, a number, true or false, is builtin_function_or_method"),
        ({"bootstrap.servers": None}, "^bootstrap.servers: must be text"),
    ],
)
def test_settings_that_are_none(participant: Participant, engine: Engine, settings: dict[str, Any], match: str) -> None:
    with refused(match):
        make(participant, engine, settings)


@pytest.mark.parametrize(("session", "heartbeat"), [(3000, 1000), ("4500", 1500), (45_000, 3000)])
def test_a_short_session_has_heartbeats_enough(session: str | int, heartbeat: int) -> None:
    settings = settings_for({"bootstrap.servers": "127.0.0.1:1", "session.timeout.ms": session}, "stock")
    assert settings["heartbeat.interval.ms"] == heartbeat


def test_the_servers_are_needed(participant: Participant, engine: Engine) -> None:
    with refused("^bootstrap.servers: is missing"):
        Consumer(participant, engine, {})


def test_a_participant_that_handles_nothing(engine: Engine) -> None:
    with refused("^participant: stock handles no message"):
        make(Participant("stock"), engine, {})


def test_a_consumer_that_reaches_nothing_stops_when_it_is_told_to(participant: Participant, engine: Engine) -> None:
    consumer = Consumer(participant, engine, {"bootstrap.servers": "127.0.0.1:1"})
    consumer.run_once()
    consumer.stop()
    consumer.run()
