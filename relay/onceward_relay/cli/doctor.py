"""`onceward doctor`: what is wrong with a database and with Kafka, and what to do."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from onceward_relay.cli.doctor_report import printed
from onceward_relay.cli.options import Once, checked_urls, json_option, print_json
from onceward_relay.cli.sources import given, loaded, source_at
from onceward_relay.config import SourceSettings
from onceward_relay.doctor import database
from onceward_relay.doctor import kafka as clusters
from onceward_relay.doctor.findings import Finding
from onceward_relay.doctor.traffic import Waiting
from onceward_relay.kafka import Options


@click.command()
@click.option(
    "--database", "databases", multiple=True, envvar="ONCEWARD_DATABASE", show_envvar=True, callback=checked_urls,
    metavar="URL", help="postgresql:// URL of a participant's database, as the role whose rights are to be looked at;"
    " can be given more than once.",
)  # fmt: skip
@click.option("--kafka", cls=Once, metavar="ADDRESS", help="Bootstrap servers, where Kafka asks for no password.")
@click.option(
    "--config", "path", cls=Once, type=click.Path(path_type=Path),
    help="The relay's TOML file: its Kafka, and its sources unless --database is given.",
)  # fmt: skip
@click.option(
    "--long", default=300, show_default=True, type=click.FloatRange(0),
    help="Seconds after which a transaction that is open, or a row that waits, counts as old.",
)  # fmt: skip
@json_option
def doctor(databases: tuple[str, ...], kafka: str | None, path: Path | None, long: float, *, as_json: bool) -> None:
    """Find what is wrong with participants' databases and with Kafka, and say what to do. Changes nothing.

    As the relay's role, with pg_read_all_stats granted to it, doctor sees everything; what it may not see it says.

    Exit status: 0 no problem, though perhaps warnings; 1 a problem; 2 the command line or configuration is wrong.
    """
    if kafka and path:
        raise click.UsageError("give either --kafka or --config")
    if path and not given("databases"):
        databases = ()
    if not databases and not path:
        raise click.UsageError("give --database or --config")
    settings = loaded(path) if path else None
    sources = settings.source if settings and not databases else [source_at(url) for url in databases]
    options = settings.client_options if settings else {"bootstrap.servers": kafka} if kafka else None
    once = settings is not None and any(source.delivery == "exactly_once" for source in settings.source)
    findings = list(_examined(sources, options, long, once=once))
    well = not any(each.level == "problem" for each in findings)
    if as_json:
        print_json({"ok": well, "findings": [asdict(each) for each in findings]})
    else:
        printed(findings)
    raise SystemExit(0 if well else 1)


def _examined(
    sources: Sequence[SourceSettings], options: Options | None, long: float, *, once: bool
) -> Iterator[Finding]:
    waiting: Waiting = {}
    for source in sources:
        yield from database.examine(source, long, waiting)
    if options is not None:
        yield from clusters.examine(options, waiting, once=once)
