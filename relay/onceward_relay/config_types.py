"""Types that settings have in common: secrets, addresses of databases, numbers that may come from the environment."""

import re
from collections import Counter
from typing import Annotated, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from onceward.errors import ConfigError
from onceward.from_file import FromFile
from onceward_relay.config_sources import FromEnvironment, environment_name
from onceward_relay.kafka_options import from_file

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


DatabaseAddress = Annotated[Secret, AfterValidator(_database)]
"""A postgresql:// URL or a libpq connection string."""


def _number(value: object) -> object:
    """Read a number from a variable's text; in the file it must be a number."""
    if not isinstance(value, FromEnvironment):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


Number = BeforeValidator(_number)
Seconds = Annotated[float, Number]


def listed(value: object) -> object:
    """Read a list from the file, and names with commas between them from the environment."""
    if isinstance(value, FromEnvironment):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(value) if isinstance(value, list) else value


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"names {', '.join(twice)} more than once")
    return names


class Part(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Database(Part):
    """Where a database is."""

    database: DatabaseAddress
    """postgresql:// URL of the primary, direct or through nothing that pools transactions."""
    password: Secret | None = None
    """Password for the database, where its URL has none. In a file it is read anew for each connection."""

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


class Named(Database):
    """A participant's database."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")
    """Name in logs, metrics and environment variables."""


N = TypeVar("N", bound=Named)


def distinct(sources: list[N]) -> list[N]:
    """Refuse databases whose names are alike in the environment, and one that is listed twice."""
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
