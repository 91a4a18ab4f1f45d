"""`onceward relay`: run the daemon, check whether it could run, and what people decide about a source."""

from dataclasses import asdict
from pathlib import Path

import click

from onceward_relay.cli.options import Once, json_option, print_json, print_table
from onceward_relay.cli.reconcile import reconcile
from onceward_relay.cli.replay import keep, replay
from onceward_relay.cli.sources import loaded
from onceward_relay.config import load


@click.group()
def relay() -> None:
    """Run the relay daemon, check its configuration, reconcile a source that it has halted, or send messages again."""


config_option = click.option(
    "--config",
    "path",
    cls=Once,
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file, see deploy/relay.toml.",
)


@relay.command()
@config_option
def run(path: Path) -> None:
    """Relay until SIGTERM; at SIGHUP read the configuration again.

    Every setting can also come from the environment, over the file's:

    \b
    ONCEWARD_RELAY__POLL_INTERVAL      poll_interval of [relay]
    ONCEWARD_KAFKA__BOOTSTRAP_SERVERS  "bootstrap.servers" of [kafka]
    ONCEWARD_SOURCE__PAYER__DATABASE   database of the source named payer
    """  # noqa: D301 -- the backslash is click's: these lines stay as they are
    from onceward_relay.daemon import Daemon
    from onceward_relay.logs import configure
    from onceward_relay.traces import export

    settings = loaded(path)
    configure(settings.relay.log_level, settings.relay.log_format)
    export()
    Daemon(settings, lambda: load(path, may_leave=True)).run()


@relay.command()
@config_option
@json_option
def check(path: Path, *, as_json: bool) -> None:
    """Say whether the relay could run: the file, each source and its mode, Kafka and the topics. Takes nothing over.

    Exit status: 0 all is well; 1 something is not; 2 the configuration cannot work.
    """
    from onceward_relay.checks import check as checked

    findings = list(checked(loaded(path)))
    well = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": well, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [("ok" if finding.ok else "NOT OK", finding.subject, finding.text) for finding in findings]
        print_table(("", "subject", "finding"), rows, "nothing to check")
    raise SystemExit(0 if well else 1)


for command in (reconcile, replay, keep):
    relay.add_command(command)
