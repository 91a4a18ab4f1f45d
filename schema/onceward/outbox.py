"""The outbox: `publish` writes a message in the transaction of the business change."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Column, Insert, LargeBinary, MetaData, Table, Text, Uuid, cast, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from onceward.errors import PublishError
from onceward.ids import uuid7
from onceward.messages import Key, Message, row_of

OUTBOX = Table(
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

    Messages of one (topic, key) reach Kafka in the order of their transactions if each is published after the row that
    the key stands for was locked or changed. Publishing first and then waiting for the lock inverts the order.

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
    message = Message(event, topic, key, type, headers or {}, uuid7() if message_id is None else message_id)
    return insert(OUTBOX).values(row_of(message))


def publish_all(messages: Iterable[Message]) -> Insert:
    """Return the one statement that writes all `messages` to the outbox, in their order.

    Raises:
        PublishError: there is none, or a field of one is not as the outbox takes it.

    """
    rows = [row_of(message) for message in messages]
    if not rows:
        raise PublishError("messages", "there is none to publish")
    # One array a column, so that the number of messages has no limit of bind parameters.
    arrays = [cast([row[column.name] for row in rows], ARRAY(column.type)) for column in OUTBOX.columns]
    unnested = func.unnest(*arrays).table_valued(*(column.name for column in OUTBOX.columns)).render_derived()
    return insert(OUTBOX).from_select(list(OUTBOX.columns.keys()), select(unnested))
