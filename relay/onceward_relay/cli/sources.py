"""Sources as the command line names them."""

from pathlib import Path

import click
from click.core import ParameterSource
from pydantic import SecretStr

from onceward.database import address, psycopg_url
from onceward.errors import ConfigError
from onceward_relay.config import Settings, SourceSettings, load
from onceward_relay.errors import InvalidConfig

INVALID = 2
"""Exit status for a configuration that cannot work."""


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


def loaded(path: Path) -> Settings:
    """Return the configuration in `path`, or print what is wrong with it and end with status 2."""
    try:
        return load(path)
    except InvalidConfig as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(INVALID) from None
