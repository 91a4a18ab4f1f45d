"""Messages that were set aside, written as the database's superuser."""

from typing import Any
from uuid import UUID, uuid4

from tests.people.desk import Desk

SECRET = b'{"iban": "AT61"}'
TABLES = ("held_message", "hold", "inbox_parked", "inbox_hold", "inbox", "checkpoint", "ownership", "outbox", "worker")


def clear(desk: Desk) -> None:
    """Leave nothing set aside."""
    for name in TABLES:
        desk.owner.execute(f"DELETE FROM onceward.{name}".encode())


def park(
    desk: Desk, *, key: bytes | None = b"order-7", state: str = "parked", attempts: int = 1, **columns: Any
) -> int:
    """Set an incoming message aside, with its key and what the inbox knows of it; return its number."""
    row: dict[str, Any] = {
        "consumer": "shop", "message_id": uuid4(), "topic": "orders", "partition": 0, "key": key, "payload": SECRET,
        "state": state, "attempts": attempts, "error": "ValueError: no such item\n  in reserve",
        "offset": desk.one("SELECT count(*) + 17 AS n FROM onceward.inbox_parked")["n"], **columns,
    }  # fmt: skip
    if key is not None:
        desk.owner.execute(
            "INSERT INTO onceward.inbox_hold (consumer, topic, key) VALUES (%(consumer)s, %(topic)s, %(key)s) ON CONFLICT DO NOTHING",
            row,
        )
    if attempts or state == "held":
        desk.owner.execute(
            "INSERT INTO onceward.inbox (consumer, message_id, digest, state) VALUES (%(consumer)s, %(message_id)s, sha256('x'), %(state)s)",
            row,
        )
    return int(
        desk.one(
            """INSERT INTO onceward.inbox_parked (consumer, message_id, topic, partition, "offset", key, payload, headers, record_hash, state, error, attempts, next_try)
               VALUES (%(consumer)s, %(message_id)s, %(topic)s, %(partition)s, %(offset)s, %(key)s, %(payload)s, '[]', sha256('x'), %(state)s, %(error)s, %(attempts)s,
                       CASE WHEN %(attempts)s > 0 THEN now() + interval '1 hour' END) RETURNING seq""",
            **row,
        )["seq"]
    )


def hold(desk: Desk, *, topic: str = "orders", key: bytes | None = b"order-7", reason: str = "too large") -> UUID:
    """Hold a key, or with none a topic."""
    scope = "topic" if key is None else "key"
    found: UUID = desk.one(
        "INSERT INTO onceward.hold (scope, topic, key, reason, actor) VALUES (%(scope)s, %(topic)s, %(key)s, %(reason)s, 'relay-1') RETURNING hold_id",
        scope=scope, topic=topic, key=key, reason=reason,
    )["hold_id"]  # fmt: skip
    return found


def hold_back(
    desk: Desk, held_by: UUID | None = None, *, key: bytes | None = None, state: str = "poison"
) -> tuple[int, UUID]:
    """Set an outgoing message aside; return its number and its id."""
    row = desk.one(
        """INSERT INTO onceward.held_message (id, hold_id, state, error, message_id, topic, key, type, payload, headers, created_at)
           SELECT coalesce(max(id), 0) + 1, %(hold)s, %(state)s, 'MSG_SIZE_TOO_LARGE', gen_random_uuid(), 'orders', %(key)s, 'order.placed', %(payload)s, '{}', now()
             FROM onceward.held_message RETURNING id, message_id""",
        hold=held_by, state=state, key=key, payload=SECRET,
    )  # fmt: skip
    return int(row["id"]), row["message_id"]
