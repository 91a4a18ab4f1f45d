"""The settings on the page docs/kafka.md, made fit for the tests' own cluster."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from onceward.from_file import FromFile, Setting
from onceward_relay.kafka_options import from_file
from tests.conftest import Database
from tests.crash.scene import Scene
from tests.servers.identity_provider import IdentityProvider
from tests.servers.kafka import TestKafka
from tests.servers.secure_kafka import CONSUMER, RELAY, SecureKafka
from tests.support import Process

PASSWORD = "swordfish-9f2c"
PAGE = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text()
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Secure:
    """A cluster that asks who is there."""

    server: SecureKafka
    provider: IdentityProvider
    kafka: TestKafka
    folder: Path = field(default_factory=Path)

    def in_folder(self, folder: Path) -> "Secure":
        secure = replace(self, folder=folder)
        secure.write_password(PASSWORD)
        return secure

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    def write_password(self, password: str) -> None:
        self.secret.write_text(f"{password}\n")

    def snippet(self, heading: str, user: str = RELAY) -> str:
        """Return the settings under a heading of the page, for this cluster."""
        found = re.search(rf"^### {re.escape(heading)}\n```toml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
        assert found, heading
        return self.fit(found[1], user)

    def fit(self, text: str, user: str = RELAY) -> str:
        """Put this cluster's addresses, files and users into a text of the page."""
        for theirs, ours in {
            "kafka-1.example.com:9093,kafka-2.example.com:9093": self.server.tls,
            "kafka-1.example.com:9094": self.server.mtls,
            "kafka-1.example.com:9095": self.server.sasl,
            "/etc/onceward/kafka-ca.pem": str(self.server.folder / "ca.pem"),
            "/etc/onceward/relay.pem": str(self.server.folder / f"{user}.pem"),
            "/run/secrets/kafka": str(self.secret),
            "https://login.example.com": self.provider.url,
            '"relay"': f'"{user}"',
        }.items():
            text = text.replace(theirs, ours)
        return text

    def reader_options(self, heading: str) -> Mapping[str, Any]:
        """Return the same settings for a consumer, as they stand in the file."""
        options: Mapping[str, Any] = tomllib.loads(self.snippet(heading, CONSUMER))["kafka"]
        return options

    def consumer_options(self, heading: str) -> Mapping[str, Setting | FromFile]:
        """Return the same settings as a consumer's mapping."""
        return {
            name: cast("Setting | FromFile", from_file(value)) for name, value in self.reader_options(heading).items()
        }

    def lead(self, scene: Scene, heading: str) -> None:
        """Let the relays and readers of a scene come by this way."""
        scene.kafka_toml = self.snippet(heading)
        scene.reader_options = {**self.reader_options(heading), "session.timeout.ms": 6000}

    def write_config(self, database: Database, snippet: str, source: str = "", relay: str = "") -> Path:
        """Write a configuration of the relay."""
        file = self.folder / "relay.toml"
        file.write_text(
            f'{snippet}\n[relay]\nname = "test"\nhttp_port = 0\nlog_level = "debug"\n{relay}\n'
            f'[[source]]\nname = "payer"\ndatabase = "{database.relay_url}"\n{source}\n'
        )
        return file


def relay_process(config: Path) -> Process:
    """Run the relay as its user does."""
    return Process(["-m", "onceward_relay", "relay", "run", "--config", str(config)], {"PYTHONPATH": str(ROOT)})


def as_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with underscores for dots, as keyword arguments have them."""
    return {name.replace(".", "_"): value for name, value in options.items()}
