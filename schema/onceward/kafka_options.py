"""Which options of the Kafka client may be set, and why the others may not. Shared by the consumer and the relay.

An allowlist: an option may be set because it is known to be harmless. Options that a promise rests on are locked where
the promise is (`kafka_settings` for the consumer); all others are refused, with the reason where there is one to tell.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import urlsplit

CONNECTION = frozenset(
    """
    bootstrap.servers client.id client.rack client.dns.lookup broker.address.family broker.address.ttl
    connections.max.idle.ms reconnect.backoff.ms reconnect.backoff.max.ms retry.backoff.ms retry.backoff.max.ms
    socket.timeout.ms socket.send.buffer.bytes socket.receive.buffer.bytes socket.keepalive.enable
    socket.nagle.disable socket.max.fails socket.connection.setup.timeout.ms
    metadata.max.age.ms metadata.recovery.strategy metadata.recovery.rebootstrap.trigger.ms
    topic.metadata.refresh.interval.ms topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.sparse
    topic.metadata.propagation.max.ms receive.message.max.bytes enable.metrics.push log_level log.connection.close
    security.protocol ssl.cipher.suites ssl.curves.list ssl.sigalgs.list ssl.key.location ssl.key.password ssl.key.pem
    ssl.certificate.location ssl.certificate.pem ssl.ca.location ssl.ca.pem ssl.ca.certificate.stores ssl.crl.location
    ssl.keystore.location ssl.keystore.password ssl.endpoint.identification.algorithm
    enable.ssl.certificate.verification https.ca.location https.ca.pem
    sasl.mechanism sasl.mechanisms sasl.username sasl.password
    sasl.kerberos.service.name sasl.kerberos.principal sasl.kerberos.keytab sasl.kerberos.min.time.before.relogin
    sasl.oauthbearer.method sasl.oauthbearer.config sasl.oauthbearer.scope sasl.oauthbearer.extensions
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.client.credentials.client.id
    sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.token.endpoint.url
    sasl.oauthbearer.sub.claim.name sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type
    sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem
    sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
    sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
    sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
    sasl.oauthbearer.assertion.jwt.template.file
    """.split()  # noqa: SIM905 -- names read better without quotes and commas
)
"""How brokers are reached, and how both sides show who they are."""

CONSUMING = frozenset(
    """
    group.instance.id group.protocol group.remote.assignor partition.assignment.strategy
    session.timeout.ms heartbeat.interval.ms max.poll.interval.ms coordinator.query.interval.ms
    queued.min.messages queued.max.messages.kbytes fetch.wait.max.ms fetch.queue.backoff.ms fetch.message.max.bytes
    max.partition.fetch.bytes fetch.max.bytes fetch.min.bytes fetch.error.backoff.ms check.crcs
    """.split()  # noqa: SIM905 -- names read better without quotes and commas
)
"""What a consumer may choose besides."""

_FOREIGN_CODE = "it loads foreign code into the process"
_CALLBACK = "it is a callback, for programs"
REFUSED: Mapping[str, str] = {
    "debug": "what the client tells then may hold secrets and payloads, and goes to the log",
    "enable.sasl.oauthbearer.unsecure.jwt": "anybody can make a token without a signature; use sasl.oauthbearer.method",
    "metadata.broker.list": "its name is bootstrap.servers",
    "plugin.library.paths": _FOREIGN_CODE,
    "ssl.providers": _FOREIGN_CODE,
    "ssl.engine.location": _FOREIGN_CODE,
    "ssl.engine.id": _FOREIGN_CODE,
    "sasl.kerberos.kinit.cmd": "it is run by a shell",
    "error_cb": _CALLBACK,
    "stats_cb": _CALLBACK,
    "throttle_cb": _CALLBACK,
    "logger": _CALLBACK,
    "oauth_cb": _CALLBACK,
    "ssl.certificate.verify_cb": "a broker's certificate is always verified",
}
"""Options that somebody may want, and why they are refused."""

_ONLY: Mapping[str, tuple[str, str]] = {
    "ssl.endpoint.identification.algorithm": (
        "https",
        "without it any certificate of the authority passes for a broker",
    ),
    "enable.ssl.certificate.verification": ("true", "without it anybody passes for a broker"),
}
"""Options with the one value that they may have, and why."""
_SECRET = re.compile(r"password|secret|passphrase|\.pem$|sasl\.oauthbearer\.config|username:")


def is_secret(name: str) -> bool:
    """Return whether an option's value must not be shown."""
    return _SECRET.search(name) is not None


def objection(name: str, allowed: Collection[str]) -> str | None:
    """Return why an option may not be set, beside those of the connection and `allowed`; None if it may."""
    if name in CONNECTION or name in allowed:
        return None
    if name in REFUSED:
        return f"may not be set: {REFUSED[name]}"
    close = get_close_matches(name, [*CONNECTION, *allowed], 1, 0.8)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"is not among the options that may be set{hint}"


def value_objection(name: str, value: object) -> str | None:
    """Return why an option may not have this value; None if we have nothing against it. The client may have."""
    needed, reason = _ONLY.get(name, ("", ""))
    if needed and str(value).lower() != needed:
        return f"must be {needed}: {reason}"
    if name == "sasl.oauthbearer.token.endpoint.url" and not _is_private(str(value)):
        return "must be an https:// URL: the client's secret is sent there"
    return None


def _is_private(url: str) -> bool:
    """Return whether nobody can listen to what is sent to `url`: by TLS, or because it is on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
