"""A payer, the topic that its orders come from, and a bank with books of its own."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer
from sqlalchemy import text

from onceward.ids import uuid7
from tests.conftest import Database
from tests.crash.payer import Order
from tests.crash.scene import ROOT, program
from tests.demo.support import RunningBank
from tests.servers.kafka import TestKafka
from tests.support import Process


@dataclass
class Shop:
    """A payer, its bank, and the topic that its orders come from."""

    database: Database
    kafka: TestKafka
    topic: str
    bank: RunningBank

    def worker(self, failpoint: str = "", bug: str = "", **settings: str) -> Process:
        """Start the payer; with `bug` it is one of `tests.checker.planted`; `settings` as it reads them."""
        environment = {
            "PAYER_DATABASE": self.database.url,
            "PAYER_KAFKA": self.kafka.bootstrap,
            "PAYER_TOPIC": self.topic,
            "PAYER_BANK": self.bank.address,
            "ONCEWARD_FAILPOINT": failpoint,
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        return Process(["-m", *program("tests.crash.payer", bug)], environment)

    def order(self, number: str, by: str) -> None:
        """Place an order, as any producer of CloudEvents would."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap})
        said = {"specversion": "1.0", "id": str(uuid7()), "source": "shop", "type": "order"}
        headers: list[tuple[str, str | bytes | None]] = [(f"ce_{name}", value) for name, value in said.items()]
        body = Order(number=number, by=by).model_dump_json()
        producer.produce(self.topic, key=number, value=body, headers=headers, partition=0)
        assert producer.flush(10) == 0

    def effects(self) -> Counter[str]:
        """What the bank's books say: how many movements of each order."""
        return Counter(movement.reference for movement in self.bank.movements)

    def calls(self) -> dict[str, str]:
        """What the ledger says: the state of each order's call."""
        return {row.ref: row.state for row in self.rows("SELECT ref, state FROM onceward.call")}

    def rows(self, query: str) -> list[Any]:
        """Return what is in the payer's database."""
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(query)))

    def open_flows(self) -> list[Any]:
        """Flows that are neither completed nor wait for a person."""
        return self.rows(
            "SELECT f.key, f.state, f.error, c.state, c.error_text"
            "  FROM onceward.flow f LEFT JOIN onceward.call c ON c.flow_id = f.id"
            " WHERE f.state <> 'completed' AND NOT (c.state = 'in_doubt' AND c.due_at IS NULL)"
        )
