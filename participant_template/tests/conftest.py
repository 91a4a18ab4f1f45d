"""A real PostgreSQL for the tests: the one at ORDERS_TEST_DATABASE (a superuser's URL), or the embedded one."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from onceward import migrations, start
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from participant_template.flows import payment
from participant_template.messages import OrderPlaced
from participant_template.models import Order
from participant_template.providers import payments
from participant_template.settings import engine, settings

from .provider import PaymentProvider


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server on which databases can be made."""
    given = os.environ.get("ORDERS_TEST_DATABASE")
    if given:
        yield given
        return
    from onceward_relay.embedded.postgres import EmbeddedPostgres

    with EmbeddedPostgres() as embedded:
        yield embedded.url("postgres")


@pytest.fixture
def provider() -> Iterator[PaymentProvider]:
    """The payment provider: a real HTTP server with books of its own."""
    with PaymentProvider() as running:
        yield running


@pytest.fixture
def database(server: str, provider: PaymentProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A fresh database with the schema onceward and the service's tables; the service's own engine."""
    name = f"orders_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.conninfo_to_dict(server) | {"dbname": name}
    address = f"postgresql://{url.get('user', 'postgres')}@{url['host']}:{url.get('port', 5432)}/{name}"
    monkeypatch.setenv("ORDERS_DATABASE", address)
    monkeypatch.setenv("ORDERS_PAYMENTS_URL", provider.url)
    monkeypatch.setenv("ORDERS_PAYMENTS_TOKEN", "token-of-the-tests")
    settings.cache_clear()
    engine.cache_clear()
    migrations.install(address)
    command.upgrade(Config(str(Path(__file__).parents[1] / "alembic.ini")), "head")
    yield engine()
    payments.close()
    engine().dispose()
    settings.cache_clear()
    engine.cache_clear()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def placed(database: Engine) -> UUID:
    """An order whose payment has been started, as the consumer does it."""
    with Session(database) as session, session.begin():
        order = Order(customer="Ada", amount="12.50", currency="EUR")
        session.add(order)
        session.flush()
        session.execute(start(payment, OrderPlaced(order_id=order.id, amount=order.amount, currency=order.currency)))
        return order.id
