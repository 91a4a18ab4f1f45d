"""A route writes its business row and its message in one transaction."""

import json

import pytest
from fastapi.testclient import TestClient
from participant_template.api import app
from sqlalchemy import Engine, text


@pytest.fixture
def client(database: Engine) -> TestClient:
    return TestClient(app)


def test_an_order_and_its_message_are_written_together(client: TestClient, database: Engine) -> None:
    answer = client.post("/orders", json={"customer": "Ada", "amount": "12.50", "currency": "EUR"})
    assert answer.status_code == 201
    order = answer.json()
    with database.connect() as connection:
        row = connection.execute(text("SELECT topic, key, type, payload FROM onceward.outbox")).one()
    assert (row.topic, bytes(row.key).decode(), row.type) == ("orders", order["id"], "orders.placed")
    assert json.loads(bytes(row.payload)) == {"order_id": order["id"], "amount": "12.50", "currency": "EUR"}
    assert client.get(f"/orders/{order['id']}").json()["state"] == "placed"


def test_a_message_that_cannot_be_written_takes_the_order_back(client: TestClient, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE onceward.outbox ADD CONSTRAINT closed CHECK (false) NOT VALID"))
    quiet = TestClient(app, raise_server_exceptions=False)
    assert quiet.post("/orders", json={"customer": "Ada", "amount": "1", "currency": "EUR"}).status_code == 500
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


@pytest.mark.parametrize("field, value", [("amount", "-1"), ("amount", "NaN"), ("currency", "euro"), ("customer", "")])
def test_bad_input_is_refused_by_field(client: TestClient, field: str, value: str) -> None:
    order = {"customer": "Ada", "amount": "1", "currency": "EUR"} | {field: value}
    answer = client.post("/orders", json=order)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


def test_health_asks_the_database(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
