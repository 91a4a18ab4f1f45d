"""Copies of the team's test database, one for each run: what a run changes is gone with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from onceward.database import sqlalchemy_url
from onceward.errors import ConfigError

_IN_USE = "55006"


class Databases:
    """Makes copies of one database."""

    def __init__(self, url: str) -> None:
        self._url = sqlalchemy_url(url)
        self._server = create_engine(
            self._url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )

    @contextmanager
    def copy(self) -> Iterator[Engine]:
        """Give an engine on a fresh copy, and drop it at the end.

        Raises:
            ConfigError: somebody is connected to the original.
        """
        name = f"onceward_bench_{uuid4().hex[:12]}"
        self._run(f'CREATE DATABASE {name} TEMPLATE "{self._url.database}"')
        engine = create_engine(self._place(name))
        try:
            yield engine
        finally:
            engine.dispose()
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _place(self, name: str) -> URL:
        return self._url.set(database=name)

    def _run(self, statement: str) -> None:
        try:
            with self._server.connect() as connection:
                connection.execute(text(statement))
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _IN_USE:
                raise
            raise ConfigError(
                "database",
                f"{self._url.database} has connections, so it cannot be copied; dispose of your engine first",
            ) from None
