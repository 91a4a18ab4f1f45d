"""What is kept of a campaign that found something: tables and topics, beside the logs."""

from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.campaign.stage import SourceDatabase, Stage

TABLES = {
    "outbox": "SELECT id, xid, slot, message_id, topic, convert_from(key, 'UTF8') AS key, created_at FROM onceward.outbox ORDER BY id",
    "checkpoint": "SELECT * FROM onceward.checkpoint ORDER BY epoch, seq",
    "ownership": "SELECT * FROM onceward.ownership ORDER BY epoch",
    "hold": "SELECT * FROM onceward.hold",
    "held_message": "SELECT id, hold_id, message_id, topic, convert_from(key, 'UTF8') AS key, state, error FROM onceward.held_message ORDER BY id",
    "inbox": "SELECT * FROM onceward.inbox ORDER BY received_at",
    "inbox_parked": 'SELECT seq, consumer, message_id, topic, partition, "offset", error, attempts, next_try FROM onceward.inbox_parked ORDER BY seq',
    "published": "SELECT * FROM published ORDER BY message_id",
    "incident": "SELECT * FROM onceward.incident",
    "flow": "SELECT * FROM onceward.flow ORDER BY created_at",
    "flow_step": "SELECT * FROM onceward.flow_step ORDER BY flow_id, seq",
    "call": "SELECT * FROM onceward.call ORDER BY created_at",
    "attempt": "SELECT * FROM onceward.attempt ORDER BY began_at",
}


def keep(stage: Stage) -> None:
    """Write tables, topics and the servers' logs into the campaign's folder."""
    for source in stage.sources.values():
        with suppress(psycopg.Error):
            _tables(stage, source)
        for topic in (source.topic, *source.late):
            _topic(stage, topic.name, stage.folder / f"{topic.name}.txt")
    stage.keep_logs()


def _tables(stage: Stage, source: SourceDatabase) -> None:
    with stage.connect(source) as connection, connection.cursor() as cursor:
        for name, query in TABLES.items():
            command = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, HEADER)").format(sql.SQL(query))
            with cursor.copy(command) as copy, (stage.folder / f"{source.name}.{name}.csv").open("wb") as file:
                file.writelines(copy)


def _topic(stage: Stage, topic: str, path: Path) -> None:
    lines = [
        f"{record.partition()} {record.offset()} {record.timestamp()[1]} {record.key()!r} {record.value()!r} {dict(record.headers() or ())['ce_id']!r}"
        for record in stage.kafka.records(topic)
    ]
    path.write_text("\n".join(lines))
