"""The console's configuration: console.toml and the environment over it, validated whole before anything is opened.

By the rule of `config_sources`: `ONCEWARD_CONSOLE__LISTEN` is `listen` of `[console]`, and
`ONCEWARD_PARTICIPANT__PAYER__DATABASE` is `database` of the participant named `payer`.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from onceward.from_file import FromFile
from onceward.kafka_options import is_loopback
from onceward_relay.config_problems import described
from onceward_relay.config_sources import Sections, read
from onceward_relay.config_types import Database, DatabaseAddress, Named, Part, Seconds, Secret, distinct, listed
from onceward_relay.errors import InvalidConfig

SECTIONS = Sections(
    tables=frozenset({"console", "oidc"}), lists=frozenset({"participant"}), usage="onceward console run --help"
)
Role = Literal["viewer", "operator", "approver", "admin"]


def _listens(value: str) -> str:
    host, _, port = value.rpartition(":")
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        host = ""
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be an address and a port, like 127.0.0.1:8780 or [::]:8780; port 0 is any that is free")
    return value


def private_url(value: str) -> str:
    """Return a URL that secrets can be sent to, without the slash at its end.

    Raises:
        ValueError: it is none.

    """
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError("must be an https:// URL: secrets and decisions are sent there")
    return value.rstrip("/")


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(f"must be addresses or networks, like 10.0.0.7 or 10.0.0.0/8; {error}") from None
    return names


PrivateUrl = Annotated[str, AfterValidator(private_url)]
Network = IPv4Network | IPv6Network


class ConsoleSettings(Part):
    """How the console is reached, and who may."""

    listen: Annotated[str, AfterValidator(_listens)] = "127.0.0.1:8780"
    """Address and port."""
    public_url: PrivateUrl | None = None
    """Where people reach it, if a proxy stands before it: https://console.example.com."""
    login: Literal["none", "local", "oidc"] = "none"
    """none: everybody on this machine is an admin, so only on loopback. local: users of its own. oidc: see [oidc]."""
    home: DatabaseAddress
    """postgresql:// URL of the console's own database: users, sessions, saved views, denied attempts."""
    home_password: Secret | None = None
    """Password for it, where its URL has none."""
    deadline: Seconds = Field(default=0.3, ge=0.05, le=10)
    """Seconds that a participant has to answer; a page is shown without those that have not."""
    proxies: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_networks)] = ()
    """Addresses or networks of proxies before it, whose X-Forwarded-For says from where people come."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Where proxies are."""
        return tuple(map(ip_network, self.proxies))

    @property
    def home_database(self) -> Database:
        """Its own database."""
        return Database(database=self.home, password=self.home_password)

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        loopback = is_loopback(self.address[0])
        if self.login == "none" and not (loopback and self.public_url is None):
            raise PydanticCustomError(
                "no_login",
                "must be local or oidc unless the console listens on loopback alone: without it anybody decides",
                {"at": ("login",)},
            )
        if not loopback and self.public_url is None:
            raise PydanticCustomError(
                "no_public_url", "is needed beyond loopback: the https:// URL that people use", {"at": ("public_url",)}
            )
        return self


class GroupRole(Part):
    """What members of a group of the identity provider may do."""

    group: str = Field(min_length=1)
    role: Role
    participant: str = "*"
    """At one participant; `*`: at all."""


class OidcSettings(Part):
    """Log-in by an OpenID Connect provider: authorisation code with PKCE."""

    issuer: PrivateUrl
    """As the provider names itself; its configuration is read from there."""
    client_id: str = Field(min_length=1)
    client_secret: Secret | None = None
    """None: a public client, which PKCE alone protects."""
    scopes: str = "openid profile email"
    name_claim: str = "preferred_username"
    """The claim that a person's name is taken from at the first log-in; afterwards it stays."""
    groups_claim: str = "groups"
    role: list[GroupRole] = Field(min_length=1)
    """What groups may do; who is in none of them may not enter."""

    def secret(self) -> str | None:
        """Return the client's secret, read anew where it stands in a file."""
        if isinstance(self.client_secret, FromFile):
            return self.client_secret.read("oidc.client_secret")
        return None if self.client_secret is None else self.client_secret.get_secret_value()


class Settings(Part):
    """The whole configuration."""

    console: ConsoleSettings
    oidc: OidcSettings | None = None
    participant: Annotated[list[Named], Field(min_length=1, max_length=200), AfterValidator(distinct)]

    @model_validator(mode="after")
    def _says_how_to_log_in(self, _: ValidationInfo) -> Self:
        if (self.console.login == "oidc") != (self.oidc is not None):
            raise PydanticCustomError("oidc", "must be there exactly when console.login is oidc", {"at": ("oidc",)})
        return self

    @property
    def address(self) -> str:
        """Where people reach it."""
        host, port = self.console.address
        return self.console.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate the configuration in `path` and `environment`.

    Raises:
        InvalidConfig: with everything that is wrong.

    """
    raw, problems = read(path, environment, SECTIONS)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(raw.values)
    except ValidationError as error:
        parts: dict[str, type[BaseModel]] = {
            "": Settings,
            "console": ConsoleSettings,
            "oidc": OidcSettings,
            "participant": Named,
        }
        problems += described(error, raw, parts | {"participant": Named})
    if problems or settings is None:
        raise InvalidConfig(problems)
    return settings
