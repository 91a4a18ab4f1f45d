"""A route writes its row, its message and the start of its flow in one transaction. The server is a real one."""

import hmac
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


def test_an_order_its_message_and_its_payment_are_written_together(client: httpx.Client, database: Engine) -> None:
    answer = client.post("/orders", json={"customer": "Ada", "amount": "12.50", "currency": "EUR"})
    assert answer.status_code == 201
    order = answer.json()
    with database.connect() as connection:
        row = connection.execute(text("SELECT topic, key, type, payload FROM onceward.outbox")).one()
        flow = connection.execute(text("SELECT name, key, state FROM onceward.flow")).one()
    assert (row.topic, bytes(row.key).decode(), row.type) == ("orders", order["id"], "orders.placed")
    assert json.loads(bytes(row.payload)) == {"order_id": order["id"], "amount": "12.50", "currency": "EUR"}
    assert flow == ("payment", order["id"], "running")
    assert client.get(f"/orders/{order['id']}").json()["state"] == "placed"


def test_a_message_that_cannot_be_written_takes_the_order_back(client: httpx.Client, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE onceward.outbox ADD CONSTRAINT closed CHECK (false) NOT VALID"))
    assert client.post("/orders", json={"customer": "Bob", "amount": "1", "currency": "EUR"}).status_code == 500
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders WHERE customer = 'Bob'")).scalar_one() == 0


REPORT = json.dumps({"id": "e-1", "key": "k-1", "applied": True, "result": {"reference": "P1"}}).encode()


def post_report(client: httpx.Client, body: bytes, secret: bytes = b"s") -> int:
    signature = hmac.digest(secret, body, "sha256").hex()
    return client.post("/webhooks/payments", content=body, headers={"X-Signature": signature}).status_code


def test_a_report_of_the_provider_is_kept_once(client: httpx.Client, database: Engine) -> None:
    assert [post_report(client, REPORT) for _ in range(2)] == [204, 204]
    with database.connect() as connection:
        kept = connection.execute(text("SELECT provider, key, says FROM onceward.evidence")).all()
    assert kept == [("payments", "k-1", "applied")]


def test_what_the_provider_has_not_signed_is_refused(client: httpx.Client, database: Engine) -> None:
    assert post_report(client, REPORT, secret=b"guessed") == 401
    assert client.post("/webhooks/payments", content=REPORT).status_code == 401
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM onceward.evidence")).scalar_one() == 0


@pytest.mark.parametrize("body", [b"{}", b"nonsense", REPORT.replace(b"k-1", b"")])
def test_a_report_that_cannot_be_read_is_refused(client: httpx.Client, body: bytes) -> None:
    assert post_report(client, body) == 422


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
