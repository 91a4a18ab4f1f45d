"""`onceward console`: serve the screens, and say who may use them."""

from pathlib import Path

import click
import psycopg

from onceward_relay.cli.console_user import user
from onceward_relay.cli.options import Once


@click.group()
def console() -> None:
    """Serve the screens on which people settle what code cannot."""


console.add_command(user)


@console.command()
@click.option(
    "--config",
    "path",
    cls=Once,
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file, see deploy/console.toml.",
)
def run(path: Path) -> None:
    """Serve the console until SIGTERM.

    Every setting can also come from the environment, over the file's:

    \b
    ONCEWARD_CONSOLE__LISTEN               listen of [console]
    ONCEWARD_PARTICIPANT__PAYER__DATABASE  database of the participant named payer
    ONCEWARD_OIDC__CLIENT_SECRET_FILE      the file that client_secret of [oidc] stands in
    """  # noqa: D301 -- the backslash is click's: these lines stay as they are
    from onceward_relay.console.config import load
    from onceward_relay.console.serve import serve
    from onceward_relay.logs import configure

    settings = load(path)
    configure("info", "auto")
    try:
        serve(settings)
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        raise click.ClickException(f"home database {settings.console.home_database.place}: {text}") from error
    except OSError as error:
        raise click.ClickException(f"console.listen: {settings.console.listen}: {error.strerror}") from error
