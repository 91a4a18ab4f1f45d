"""The relay's configuration: one object, validated whole before anything is opened.

A TOML file, and over it the environment (see `config_sources`). Everything that is wrong is reported at once, each
with its field and its line or variable, and never with its value, which may be a secret.
"""

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from onceward.errors import ConfigError
from onceward.from_file import FromFile, LiveOptions
from onceward.kafka_options import value_objection
from onceward_relay import kafka
from onceward_relay.config_sources import FromEnvironment, Place, Raw, environment_name, read
from onceward_relay.errors import InvalidConfig, Problem
from onceward_relay.kafka_options import KafkaOptions, from_file
from onceward_relay.routes import Routes

MOST_SOURCES = 1000
"""Each has a thread, a session and, once it has sent something, a Kafka producer."""

Secret = Annotated[SecretStr | FromFile, BeforeValidator(from_file)]


def _database(value: SecretStr | FromFile) -> SecretStr | FromFile:
    if isinstance(value, SecretStr) and (problem := _unusable(value.get_secret_value())):
        raise ValueError(problem)
    return value


def _unusable(database: str) -> str | None:
    """Return what is wrong with a database's address."""
    try:
        parts = conninfo_to_dict(database)
    except psycopg.Error:
        parts = {}  # psycopg's own text repeats the URL, password and all
    if not parts:
        return "is neither a postgresql:// URL nor a libpq connection string"
    if "@" in str(parts.get("host", "")):
        return "has an @ in its user or password that must be written as %40"
    if not re.fullmatch(r"[0-9,]*", str(parts.get("port", ""))):
        return "has a port that is no number"
    return None


def _number(value: object) -> object:
    """Read a number from a variable's text; in the file it must be a number."""
    if not isinstance(value, FromEnvironment):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


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
Number = BeforeValidator(_number)
Seconds = Annotated[float, Number]


def _listed(value: object) -> object:
    """Read a list from the file, and names with commas between them from the environment."""
    if isinstance(value, FromEnvironment):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(value) if isinstance(value, list) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"names {', '.join(twice)} more than once")
    return names


_NAME = r"^[!-~]{1,100}$"
InstanceName = Annotated[str, Field(pattern=_NAME)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class RelaySettings(_Part):
    """How this instance works. Times are in seconds."""

    name: str = Field(default_factory=socket.gethostname, pattern=_NAME)
    """Instance name, for logs and the ownership table. Default: the host's name."""
    instances: Annotated[tuple[InstanceName, ...], BeforeValidator(_listed), AfterValidator(_each_once)] = ()
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


class SourceSettings(_Part):
    """A participant's database whose outbox is relayed."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    """Name in logs, metrics and environment variables."""
    database: Annotated[Secret, AfterValidator(_database)]
    """postgresql:// URL of the primary, direct or through nothing that pools transactions."""
    password: Secret | None = None
    """Password for the database, where its URL has none. In a file it is read anew for each connection."""
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

    @property
    def conninfo(self) -> str:
        """How to connect: with the secrets revealed, and read anew where they stand in files.

        Raises:
            ConfigError: a file cannot be read, or holds no address.

        """
        database = self._revealed("database")
        if problem := _unusable(database):
            raise ConfigError("database", problem)
        return database if self.password is None else make_conninfo(database, password=self._revealed("password"))

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        try:
            parts = conninfo_to_dict(self.conninfo)
        except ConfigError:
            return str(self.database)
        return f"{parts.get('host', 'local socket')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"

    def _revealed(self, name: str) -> str:
        value: SecretStr | FromFile = getattr(self, name)
        return value.read(name) if isinstance(value, FromFile) else value.get_secret_value()


def _distinct(sources: list[SourceSettings]) -> list[SourceSettings]:
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    for i, source in enumerate(sources):
        if (twin := names.setdefault(environment_name(source.name), source.name)) is not source.name:
            raise PydanticCustomError(
                "same_name",
                "is taken: {name} and {twin} would share their environment variables",
                {"name": repr(source.name), "twin": repr(twin), "at": (i, "name")},
            )
        if (twin := places.setdefault(source.place, source.name)) is not source.name:
            raise PydanticCustomError(
                "same_database",
                "is the database of {twin} too; one outbox is one source",
                {"twin": repr(twin), "at": (i, "database")},
            )
    return sources


class Settings(_Part):
    """The whole configuration."""

    kafka: KafkaOptions
    relay: RelaySettings = Field(default_factory=RelaySettings)
    source: Annotated[list[SourceSettings], Field(min_length=1, max_length=MOST_SOURCES), AfterValidator(_distinct)]

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
    raw, problems = read(path, environment)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(raw.values, context={"may_leave": may_leave})
    except ValidationError as error:
        problems += _described(error, raw)
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


def _described(error: ValidationError, raw: Raw) -> list[Problem]:
    """Turn pydantic's report into ours, one problem a place."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        place = _place(detail)
        field = ".".join(map(str, place))
        problems.setdefault(field, Problem(field, raw.where(place), _text(detail)))
    return list(problems.values())


def _place(detail: ErrorDetails) -> Place:
    place = detail["loc"]
    if place[:1] == ("kafka",):
        return place[:2]  # what follows is the kind of value that pydantic tried
    return (*place, *detail.get("ctx", {}).get("at", ()))


def _text(detail: ErrorDetails) -> str:
    kind, place = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return f"is no setting{_hint(str(place[-1]), _names(place))}"
    if kind == "missing":
        return "is missing"
    if place[:1] == ("kafka",) and kind.endswith("_type"):
        return "must be text, a number, true or false" if len(place) > 1 else "must be a table, [kafka]"
    if kind == "model_type":
        return "must be a table"
    if kind == "string_pattern_mismatch":
        return f"must match {detail['ctx']['pattern']}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
    return "must be a number" if text.startswith("could not convert") else text


def _names(place: Place) -> list[str]:
    parts: dict[str | int, type[BaseModel]] = {"relay": RelaySettings, "source": SourceSettings}
    part = parts.get(place[0], Settings) if len(place) > 1 else Settings
    return list(part.model_fields)


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
