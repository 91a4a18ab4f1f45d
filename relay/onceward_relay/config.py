"""The relay's configuration: one object, validated whole before anything is opened.

A TOML file, and over it the environment (see `config_sources`). Everything that is wrong is reported at once, each
with its field and its line or variable, and never with its value, which may be a secret.
"""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from onceward.errors import ConfigError
from onceward.from_file import LiveOptions
from onceward.kafka_options import value_objection
from onceward_relay import kafka
from onceward_relay.config_problems import described
from onceward_relay.config_sources import FromEnvironment, Sections, read
from onceward_relay.config_types import Named, Number, Part, Seconds, distinct, each_once, listed
from onceward_relay.errors import InvalidConfig, Problem
from onceward_relay.kafka_options import KafkaOptions
from onceward_relay.routes import Routes

SECTIONS = Sections(tables=frozenset({"relay"}), lists=frozenset({"source"}), usage="onceward relay run --help")
MOST_SOURCES = 1000
"""Each has a thread, a session and, once it has sent something, a Kafka producer."""


def _pairs(value: object) -> object:
    """Read routes from a variable's text: orders=orders.v2,payments=pay."""
    if not isinstance(value, FromEnvironment):
        return value
    parts = [pair.partition("=") for pair in value.split(",") if pair]
    return {name.strip(): to.strip() for name, _, to in parts}


def _topic(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in (".", ".."):
        raise ValueError("needs legal topic names: 1 to 249 of A-Z a-z 0-9 . _ - and not . or ..")
    return name


def _one_to_one(routes: dict[str, str]) -> dict[str, str]:
    twin: dict[str, str] = {}
    for topic, destination in routes.items():
        if (other := twin.setdefault(destination, topic)) != topic:
            raise ValueError(
                f"sends {other} and {topic} to {destination}: a held key of one would not hold the other's"
            )
    return routes


TopicName = Annotated[str, AfterValidator(_topic)]


INSTANCE = r"^[!-~]{1,100}$"
InstanceName = Annotated[str, Field(pattern=INSTANCE)]


class RelaySettings(Part):
    """How this instance works. Times are in seconds."""

    name: str = Field(default_factory=socket.gethostname, pattern=INSTANCE)
    """Instance name, for logs and the ownership table. Default: the host's name."""
    instances: Annotated[tuple[InstanceName, ...], BeforeValidator(listed), AfterValidator(each_once)] = ()
    """Names of all instances that share the sources, this one's among them. None: one works and the others stand by."""
    poll_interval: Seconds = Field(default=1, ge=0.05, le=5)
    """How often an idle source is asked for new rows. For so long its server waits for them and looks fifty times.

    The wait is twice as long, with as many looks a second, once the source has been idle for half a minute.
    """
    stall_timeout: Seconds = Field(default=60, ge=5)
    """Without any report for so long, the producer is thrown away and another starts from the checkpoint."""
    stop_timeout: Seconds = Field(default=10, ge=0)
    """How long a stop waits for what is on its way to Kafka, before it is purged and left to the next owner."""
    http_host: str = "127.0.0.1"
    """Address of /metrics and /health."""
    http_port: Annotated[int, Number] = Field(default=9464, ge=0, le=65535)
    """Port of /metrics and /health; 0 lets the system choose."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, else JSON."""

    @model_validator(mode="after")
    def _is_one_of_them(self, info: ValidationInfo) -> Self:
        may_leave = (info.context or {}).get("may_leave", False)
        if self.instances and self.name not in self.instances and not may_leave:
            raise PydanticCustomError(
                "not_an_instance",
                "must have relay.name, {name}, among its names",
                {"name": repr(self.name), "at": ("instances",)},
            )
        return self


class SourceSettings(Named):
    """A participant's database whose outbox is relayed."""

    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """Before the names of its topics in Kafka."""
    routes: Annotated[dict[TopicName, TopicName], BeforeValidator(_pairs), AfterValidator(_one_to_one)] = Field(
        default_factory=dict
    )
    """Whole names in Kafka of topics of the outbox; the prefix does not go before them."""
    delivery: Literal["at_least_once", "exactly_once"] = "at_least_once"
    """exactly_once: each page is a Kafka transaction; a read_committed consumer sees each message once."""
    pages_topic: str = Field(default="onceward-pages", pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    """exactly_once: the topic under which page numbers are committed as offsets. It stays empty."""
    outbox_limit: Annotated[int, Number] | None = Field(default=None, ge=2**20)
    """Bytes that its outbox may take. A metric tells when it will be full at this rate; nothing stops there."""
    event_source: str | None = Field(default=None, pattern=r"^[!-~]{1,255}$")
    """CloudEvents `source` of its messages. Default: the name."""

    @property
    def ce_source(self) -> str:
        """The CloudEvents source of this source's messages."""
        return self.event_source or self.name

    @property
    def routing(self) -> Routes:
        """Where its topics are in Kafka."""
        return Routes(self.topic_prefix, self.routes)


class Settings(Part):
    """The whole configuration."""

    kafka: KafkaOptions
    relay: RelaySettings = Field(default_factory=RelaySettings)
    source: Annotated[list[SourceSettings], Field(min_length=1, max_length=MOST_SOURCES), AfterValidator(distinct)]

    @property
    def client_options(self) -> LiveOptions:
        """The Kafka options, secrets revealed, and read anew where they stand in files."""
        return LiveOptions(
            {
                name: value.get_secret_value() if isinstance(value, SecretStr) else value
                for name, value in self.kafka.items()
            }
        )


def load(path: Path, environment: Mapping[str, str] = os.environ, *, may_leave: bool = False) -> Settings:
    """Read and validate the configuration in `path` and `environment`.

    `may_leave`: whether `instances` may be without this one. A relay that runs leaves its sources to them then; for
    one that begins it would be a slip.

    Raises:
        InvalidConfig: with everything that is wrong.

    """
    raw, problems = read(path, environment, SECTIONS)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(raw.values, context={"may_leave": may_leave})
    except ValidationError as error:
        problems += described(error, raw, {"": Settings, "relay": RelaySettings, "source": SourceSettings})
    if settings is not None:
        problems += [
            Problem(f"kafka.{option}" if option else "kafka", raw.where(("kafka", option)), text)
            for option, text in _option_problems(settings.client_options)
        ]
    if problems or settings is None:
        raise InvalidConfig(problems)
    return settings


def _option_problems(options: LiveOptions) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the values of the Kafka options, those in files included."""
    try:
        values = dict(options)
    except ConfigError as error:
        yield error.field, str(error).removeprefix(f"{error.field}: ")
        return
    objections = [(name, text) for name, value in values.items() if (text := value_objection(name, value))]
    yield from objections or kafka.option_problems(values)
