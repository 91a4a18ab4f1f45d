"""Addresses of databases."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from onceward.database import address, psycopg_url, sqlalchemy_url
from onceward.errors import ConfigError


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_form_becomes_that_of_each_library(scheme: str) -> None:
    url = f"{scheme}://u:p%40ss@db.example:6543/orders?sslmode=require"
    assert sqlalchemy_url(url).drivername == "postgresql+psycopg"
    assert (sqlalchemy_url(url).password, sqlalchemy_url(url).query["sslmode"]) == ("p@ss", "require")
    assert psycopg_url(url) == "postgresql://u:p%40ss@db.example:6543/orders?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://my%20user:p%20%2B+s@h:5432/we%27ird%20%22na+me",
        "postgresql://h/x?application_name=my%20shop&options=-c%20statement_timeout%3D1s",
    ],
)
def test_spaces_and_quotes_reach_postgresql(url: str) -> None:
    assert conninfo_to_dict(psycopg_url(url)) == conninfo_to_dict(url)


def test_a_parameter_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match=r"^database: has a parameter") as refused:
        psycopg_url("postgresql://u:hunter2@h/x?colour=hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "hunter2", "mysql://u:hunter2@h/x", "postgresql+asyncpg://u:hunter2@h/x", "postgresql://h:hunter2/x", None],
)
def test_what_is_no_address_of_postgresql_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"postgresql://") as refused:
        sqlalchemy_url(url)
    assert refused.value.field == "database"
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@db.example/orders", "db.example:5432/orders"),
        ("postgresql://db.example:6543/orders?user=u&password=hunter2", "db.example:6543/orders"),
        ("postgresql:///orders?host=/run/postgresql", "/run/postgresql:5432/orders"),
        ("postgresql://", "local socket:5432/"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert address(url) == shown
