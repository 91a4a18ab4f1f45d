"""A real PostgreSQL for the tests: the one at ORDERS_TEST_DATABASE (a superuser's URL), or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from onceward import migrations
from onceward.testing import Bench
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from participant_template.handlers import orders
from participant_template.models import Order
from participant_template.providers import payments
from participant_template.settings import engine, settings

from .provider import PaymentProvider
from .words import PLACED


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server on which databases can be made."""
    given = os.environ.get("ORDERS_TEST_DATABASE")
    if given:
        yield given
        return
    from onceward_relay.embedded.postgres import EmbeddedPostgres

    with EmbeddedPostgres(settings={"fsync": "off"}) as embedded:
        yield embedded.url("postgres")


@pytest.fixture(scope="session")
def original(server: str) -> Iterator[str]:
    """A database with the schema onceward, the service's tables and one order, to be copied: its URL."""
    with created(server) as url, configured(url):
        migrations.install(url)
        command.upgrade(Config(str(Path(__file__).parents[1] / "alembic.ini")), "head")
        with Session(engine()) as session, session.begin():
            session.add(Order(id=PLACED.order_id, customer="Ada", amount=PLACED.amount, currency=PLACED.currency))
        engine().dispose()
        yield url


@pytest.fixture
def bench(original: str) -> Iterator[Bench]:
    """Runs the service's flows with providers that follow a script."""
    with configured(original), Bench(orders, original) as bench:
        yield bench


@pytest.fixture
def database(server: str, original: str) -> Iterator[Engine]:
    """A copy of the database; the service's own engine."""
    with created(server, copy_of=original) as url, configured(url):
        yield engine()
        engine().dispose()


@pytest.fixture
def provider(original: str) -> Iterator[PaymentProvider]:
    """The payment provider: a real HTTP server, to which the service's settings lead."""
    with PaymentProvider() as running, configured(original, ORDERS_PAYMENTS_URL=running.url):
        yield running
        payments.close()


@contextmanager
def created(server: str, copy_of: str | None = None) -> Iterator[str]:
    """Create a database and drop it at the end."""
    name = f"orders_{uuid4().hex[:12]}"
    source = conninfo_to_dict(copy_of)["dbname"] if copy_of else "template1"
    place = conninfo_to_dict(server)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
    yield f"postgresql://{place.get('user', 'postgres')}@{place['host']}:{place.get('port', 5432)}/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def configured(database: str, **more: str) -> Iterator[None]:
    """Let the service's settings say this."""
    with pytest.MonkeyPatch.context() as patch:
        said = {"ORDERS_DATABASE": database, "ORDERS_PAYMENTS_TOKEN": "token", "ORDERS_PAYMENTS_WEBHOOK_SECRET": "s"}
        for name, value in (said | more).items():
            patch.setenv(name, value)
        settings.cache_clear()
        engine.cache_clear()
        yield
    settings.cache_clear()
    engine.cache_clear()
