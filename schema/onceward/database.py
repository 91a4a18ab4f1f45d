"""Addresses of databases."""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from onceward.errors import ConfigError

_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


def sqlalchemy_url(url: str) -> URL:
    """Return `url` for SQLAlchemy with the psycopg driver.

    `postgresql://`, `postgres://` and `postgresql+psycopg://` are taken.

    Raises:
        ConfigError: it is no URL of a PostgreSQL database. The message does not hold the URL: it may hold a password.

    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("database", "is not a URL like postgresql://user@host:5432/database") from None
    if parsed.drivername not in _SCHEMES:
        raise ConfigError("database", f"has the scheme {parsed.drivername}; it must begin with postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def psycopg_url(url: str) -> str:
    """Return `url` in the form that psycopg and psql take, with its password.

    Raises:
        ConfigError: as `sqlalchemy_url`, or it has a parameter that PostgreSQL's client does not know.

    """
    rendered = sqlalchemy_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    place, mark, parameters = rendered.partition("?")
    found = place.replace(" ", "%20") + mark + parameters.replace("+", "%20")  # libpq knows no other space
    try:
        conninfo_to_dict(found)
    except psycopg.ProgrammingError:
        raise ConfigError("database", "has a parameter that PostgreSQL's client does not know") from None
    return found


def address(url: str) -> str:
    """Return where `url` leads, without user and password, for messages and logs.

    Raises:
        ConfigError: as `sqlalchemy_url`.

    """
    parsed = sqlalchemy_url(url)
    host = parsed.host or parsed.query.get("host", "local socket")
    return f"{host}:{parsed.port or 5432}/{parsed.database or ''}"
