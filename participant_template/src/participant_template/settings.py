"""What differs from one environment to the next; read from variables that begin with ORDERS_."""

from functools import cache

from onceward.database import sqlalchemy_url
from pydantic import HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine, create_engine


class Settings(BaseSettings):
    """The service's settings."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_")

    database: SecretStr
    """postgresql:// URL of a role that is a member of onceward_participant."""
    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers."""
    payments_url: HttpUrl = HttpUrl("http://127.0.0.1:8090")
    """Base URL of the payment provider."""
    payments_token: SecretStr
    """Bearer token for the payment provider."""
    payments_webhook_secret: SecretStr = SecretStr("")
    """With which the payment provider signs what it reports; while it is empty no report is taken."""
    payments_account: str = "orders"
    """Our account at the payment provider: the scope in which it remembers idempotency keys."""


@cache
def settings() -> Settings:
    """Return the settings, read once, when they are first needed."""
    return Settings()


@cache
def engine() -> Engine:
    """Return the engine of this process, made when it is first needed."""
    return create_engine(sqlalchemy_url(settings().database.get_secret_value()))
