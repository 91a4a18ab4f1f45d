"""A route writes its business row and its message in one transaction. The web server is a real one, on loopback."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from sqlalchemy import Engine, text

from participant_template.api import app


@pytest.fixture
def client(database: Engine) -> Iterator[httpx.Client]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join()
    listening.close()


def test_an_order_and_its_message_are_written_together(client: httpx.Client, database: Engine) -> None:
    answer = client.post("/orders", json={"customer": "Ada", "amount": "12.50", "currency": "EUR"})
    assert answer.status_code == 201
    order = answer.json()
    with database.connect() as connection:
        row = connection.execute(text("SELECT topic, key, type, payload FROM onceward.outbox")).one()
    assert (row.topic, bytes(row.key).decode(), row.type) == ("orders", order["id"], "orders.placed")
    assert json.loads(bytes(row.payload)) == {"order_id": order["id"], "amount": "12.50", "currency": "EUR"}
    assert client.get(f"/orders/{order['id']}").json()["state"] == "placed"


def test_a_message_that_cannot_be_written_takes_the_order_back(client: httpx.Client, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE onceward.outbox ADD CONSTRAINT closed CHECK (false) NOT VALID"))
    assert client.post("/orders", json={"customer": "Ada", "amount": "1", "currency": "EUR"}).status_code == 500
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


@pytest.mark.parametrize("field, value", [("amount", "-1"), ("amount", "NaN"), ("currency", "euro"), ("customer", "")])
def test_bad_input_is_refused_by_field(client: httpx.Client, field: str, value: str) -> None:
    order = {"customer": "Ada", "amount": "1", "currency": "EUR"} | {field: value}
    answer = client.post("/orders", json=order)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


def test_an_order_that_is_not_there(client: httpx.Client) -> None:
    assert client.get("/orders/00000000-0000-0000-0000-000000000000").status_code == 404


def test_health_asks_the_database(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
