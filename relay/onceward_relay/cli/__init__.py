"""The command line: `onceward`. Each subcommand is a module of this package, loaded when it is called."""

from importlib import import_module
from importlib.metadata import version

import click

from onceward.errors import OncewardError

SUBCOMMANDS = {
    "approvals": "Agree to what others have decided, or stop it.",
    "audit": "Look at what people decided, and prove that nothing of it was changed.",
    "bench": "Measure the relay beside raw Kafka.",
    "calls": "Look at the ledger of external calls, and settle what code cannot.",
    "console": "Serve the screens on which people settle what code cannot.",
    "demo": "Watch money move between two banks while processes are killed.",
    "doctor": "Find what is wrong with a database and with Kafka, and say what to do.",
    "flows": "Look at flows; resume, pause, undo or close them.",
    "held": "Look at messages that Kafka refused, and let them go or leave them out.",
    "incidents": "Look at what waits for a person, and take it.",
    "new": "Make a service of your own from the template.",
    "providers": "Look at outside APIs; stop one, let calls go to it again.",
    "purge": "Remove personal data that are not needed any more.",
    "recover": "After a failover or a restore: what may be lost, what is held, and going on.",
    "relay": "Run the relay daemon.",
    "rules": "Set how many people have to agree to what.",
    "schema": "Install and upgrade the schema of a participant's database.",
    "status": "Show how each source stands.",
}


class _Subcommands(click.Group):
    """Loads a subcommand's module only when it is called, so that `onceward --help` needs nothing else."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        if cmd_name not in SUBCOMMANDS:
            return None
        command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OncewardError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Subcommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("onceward"), prog_name="onceward")
def main() -> None:
    """Transactional outbox and inbox relay with a ledger of external calls."""
