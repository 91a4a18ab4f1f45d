"""Examines one participant's database: can it be used, and is the schema onceward in it as it should be."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import psycopg
from sqlalchemy.exc import DBAPIError

from onceward import migrations
from onceward.errors import ConfigError
from onceward_relay.config import SourceSettings
from onceward_relay.doctor import server
from onceward_relay.doctor.findings import Finding, ok, problem, span, warning
from onceward_relay.doctor.patient import Patient
from onceward_relay.doctor.traffic import Waiting, gather
from onceward_relay.status.look import look
from onceward_relay.status.model import SourceStatus

Check = Callable[[Patient], Iterator[Finding]]
MOST_SHOWN = 10
"""Problems of the schema that are listed one by one."""


def examine(source: SourceSettings, long: float, waiting: Waiting) -> Iterator[Finding]:
    """Yield what is found in a database, in the order in which it should be mended; add its topics to `waiting`."""
    try:
        connection = psycopg.connect(
            source.conninfo, autocommit=True, connect_timeout=10, prepare_threshold=None,
            application_name="onceward-doctor", client_encoding="UTF8",
        )  # fmt: skip
    except (psycopg.Error, ConfigError) as error:
        finding = problem(
            "reachable", _line(error), "start the server, or correct the URL, pg_hba.conf or the password"
        )
        yield replace(finding, subject=source.place)
        return
    with connection:
        patient = Patient(source, connection, long)

        def topics(patient: Patient) -> Iterator[Finding]:
            gather(patient, waiting)
            return iter(())

        of_onceward = (*ONCEWARD, topics) if patient.row("installed")[0] else ()
        for check in (*BASIC, *of_onceward, *server.CHECKS):
            for finding in _tried(check, patient):
                yield replace(finding, subject=source.place)


def _tried(check: Check, patient: Patient) -> Iterator[Finding]:
    """Run a check; what it may not see is a finding too."""
    name = check.__name__.strip("_").replace("_", " ")
    try:
        yield from check(patient)
    except psycopg.errors.InsufficientPrivilege as error:
        remedy = "look again as a role that may: a member of onceward_relay and pg_read_all_stats, or a superuser"
        yield warning(name, f"could not be seen: {_line(error)}", remedy)
    except psycopg.Error as error:
        yield warning(name, f"could not be seen: {_line(error)}", "see the server's log, and look again")
    except Exception as error:  # noqa: BLE001 -- a fault in one check must not keep the others from being made
        found = f"could not be looked at: {type(error).__name__}: {_line(error)}"
        yield warning(name, found, "a fault of onceward itself; please report it")


def fitness(patient: Patient) -> Iterator[Finding]:
    """Check what the relay refuses: an old server, a standby, a pooler, an encoding without meaning."""
    standby, pid, version, encoding, _ = patient.row("server", "onceward_relay")
    major = f"PostgreSQL {version // 10000}"
    if version < 140000:
        yield problem("version", f"{major} is too old", "upgrade to PostgreSQL 14 or later")
    else:
        yield ok("version", f"{major}.{version % 10000}")
    if pid != patient.connection.info.backend_pid:
        found = "a connection pooler stands between; the relay's lease needs a session of its own"
        yield problem("direct", found, "give the relay the address of PostgreSQL itself; services may keep the pooler")
    else:
        yield ok("direct", "no pooler stands between")
    if standby:
        yield problem("primary", "the server is a standby", "give the address of the primary")
    else:
        yield ok("primary", "the server is the primary")
    if encoding == "SQL_ASCII":
        yield problem(
            "encoding", "SQL_ASCII: what its bytes mean is not known", "dump, and restore into a UTF8 database"
        )
    elif encoding != "UTF8":
        yield warning("encoding", f"{encoding} cannot hold every text", "prefer a UTF8 database")
    else:
        yield ok("encoding", encoding)


def schema(patient: Patient) -> Iterator[Finding]:
    """Check everything in the schema against what this version of onceward installs."""
    try:
        problems = migrations.check(patient.url)
    except DBAPIError as error:
        yield problem(
            "schema", _line(error.orig or error), f"GRANT onceward_participant or onceward_relay TO {patient.user}"
        )
        return
    for each in problems[:MOST_SHOWN]:
        found, _, remedy = each.rpartition("; " if "; " in each else ": ")
        yield problem("schema", found, remedy)
    if len(problems) > MOST_SHOWN:
        yield problem("schema", f"and {len(problems) - MOST_SHOWN} more", "onceward schema check")
    if not problems:
        yield ok("schema", f"revision {migrations.NEWEST}, as it was installed")


def role(patient: Patient) -> Iterator[Finding]:
    """Check what the logged-in role is and has; a superuser proves nothing about the services' roles."""
    name, superuser, roles = patient.row("roles")
    if superuser:
        remedy = "services and relay should log in with a role that only has onceward_participant or onceward_relay"
        yield warning("role", f"{name} is a superuser", remedy)
        return
    has = {each.removeprefix("onceward_") for each in roles}
    if not has & {"participant", "relay"}:
        user = patient.user
        remedy = (
            f"GRANT onceward_participant TO {user}; for a service, or GRANT onceward_relay TO {user}; for the relay"
        )
        yield problem("role", f"{name} has neither onceward_participant nor onceward_relay", remedy)
        return
    if {"participant", "relay"} <= has:
        remedy = f"REVOKE one of them FROM {patient.user}; a service that can move checkpoints can lose messages"
        yield warning("role", f"{name} is participant and relay at once", remedy)
    missing = [row[0] for row in patient.rows("missing_rights", "onceward_relay")] if "relay" in has else []
    missing += [row[0] for row in patient.rows("participant_rights")] if "participant" in has else []
    if missing:
        remedy = "restore the grants as `onceward schema sql` prints them"
        yield problem("rights", f"{name} lacks {', '.join(missing)}", remedy)
    else:
        yield ok("role", f"{name} has {', '.join(roles)} and all their rights")


def relay(patient: Patient) -> Iterator[Finding]:
    """Check whether the outbox is relayed: who owns it, and whether it grows without an owner."""
    status = look(patient.source, patience=20)
    if status.state == "broken":
        yield warning("relay", f"could not be seen: {status.reason}", "mend what stands above, and look again")
    elif status.state == "halted":
        remedy = "compare outbox and topics, then let a person decide from where to go on"
        yield problem("relay", f"the source is halted: {status.reason}", remedy)
    elif "owner" in status.unseen or status.lag is None:
        yield warning("relay", "this role may not see it", "look again as the relay's role")
    else:
        yield from _relayed(status, patient.long)


def _relayed(status: SourceStatus, long: float) -> Iterator[Finding]:
    assert status.lag is not None
    lag = "nothing waits"
    if status.lag.rows.number:
        lag = f"{status.lag.rows.of('row')} not sent, the oldest for {span(status.lag.seconds)}"
    old = status.lag.rows.number > 0 and status.lag.seconds > long
    if status.state == "owned" and status.owner is not None:
        owner = f"relay {status.owner.relay} owns the outbox"
        remedy = "see the relay's log and /health, and `onceward doctor --config` for Kafka"
        yield problem("relay", f"{owner}, but {lag}", remedy) if old else ok("relay", f"{owner}; {lag}")
    elif old:
        yield problem(
            "relay", f"no relay owns the outbox, and it grows: {lag}", "onceward relay run --config relay.toml"
        )
    else:
        yield warning("relay", f"no relay owns the outbox; {lag}", "onceward relay run --config relay.toml")
    if status.holding:
        yield problem("holds", status.holding.partition(":")[0], "onceward held list, then retry or skip")


BASIC: Sequence[Check] = (fitness, schema, role)
ONCEWARD: Sequence[Check] = (relay, server.vacuum)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
