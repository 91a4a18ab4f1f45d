"""`onceward relay`: run the daemon, and check whether it could run."""

from pathlib import Path

import click

from onceward_relay.config import Settings, load
from onceward_relay.errors import InvalidConfig

INVALID = 2
"""Exit status for a configuration that cannot work."""


@click.group()
def relay() -> None:
    """Run the relay daemon, or check its configuration."""


config_option = click.option(
    "--config", "path", required=True, type=click.Path(path_type=Path), help="TOML file, see deploy/relay.toml."
)


@relay.command()
@config_option
def run(path: Path) -> None:
    """Relay until SIGTERM."""
    from onceward_relay.daemon import Daemon
    from onceward_relay.logs import configure

    settings = _load(path)
    configure(settings.relay.log_level, settings.relay.log_format)
    Daemon(settings).run()


def _load(path: Path) -> Settings:
    try:
        return load(path)
    except InvalidConfig as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(INVALID) from None
