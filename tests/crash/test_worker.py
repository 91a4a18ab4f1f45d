"""A worker killed with SIGKILL at each point of a call, against a bank that keeps its own books."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from sqlalchemy import text

from onceward.ids import uuid7
from tests.checker.checker import check_calls
from tests.conftest import Database
from tests.crash.payer import Order
from tests.demo.support import RunningBank
from tests.servers.kafka import TestKafka
from tests.support import Process, eventually

KILLED = -9
SETTLED_WITHIN = 60.0
"""Seconds: the call's lease is 12 s, then come a lookup's delay and the backoff."""


@dataclass
class Shop:
    """A payer, its bank, and the topic that its orders come from."""

    database: Database
    kafka: TestKafka
    topic: str
    bank: RunningBank

    def worker(self, failpoint: str = "") -> Process:
        environment = {
            "PAYER_DATABASE": self.database.url,
            "PAYER_KAFKA": self.kafka.bootstrap,
            "PAYER_TOPIC": self.topic,
            "PAYER_BANK": self.bank.address,
            "ONCEWARD_FAILPOINT": failpoint,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        return Process(["-m", "tests.crash.payer"], {**os.environ, **environment})

    def order(self, number: str, by: str) -> None:
        """Place an order, as any producer of CloudEvents would."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap})
        said = {"specversion": "1.0", "id": str(uuid7()), "source": "shop", "type": "order"}
        headers: list[tuple[str, str | bytes | None]] = [(f"ce_{name}", value) for name, value in said.items()]
        body = Order(number=number, by=by).model_dump_json()
        producer.produce(self.topic, key=number, value=body, headers=headers, partition=0)
        assert producer.flush(10) == 0

    def rows(self, query: str) -> list[Any]:
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(query)))

    def open_flows(self) -> list[Any]:
        """Flows that are neither completed nor wait for a person."""
        return self.rows(
            "SELECT f.key, f.state, f.error, c.state, c.error_text"
            "  FROM onceward.flow f LEFT JOIN onceward.call c ON c.flow_id = f.id"
            " WHERE f.state <> 'completed' AND NOT (c.state = 'in_doubt' AND c.due_at IS NULL)"
        )


@pytest.fixture
def shop(database: Database, kafka: TestKafka, tmp_path: Path) -> Iterator[Shop]:
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE public.paid (number text)"))
    with RunningBank(tmp_path / "books") as bank:
        yield Shop(database, kafka, kafka.create_topic(partitions=1), bank)


def killed_at(point: str) -> Callable[[Shop], None]:
    def play(shop: Shop) -> None:
        with shop.worker(point) as worker:
            assert worker.wait() == KILLED

    return play


def killed_while_the_bank_holds(manner: str) -> Callable[[Shop], None]:
    def play(shop: Shop) -> None:
        shop.bank.next(manner)
        with shop.worker() as worker:
            eventually(lambda: shop.bank.held, describe=lambda: worker.output)
            worker.kill()
        shop.bank.release()

    return play


DOUBTFUL = {
    "before the first byte": killed_at("call.recorded"),
    "before the effect": killed_while_the_bank_holds("hold_request"),
    "after the effect": killed_while_the_bank_holds("hold_reply"),
    "after the answer": killed_at("call.answered"),
}
SURE = {
    "after the record": killed_at("call.settled"),
    "after a step": killed_at("flow.step_recorded"),
    "before the handler's commit": killed_at("consumer.handled"),
    "before the offset": killed_at("consumer.committed"),
}
"""Where a death leaves no doubt even at a provider that offers nothing."""
DEATHS = DOUBTFUL | SURE
"""In this sequence each meets its own order at a provider without keys: what is in doubt there is not sent again."""


def reference(death: str) -> str:
    """The order's number, by which the bank's books name it."""
    return death.replace(" ", "-").replace("'", "")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("by", ["debits", "credits", "gateway-credits"])
def test_a_killed_worker_pays_nobody_twice(shop: Shop, by: str) -> None:
    for death, play in DEATHS.items():
        shop.order(reference(death), by)
        play(shop)
    with shop.worker() as worker:
        eventually(
            lambda: len(shop.rows("SELECT FROM onceward.flow")) == len(DEATHS), SETTLED_WITHIN, lambda: worker.output
        )
        eventually(lambda: not shop.open_flows(), SETTLED_WITHIN, lambda: (shop.open_flows(), worker.output))
        assert worker.terminate() == 0
    effects = Counter(movement.reference for movement in shop.bank.movements)
    calls = {row.ref: row.state for row in shop.rows("SELECT ref, state FROM onceward.call")}
    doubtful = {reference(death) for death in DOUBTFUL} if by == "gateway-credits" else set()
    verdict = check_calls(effects, calls, doubtful)
    assert verdict, str(verdict)
    in_doubt = shop.rows("SELECT ref FROM onceward.call WHERE state = 'in_doubt'")
    completed = {row.key for row in shop.rows("SELECT key FROM onceward.flow WHERE state = 'completed'")}
    assert completed <= effects.keys()
    assert [row.number for row in shop.rows("SELECT number FROM public.paid ORDER BY number")] == sorted(completed)
    assert len(shop.rows("SELECT FROM onceward.outbox")) == len(completed)
    assert {row.ref for row in in_doubt} == doubtful
    incidents = shop.rows("SELECT title FROM onceward.incident WHERE kind = 'in_doubt' AND closed_at IS NULL")
    assert len(incidents) == len(in_doubt)
    assert all("takes no idempotency key" in row.title for row in incidents)
