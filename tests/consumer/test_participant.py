"""The registry: what it takes, what it refuses at import time, and what mypy refuses before."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy.orm import Session

from onceward.cloudevents import IncomingMessage
from onceward.errors import ConfigError
from onceward.participant import Participant


class Placed(BaseModel):
    number: int


class Named(BaseModel):
    event_type: ClassVar[str] = "com.example.named.v1"


def message(payload: bytes | None) -> IncomingMessage:
    return IncomingMessage(UUID(int=1), "Placed", "test", "orders", b"k", payload, {}, b"\0" * 32)


def handler(session: Session, event: Placed) -> None:
    """Nothing."""


def refused(match: str) -> Any:
    return pytest.raises(ConfigError, match=match)


def test_a_handler_is_found_by_topic_and_type() -> None:
    participant = Participant("stock")
    assert participant.on("orders", Placed)(handler) is handler
    found = participant.handler_for("orders", "Placed")
    assert found is not None
    assert found.name.endswith("test_participant.handler")
    assert participant.handler_for("orders", "Named") is None
    assert participant.handler_for("other", "Placed") is None


def test_topics_are_sorted_and_named_once() -> None:
    participant = Participant("stock")
    for topic, kind in [("b", "1"), ("a", "1"), ("b", "2")]:
        participant.on(topic, Placed, type=kind)(handler)
    assert participant.topics == ["a", "b"]


def test_the_type_is_the_models_own_name_for_it() -> None:
    participant = Participant("stock")
    participant.on("orders", Named)(lambda session, event: None)
    assert participant.handler_for("orders", "com.example.named.v1")


def test_handlers_take_the_message_if_they_want_it() -> None:
    seen: list[Any] = []
    participant = Participant("stock")
    participant.on("orders", Placed)(lambda session, event: seen.append(event))
    participant.on("orders", bytes, type="raw")(lambda session, event, message: seen.append((event, message)))
    for kind in ("Placed", "raw"):
        found = participant.handler_for("orders", kind)
        assert found is not None
        incoming = message(b'{"number": 7}')
        found.run(Session(), found.event(incoming), incoming)
    assert seen == [Placed(number=7), (b'{"number": 7}', incoming)]


def test_tombstones_have_handlers_of_their_own() -> None:
    participant = Participant("stock")
    participant.on("orders", None)(lambda session, event, message: None)
    found = participant.handler_for("orders", "tombstone")
    assert found is not None
    assert found.event(message(None)) is None
    with pytest.raises(ValueError, match=r"^payload: a tombstone has none"):
        found.event(message(b""))


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "a/b", "ä", "a\0", "x" * 250])
def test_topics_that_kafka_refuses(topic: str) -> None:
    with refused("^topic: "):
        Participant("stock").on(topic, Placed)(handler)


def test_one_handler_for_each_type() -> None:
    participant = Participant("stock")
    participant.on("orders", Placed)(handler)
    with refused(r"^type: 'Placed' in topic 'orders' is handled by .*handler already"):
        participant.on("orders", Placed)(handler)


async def asynchronous(session: Session, event: Placed) -> None:
    """Nothing."""


@pytest.mark.parametrize("bad", [asynchronous, lambda: None, lambda session: None, lambda a, b, c, d: None])
def test_functions_that_cannot_be_handlers(bad: Any) -> None:
    with refused("^handler: "):
        Participant("stock").on("orders", Placed)(bad)


def test_any_callable_may_be_a_handler() -> None:
    participant = Participant("stock")
    participant.on("orders", Placed)(functools.partial(handler))
    assert participant.handler_for("orders", "Placed")


@pytest.mark.parametrize("model", [int, dict, "Placed", Placed(number=1)])
def test_models_that_are_none(model: Any) -> None:
    with refused("^model: "):
        Participant("stock").on("orders", model)


def test_bytes_need_a_type() -> None:
    with refused("^type: is needed"):
        Participant("stock").on("orders", bytes)


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\0"])
def test_names_that_no_group_should_have(name: str) -> None:
    with refused("^name: "):
        Participant(name)


TYPED = """
from pydantic import BaseModel
from sqlalchemy.orm import Session
from onceward.cloudevents import IncomingMessage
from onceward.participant import Participant
class Placed(BaseModel): ...
class Other(BaseModel): ...
stock = Participant("stock")
@stock.on("orders", Placed)
def right(session: Session, event: Placed) -> None: ...
@stock.on("orders", Placed)
def right_with_message(session: Session, event: Placed, message: IncomingMessage) -> None: ...
@stock.on("orders", bytes, type="raw")
def right_with_bytes(session: Session, event: bytes) -> None: ...
@stock.on("orders", None)
def right_with_tombstone(session: Session, event: None) -> None: ...
right(Session(), Placed())
@stock.on("orders", Placed)
def wrong_event(session: Session, event: Other) -> None: ...
@stock.on("orders", Placed)
async def wrong_async(session: Session, event: Placed) -> None: ...
@stock.on("orders", Placed)
def wrong_arguments(event: Placed) -> None: ...
@stock.on("orders", Placed)
def wrong_result(session: Session, event: Placed) -> int: return 1
@stock.on("orders", int)
def wrong_model(session: Session, event: int) -> None: ...
right(Session(), Other())
"""


def test_mypy_refuses_handlers_of_another_event(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(TYPED)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        "pyproject.toml",
        "--cache-dir",
        str(tmp_path),
        str(snippet),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = {line.split(":")[1] for line in result.stdout.splitlines() if ": error:" in line}
    lines = TYPED.splitlines()
    assert {lines[int(number) - 1].strip() for number in wrong} == {
        '@stock.on("orders", Placed)',
        '@stock.on("orders", int)',
        "right(Session(), Other())",
    }, result.stdout
    assert len(wrong) == 6, result.stdout
    assert min(map(int, wrong)) > lines.index("right(Session(), Placed())")
