"""Sources as the command line names them."""

import click
from click.core import ParameterSource
from pydantic import SecretStr

from onceward.database import address, psycopg_url
from onceward.errors import ConfigError
from onceward_relay.config import SourceSettings


def source_at(url: str) -> SourceSettings:
    """Return a source that is known by its address only, with its database's name for its own."""
    try:
        name = address(url).rpartition("/")[2] or "postgres"
        return SourceSettings.model_construct(name=name, database=SecretStr(psycopg_url(url)))
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--database") from error


def given(name: str) -> bool:
    """Return whether an option of the running command stands on the command line, and not only in the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE
