"""Where notifications go: a URL that takes signed requests, or a mail server."""

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from onceward.errors import ConfigError
from onceward.from_file import FromFile
from onceward.http import Client
from onceward.providers import Sending

TIMEOUT = 10.0
"""Seconds that a channel may take to accept a notification."""
STEPS = range(1, 4)


class NotTaken(Exception):
    """The other side did not take the notification; the words say why, without any secret."""


class Channel(ABC):
    """A way to reach people.

    Raises:
        ConfigError: it has no usable name, or begins at no step.
    """

    def __init__(self, name: str, from_step: int) -> None:
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise ConfigError("name", f"of a channel must be 1 to 100 printable characters, is {name[:80]!a}")
        if from_step not in STEPS:
            raise ConfigError("from_step", f"of channel {name} must be 1, 2 or 3, is {from_step}")
        self.name = name
        self.from_step = from_step

    @abstractmethod
    def send(self, notification_id: UUID, body: dict[str, Any]) -> None:
        """Send a notification.

        Raises:
            NotTaken: it was not taken.
        """

    def close(self) -> None:  # noqa: B027 -- most have nothing to close
        """Close what is open."""


class Webhook(Channel):
    """POSTs JSON, signed after the Standard Webhooks specification (webhook-id, webhook-timestamp, webhook-signature).

    Args:
        name: of the channel.
        url: https, or http to this machine.
        secret: shared with the receiver; at least 24 bytes of randomness, as base64, with or without `whsec_`.
        from_step: 1 tells it of everything, 3 only of what has waited long.

    Raises:
        ConfigError: the URL is none that may be called, or the secret is no base64.
    """

    def __init__(self, name: str, url: str, *, secret: str | FromFile, from_step: int = 1) -> None:
        super().__init__(name, from_step)
        parts = urlsplit(url)
        self._client = Client(f"{parts.scheme}://{parts.netloc}")
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        if isinstance(secret, str):
            _key(secret)

    def send(self, notification_id: UUID, body: dict[str, Any]) -> None:
        """POST it; any status of success counts as taken."""
        content = json.dumps(body).encode()
        secret = self._secret.read("secret") if isinstance(self._secret, FromFile) else self._secret
        call = Sending(str(notification_id), content, time.monotonic() + TIMEOUT, TIMEOUT, fresh=False)
        answer = self._client.exchange(
            "POST", self._path, call, content, signed(notification_id, content, _key(secret), int(time.time()))
        )
        if not 200 <= answer.status < 300:
            raise NotTaken(f"answered with status {answer.status}")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def signed(notification_id: UUID, content: bytes, key: bytes, now: int) -> dict[str, str]:
    """Return the headers that prove who sent `content`, and when (Standard Webhooks, "Signature scheme")."""
    to_sign = f"{notification_id}.{now}.".encode() + content
    signature = base64.b64encode(hmac.digest(key, to_sign, hashlib.sha256)).decode()
    return {
        "webhook-id": str(notification_id),
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{signature}",
    }


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < 24:
        raise ConfigError("secret", "must be at least 24 bytes as base64; make one with: openssl rand -base64 32")
    return key


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server that takes mail (RFC 6409)."""

    host: str
    port: int = 587
    user: str | None = None
    password: str | FromFile | None = field(default=None, repr=False)
    starttls: bool = True
    """Without it nothing is encrypted: only for a server on this machine."""


class Email(Channel):
    """Sends plain text.

    Args:
        name: of the channel.
        server: takes it.
        sender: address.
        recipients: addresses.
        from_step: 1 tells them of everything, 3 only of what has waited long.

    Raises:
        ConfigError: nobody is to get it, or a password would be sent in the clear.
    """

    def __init__(
        self, name: str, server: MailServer, *, sender: str, recipients: Collection[str], from_step: int = 1
    ) -> None:
        super().__init__(name, from_step)
        if isinstance(recipients, str) or not recipients:
            raise ConfigError("recipients", f"of channel {name} must be a list of one or more addresses")
        if server.password is not None and not server.starttls:
            raise ConfigError("password", f"of channel {name} would be sent in the clear; use starttls")
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)

    def send(self, notification_id: UUID, body: dict[str, Any]) -> None:
        """Hand it to the mail server."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Subject"] = one_line(subject(body))
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{notification_id}@onceward>"
        message.set_content(text(body))
        try:
            self._hand_over(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise NotTaken(f"the mail server did not take it: {type(error).__name__}") from error

    def _hand_over(self, message: EmailMessage) -> None:
        server = self._server
        with smtplib.SMTP(server.host, server.port, timeout=TIMEOUT) as smtp:
            if server.starttls:
                smtp.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                password = server.password
                smtp.login(server.user, password.read("password") if isinstance(password, FromFile) else password)
            smtp.send_message(message)


def subject(body: dict[str, Any]) -> str:
    """Return the notification in one line."""
    number = body["incidents"]
    return f"[{body['participant']}] {number} {'incident' if number == 1 else 'incidents'}: {body['group']}"


def text(body: dict[str, Any]) -> str:
    """Return the notification for people."""
    lines = [
        subject(body),
        "",
        f"kind        {', '.join(body['kinds'])}",
        f"severity    {body['severity']}",
        f"oldest      {body['oldest']}",
        f"act before  {body['act_before'] or 'no limit'}",
        *(f"at stake    {amount} {currency}" for currency, amount in sorted(body["amounts"].items())),
        f"reminder    {body['step']} of {STEPS.stop - 1}",
    ]
    return "\n".join(map(one_line, lines)) + "\n"


def one_line(line: str) -> str:
    """Return `line` with everything in it that could steer a reader's program written out."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line)
