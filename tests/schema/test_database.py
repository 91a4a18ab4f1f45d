"""Addresses of databases."""

import pytest

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
