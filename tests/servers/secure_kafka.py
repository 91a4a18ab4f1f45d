"""An Apache Kafka that asks who is there: TLS, mutual TLS and SASL listeners, and access control lists.

Beside them it has an open listener on 127.0.0.1, by which the tests prepare it: whoever comes there may do everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka.admin import (  # type: ignore[attr-defined] # not in its __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from onceward_relay.embedded.postgres import free_port

from .certificates import Authority
from .identity_provider import IdentityProvider, identity_provider
from .kafka import KafkaServer

RELAY, CONSUMER = "relay", "shop"
_LOGIN = "org.apache.kafka.common.security"
_JAAS = "listener.name.sasl.{mechanism}.sasl.jaas.config"


class SecureKafka(KafkaServer):
    """A broker, its certificates in `folder`, and the users `relay` and `shop`."""

    def __init__(self, folder: Path, provider: IdentityProvider, password: str) -> None:
        self.folder = folder
        self.password = password
        """Of both users, for every mechanism but SCRAM, where `set_password` sets it."""
        self.authority = Authority()
        self.tls, self.mtls, self.sasl, controller = (f"127.0.0.1:{free_port()}" for _ in range(4))
        """Bootstrap servers by listener."""
        provider.secrets |= {RELAY: password, CONSUMER: password}
        self.make_certificates()
        listeners = {"PLAINTEXT": "127.0.0.1:{port}", "TLS": self.tls, "MTLS": self.mtls, "SASL": self.sasl}
        advertised = ",".join(f"{name}://{address}" for name, address in listeners.items())
        users = " ".join(f'user_{user}="{password}"' for user in (RELAY, CONSUMER))
        super().__init__(
            {
                "listeners": f"{advertised},CONTROLLER://{controller}",
                "advertised.listeners": advertised,
                "controller.quorum.voters": f"1@{controller}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MTLS:SSL,SASL:SASL_SSL",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(folder / "broker.pem"),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(folder / "ca.pem"),
                "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
                "listener.name.mtls.ssl.client.auth": "required",
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
                _JAAS.format(mechanism="plain"): f"{_LOGIN}.plain.PlainLoginModule required {users};",
                _JAAS.format(mechanism="scram-sha-256"): f"{_LOGIN}.scram.ScramLoginModule required;",
                _JAAS.format(mechanism="scram-sha-512"): f"{_LOGIN}.scram.ScramLoginModule required;",
                _JAAS.format(mechanism="oauthbearer"): f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
                "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class": f"{_LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler",
                "listener.name.sasl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"{provider.url}/keys",
                "listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
            system=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={provider.url}/keys"],
        )

    def make_certificates(self) -> None:
        """Write ca.pem, and broker.pem, relay.pem and shop.pem of that authority."""
        self.authority.write(self.folder / "ca.pem")
        self.authority.issue(self.folder / "broker.pem", "broker", hosts=("127.0.0.1",))
        for user in (RELAY, CONSUMER):
            self.authority.issue(self.folder / f"{user}.pem", user, password=self.password)

    def set_password(self, user: str, password: str) -> None:
        """Set a user's password for both kinds of SCRAM."""
        changes = [
            UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        ]
        admin = self._admin()
        for change in changes:
            for done in admin.alter_user_scram_credentials([change]).values():
                done.result(30)

    def allow(self, user: str, operation: str, kind: str = "TOPIC", name: str = "*", *, deny: bool = False) -> None:
        """Let a user do something, or deny it."""
        admin = self._admin()
        for done in admin.create_acls([_rule(user, operation, kind, name, deny=deny)]).values():
            done.result(30)

    def lift(self, user: str, operation: str, name: str, kind: str = "TOPIC", *, deny: bool = True) -> None:
        """Take back that a user is denied something, or may do it."""
        rule = _rule(user, operation, kind, name, deny=deny)
        only = AclBindingFilter(
            rule.restype,
            rule.name,
            rule.resource_pattern_type,
            rule.principal,
            rule.host,
            rule.operation,
            rule.permission_type,
        )
        admin = self._admin()
        for done in admin.delete_acls([only]).values():
            assert done.result(30)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})


def _rule(user: str, operation: str, kind: str, name: str, *, deny: bool) -> AclBinding:
    permission = AclPermissionType.DENY if deny else AclPermissionType.ALLOW
    what = ResourceType[kind], name, ResourcePatternType.LITERAL
    return AclBinding(*what, f"User:{user}", "*", AclOperation[operation], permission)


@contextmanager
def secure_kafka(password: str) -> Iterator[tuple[SecureKafka, IdentityProvider]]:
    """Run a broker in which the relay and a consumer have the rights that docs/kafka.md names, and no others."""
    with (
        TemporaryDirectory(prefix="onceward-tls-") as folder,
        identity_provider() as provider,
        SecureKafka(Path(folder), provider, password) as server,
    ):
        for user in (RELAY, CONSUMER):
            server.set_password(user, password)
        for operation in ("WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"):
            server.allow(RELAY, operation)
        server.allow(CONSUMER, "READ")
        server.allow(CONSUMER, "READ", "GROUP")
        yield server, provider
