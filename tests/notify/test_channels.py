"""Webhooks and e-mail, to real servers in this process: signed, sent again until they are taken, and never with a secret."""

import base64
import hashlib
import hmac
import json
import logging
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import text

from onceward.backoff import Backoff
from onceward.errors import ConfigError
from onceward.notify import Channel, Email, Notifier, Webhook
from onceward.notify.channels import MailServer
from tests.conftest import Database, fresh_database
from tests.ledger.test_http import Server, server, status
from tests.servers.postgres import TestServer

Waiting = Callable[..., Notifier]
SECRET = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(scope="module")
def database(postgres: TestServer) -> Iterator[Database]:
    with fresh_database(postgres, installed=True) as database:
        yield database


receiver = server
"""A web server that keeps what it gets."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def waiting(database: Database) -> Iterator[Waiting]:
    """Return a notifier that has one thing to tell over each channel."""
    made: list[Notifier] = []

    def make(*channels: Channel, grp: str = "bank/pay/timeout") -> Notifier:
        made.append(_waiting(database, *channels, grp=grp))
        return made[-1]

    yield make
    for notifier in made:
        notifier.close()


def _waiting(database: Database, *channels: Channel, grp: str) -> Notifier:
    notifier = Notifier(channels, retries=Backoff(timedelta(0), timedelta(0)))
    with database.engine.begin() as connection:
        connection.execute(text("TRUNCATE onceward.incident, onceward.notification CASCADE"))
        connection.execute(
            text(
                "INSERT INTO onceward.incident (kind, message_id, grp, severity, title, amount, currency)"
                " VALUES ('in_doubt', gen_random_uuid(), :grp, 1, 'secret of a customer', 5, 'EUR')"
            ),
            {"grp": grp},
        )
    assert notifier.escalate(database.engine, "payer") == len(channels)
    return notifier


def row(database: Database) -> Any:
    with database.engine.connect() as connection:
        return connection.execute(text("SELECT * FROM onceward.notification")).one()


def test_a_webhook_is_signed_so_that_the_receiver_can_check_it(
    database: Database, waiting: Waiting, receiver: Server
) -> None:
    receiver.answer = status(204, b"")
    notifier = waiting(Webhook("ops", f"{receiver.url}/hook?team=a", secret=f"whsec_{SECRET}"))
    assert notifier.send_one(database.engine)
    assert not notifier.send_one(database.engine)
    ((method, path, headers, body),) = receiver.requests
    assert (method, path) == ("POST", "/v1/hook?team=a")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == str(row(database).id)
    assert json.loads(body)["amounts"] == {"EUR": "5"}
    assert b"customer" not in body
    assert (row(database).sent_at is not None, row(database).due_at) == (True, None)


def test_what_is_not_taken_is_sent_again_under_the_same_id(
    waiting: Waiting, database: Database, receiver: Server, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = status(503)
    notifier = waiting(Webhook("ops", receiver.url, secret=SECRET))
    with caplog.at_level(logging.WARNING):
        notifier.send_one(database.engine)
    assert row(database).error == "answered with status 503"
    receiver.answer = status(200)
    notifier.send_one(database.engine)
    first, second = (headers["webhook-id"] for _, _, headers, _ in receiver.requests)
    assert first == second
    assert row(database).sent_at is not None
    assert SECRET not in caplog.text


def test_what_nobody_took_for_a_day_is_given_up_and_says_why(
    waiting: Waiting, database: Database, receiver: Server
) -> None:
    receiver.answer = status(500)
    notifier = waiting(Webhook("ops", receiver.url, secret=SECRET))
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE onceward.notification SET created_at = created_at - interval '25 h'"))
    notifier.send_one(database.engine)
    assert (row(database).due_at, row(database).sent_at) == (None, None)
    assert row(database).error


def test_a_channel_that_fails_keeps_no_other_from_being_used(
    waiting: Waiting, database: Database, receiver: Server
) -> None:
    nobody = Webhook("away", f"http://127.0.0.1:{free_port()}/", secret=SECRET)
    notifier = waiting(nobody, Webhook("ops", receiver.url, secret=SECRET))
    notifier.send_one(database.engine)
    notifier.send_one(database.engine)
    assert len(receiver.requests) == 1


class Inbox:
    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


def test_an_e_mail_says_what_waits_and_cannot_be_led_astray(waiting: Waiting, database: Database) -> None:
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        server = MailServer("127.0.0.1", controller.port, starttls=False)
        channel = Email("mail", server, sender="onceward@example.org", recipients=["ops@example.org", "b@example.org"])
        notifier = waiting(channel, grp="bank/pay/x\r\nBcc: evil@example.org")
        assert notifier.send_one(database.engine)
    finally:
        controller.stop()
    ((recipients, mail),) = inbox.mails
    assert recipients == ["ops@example.org", "b@example.org"]
    assert mail["bcc"] is None
    assert mail["subject"] == r"[payer] 1 incident: bank/pay/x\r\nBcc: evil@example.org"
    assert "at stake    5 EUR" in mail.get_content()
    assert row(database).sent_at is not None


def test_a_mail_server_that_is_away_costs_nothing_but_time(waiting: Waiting, database: Database) -> None:
    server = MailServer("127.0.0.1", free_port(), starttls=False)
    notifier = waiting(Email("mail", server, sender="a@example.org", recipients=["b@example.org"]))
    notifier.send_one(database.engine)
    assert row(database).error == "the mail server did not take it: ConnectionRefusedError"
    assert row(database).due_at is not None


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Webhook("w", "http://example.org/", secret=SECRET), "base_url"),
        (lambda: Webhook("w", "https://example.org/", secret="no base64"), "secret"),
        (lambda: Webhook("w", "https://example.org/", secret="c2hvcnQ="), "secret"),
        (lambda: Webhook("", "https://example.org/", secret=SECRET), "name"),
        (lambda: Webhook("w", "https://example.org/", secret=SECRET, from_step=4), "from_step"),
        (lambda: Email("m", MailServer("h"), sender="a@b", recipients=[]), "recipients"),
        (lambda: Email("m", MailServer("h", user="u", password="p", starttls=False), sender="a@b", recipients=["c@d"]), "password"),
    ],
)  # fmt: skip
def test_a_channel_that_cannot_work_says_why(make: Any, field: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert error.value.field == field
