"""Examines the PostgreSQL server of a participant: what loses data, and what holds the outbox back."""

import time
from collections.abc import Callable, Iterator, Sequence

from onceward_relay.doctor.findings import Finding, ok, problem, size, span, warning
from onceward_relay.doctor.patient import Patient, literal, quoted

SKEW_WARNING, SKEW_PROBLEM = 1.0, 60.0
"""Seconds by which the clocks may differ."""
SLOT_KEEPS = 2**30
"""Bytes of WAL that a replication slot may keep."""
MOST_AGE = 1_000_000_000
"""Transactions since the last freeze: half of what PostgreSQL bears."""
FEW_DEAD = 10_000


def settings(patient: Patient) -> Iterator[Finding]:
    """Check settings that lose data or hold things up."""
    values: dict[str, str] = dict(patient.rows("settings"))
    off = [name for name in ("fsync", "full_page_writes") if values[name] == "off"]
    if off:
        remedy = "; ".join(f"ALTER SYSTEM SET {name} = on" for name in off)
        yield problem(
            "durability", f"{' and '.join(off)} off: a crash can destroy the database", f"{remedy}; then restart"
        )
    if values["synchronous_commit"] == "off":
        found = "synchronous_commit = off: a crash takes back what was committed last, outbox and business together"
        yield warning("durability", found, f"ALTER DATABASE {patient.database} SET synchronous_commit = on;")
    elif not off:
        yield ok("durability", f"fsync = on, synchronous_commit = {values['synchronous_commit']}")
    isolation = values["default_transaction_isolation"]
    if isolation == "read committed":
        yield ok("isolation", isolation)
    else:
        back = f"ALTER DATABASE {patient.database} SET default_transaction_isolation = 'read committed';"
        remedy = f"let services repeat what fails with 40001, or {back}"
        yield warning(
            "isolation", f"{isolation} by default: transactions that publish can fail and must be repeated", remedy
        )
    if values["idle_in_transaction_session_timeout"] == "0":
        found = "idle_in_transaction_session_timeout = 0: a forgotten transaction stays open for ever"
        remedy = f"ALTER DATABASE {patient.database} SET idle_in_transaction_session_timeout = '5min';"
        yield warning("idle transactions", found, remedy)
    else:
        yield ok("idle transactions", f"ended after {span(int(values['idle_in_transaction_session_timeout']) / 1000)}")
    if values["autovacuum"] == "off" or values["track_counts"] == "off":
        remedy = "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();"
        yield problem("autovacuum", "it is off: tables and indexes only grow, and statistics get stale", remedy)
    else:
        yield ok("autovacuum", "it is on")
    yield ok("wal_level", f"{values['wal_level']}; any will do, for no replication slot is used")


def prepared_transactions(patient: Patient) -> Iterator[Finding]:
    """Check for prepared transactions: nothing ends one by itself."""
    check = "prepared transactions"
    found = patient.rows("prepared")
    old = [(gid, age) for gid, age in found if age >= patient.long]
    for gid, age in old:
        text = f"{gid} has been prepared for {span(age)}: its messages wait, and vacuum cannot clean"
        yield problem(
            check, text, f"COMMIT PREPARED {literal(gid)}; or ROLLBACK PREPARED {literal(gid)}; ask whose it is"
        )
    if not old:
        most = dict(patient.rows("settings"))["max_prepared_transactions"]
        yield ok(check, f"max_prepared_transactions = {most}; {len(found)} open, none of them old")


def open_transactions(patient: Patient) -> Iterator[Finding]:
    """Check the oldest transactions: a writer's messages wait for it, and a snapshot keeps vacuum from cleaning."""
    check = "open transactions"
    found = [row for row in patient.rows("transactions") if row[4] >= patient.long]
    for pid, user, program, state, age, writes in found:
        what = "its messages wait, and vacuum cannot clean" if writes else "its snapshot keeps vacuum from cleaning"
        who = f"process {pid} of {user} {program}".rstrip()
        yield problem(
            check,
            f"{who} ({state}) is in a transaction for {span(age)}: {what}",
            f"SELECT pg_terminate_backend({pid});",
        )
    if not patient.row("sees_others")[0]:
        remedy = f"GRANT pg_read_all_stats TO {patient.user}; or look again as a superuser"
        yield warning(check, "this role does not see what other roles' sessions do", remedy)
    elif not found:
        yield ok(check, f"none is older than {span(patient.long)}")


def replication_slots(patient: Patient) -> Iterator[Finding]:
    """Check for slots whose WAL fills the disk. Onceward has none: they are others'."""
    check = "replication slots"
    found = patient.rows("slots")
    bad = [row for row in found if not row[1] or row[3] > SLOT_KEEPS or row[2] == "lost"]
    for name, active, wal_status, kept in bad:
        state = f"{'active' if active else 'not in use'}, {wal_status or 'no WAL reserved'}, keeps {size(kept)} of WAL"
        remedy = (
            f"start what reads it, or SELECT pg_drop_replication_slot({literal(name)}); and set max_slot_wal_keep_size"
        )
        level = problem if kept > SLOT_KEEPS and not active else warning
        yield level(check, f"{name}: {state}", remedy)
    if not bad:
        yield ok(check, f"{len(found)}, none of them behind")


def vacuum(patient: Patient) -> Iterator[Finding]:
    """Check whether onceward's tables are cleaned."""
    found = patient.rows("vacuum")
    for table, off, live, dead in found:
        name = f"onceward.{quoted(table)}"
        if off:
            yield warning("vacuum", f"autovacuum is off for {table}", f"ALTER TABLE {name} RESET (autovacuum_enabled);")
        if dead > FEW_DEAD and dead > live:
            yield warning("vacuum", f"{table} holds {dead:,} dead rows beside {live:,}", f"VACUUM {name};")
    if not any(off or (dead > FEW_DEAD and dead > live) for _, off, live, dead in found):
        yield ok("vacuum", "autovacuum keeps up with the tables of onceward")


def disk(patient: Patient) -> Iterator[Finding]:
    """Show what onceward takes, to be seen growing."""
    found = patient.rows("sizes")
    if not found:
        return
    tables = ", ".join(f"{name} {size(taken)}" for _, name, taken in found)
    yield ok("disk", f"database {size(found[0][0])}; largest of onceward: {tables}")


def connections(patient: Patient) -> Iterator[Finding]:
    """Check how much is left of the tightest limit on connections."""
    used, most, here, here_most, own, own_most = patient.row("connections")
    limits = [(used, most, "max_connections"), (here, here_most, "the database's CONNECTION LIMIT")]
    limits.append((own, own_most, "the role's CONNECTION LIMIT"))
    count, limit, name = max((each for each in limits if each[1] > 0), key=lambda each: each[0] / each[1])
    text = f"{count} of {limit} connections are in use ({name})"
    remedy = f"close idle connections, put a pooler before the services, or raise {name}"
    if count >= limit * 0.95:
        yield problem("connections", text, remedy)
    elif count >= limit * 0.8:
        yield warning("connections", text, remedy)
    else:
        yield ok("connections", text)


def clock(patient: Patient) -> Iterator[Finding]:
    """Check the server's clock against this machine's, as far as the way there lets one see."""
    before = time.time()
    there = patient.row("clock")[0]
    after = time.time()
    skew = max(0.0, before - there, there - after)
    text = f"the server's clock is {'behind' if there < before else 'ahead of'} this machine's by {skew:.1f} s"
    remedy = "run an NTP client (chrony) on both machines"
    if skew > SKEW_PROBLEM:
        yield problem("clock", text, remedy)
    elif skew > SKEW_WARNING:
        yield warning("clock", text, remedy)
    else:
        yield ok("clock", f"agrees with this machine's within {max(after - before, skew):.2f} s")


def transaction_ids(patient: Patient) -> Iterator[Finding]:
    """Check how far the database is from running out of transaction ids."""
    age = patient.row("wraparound")[0]
    text = f"last frozen {age:,} transactions ago"
    if age > MOST_AGE:
        yield problem("transaction ids", text, "end what holds vacuum back, then VACUUM (FREEZE) as a superuser")
    else:
        yield ok("transaction ids", text)


CHECKS: Sequence[Callable[[Patient], Iterator[Finding]]] = (
    settings, open_transactions, prepared_transactions, replication_slots, connections, clock, transaction_ids, disk,
)  # fmt: skip
