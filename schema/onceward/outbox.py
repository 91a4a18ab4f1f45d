"""The outbox: `publish` writes a message in the transaction of the business change."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Column, Insert, LargeBinary, MetaData, Table, Text, Uuid, cast, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from onceward.errors import PublishError
from onceward.ids import uuid7
from onceward.messages import Key, Message, row_of

OUTBOX: Final = Table(
    "outbox",
    MetaData(schema="onceward"),
    Column("message_id", Uuid()),
    Column("topic", Text()),
    Column("key", LargeBinary()),
    Column("type", Text()),
    Column("payload", LargeBinary()),
    Column("headers", JSONB()),
)
"""The columns that a participant may write. The others are the database's."""
_IDS: Final = "onceward_message_ids"


def publish(
    event: BaseModel | bytes | None,
    *,
    topic: str,
    key: Key,
    type: str | None = None,  # noqa: A002 -- the field's name
    headers: Mapping[str, str] | None = None,
    message_id: UUID | None = None,
) -> Insert:
    """Return the statement that writes one message to the outbox, for any Session or Connection, synchronous or not.

    Messages of one (topic, key) reach Kafka in the order of their transactions if each is published AFTER the row that
    the key stands for was locked or changed: after `session.flush()`, after `SELECT ... FOR UPDATE`. (A Session flushes
    by itself before this statement from SQLAlchemy 2.1 on, unless autoflush is off.) Publishing first and then waiting
    for the lock inverts the order: the message of the transaction that waits stands before that of the other.

    Args:
        event: a model is sent as JSON, bytes as they are; None is a tombstone.
        topic: Kafka topic.
        key: what keeps its order, or UNORDERED.
        type: CloudEvents type; that of the model by default.
        headers: further Kafka headers.
        message_id: a UUIDv7 is made if none is given.

    Raises:
        PublishError: a field is not as the outbox takes it; the message names it.

    """
    row = row_of(Message(event, topic, key, type, headers, uuid7() if message_id is None else message_id))
    return insert(OUTBOX).values(row).execution_options(**{_IDS: (row["message_id"],)})


def publish_all(messages: Iterable[Message]) -> Insert:
    """Return the one statement that writes all `messages` to the outbox, in their order.

    What `publish` says of the order holds here for the rows of all their keys. PostgreSQL takes a statement of up to
    1 GB, and every message of it is in memory there at once: publish more than some 100 MB in parts.

    Raises:
        PublishError: there is none, or a field of one is not as the outbox takes it.

    """
    rows = _rows(messages)
    if not rows:
        raise PublishError("messages", "there is none to publish")
    # One array a column, so that the number of messages has no limit of bind parameters.
    arrays = [cast([row[column.name] for row in rows], ARRAY(column.type)) for column in OUTBOX.columns]
    unnested = func.unnest(*arrays).table_valued(*(column.name for column in OUTBOX.columns)).render_derived()
    statement = insert(OUTBOX).from_select(list(OUTBOX.columns.keys()), select(unnested))
    return statement.execution_options(**{_IDS: tuple(row["message_id"] for row in rows)})


def message_ids(statement: Insert) -> tuple[UUID, ...]:
    """Return the ids of the messages that a statement of `publish` or `publish_all` writes, in their order."""
    ids: tuple[UUID, ...] = statement.get_execution_options()[_IDS]
    return ids


def _rows(messages: Iterable[Message]) -> list[dict[str, object]]:
    rows = []
    for index, message in enumerate(messages):
        try:
            rows.append(row_of(message))
        except PublishError as error:
            error.add_note(f"in message {index} of the batch, counted from 0")
            raise
    return rows
