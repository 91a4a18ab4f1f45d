"""What cannot be handled is set aside with its error; its key waits in order, other keys flow."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from onceward.inbox import Record
from tests.consumer.support import AT_ONCE, Books, Paid, failing, record


def test_a_poison_message_holds_its_key_and_no_other(books: Books) -> None:
    books.before = failing(1)
    books.take(record(0, key=b"a"), record(1, key=b"a"), record(2, key=b"b"), record(3, key=b"a"), record(4, key=b"b"))
    assert books.paid == [0, 2, 4]
    assert books.parked == [(1, "parked"), (3, "held")]
    assert books.states == {"done": 3, "parked": 1, "held": 1}
    assert books.holds == [b"a"]
    assert books.incidents == 1


def test_later_batches_line_up_too(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0))
    books.before = failing()
    books.take(*(record(n) for n in range(1, 6)), record(6, key=b"other"))
    books.take(record(7))
    assert books.paid == [6]
    assert books.parked == [(0, "parked"), *((n, "held") for n in (1, 2, 3, 4, 5, 7))]


def test_what_is_set_aside_is_a_full_copy(books: Books) -> None:
    books.before = failing(1)
    poison = record(1, key=b"\xff\x00", extension="ä", message_id="f47ac10b-58cc-4372-a567-0e02b2c3d479")
    books.take(poison)
    [row] = books.rows(
        'SELECT message_id, topic, partition, "offset", key, payload, record_time, headers, attempts, error,'
        " next_try IS NOT NULL FROM onceward.inbox_parked"
    )
    assert row[:7] == (
        UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479"), "payments", 0, 1, b"\xff\x00", poison.value, poison.time
    )  # fmt: skip
    assert [name for name, _ in row[7]] == [name for name, _ in poison.headers or ()]
    assert row[8] == 1
    assert row[9].startswith("RuntimeError: no\n")
    assert "in before" in row[9]
    assert row[10]


def test_messages_without_key_hold_nobody(books: Books) -> None:
    books.before = failing(0, 2)
    books.take(*(record(n, key=None) for n in range(4)))
    assert books.paid == [1, 3]
    assert books.holds == []
    assert books.parked == [(0, "parked"), (2, "parked")]


def test_an_empty_key_is_a_key(books: Books) -> None:
    books.before = failing(0)
    books.take(record(0, key=b""), record(1, key=b""), record(2, key=None))
    assert books.paid == [2]
    assert books.holds == [b""]


def test_a_key_longer_than_an_index_entry_is_held(books: Books) -> None:
    books.before = failing(0)
    key = bytes(range(256)) * 4096
    books.take(record(0, key=key), record(1, key=key))
    assert books.paid == []
    assert books.parked == [(0, "parked"), (1, "held")]


def test_a_delivery_again_of_what_is_set_aside_changes_nothing(books: Books) -> None:
    books.before = failing(0)
    records = [record(0), record(1), record(2, id=None), record(3, key=b"other")]
    books.take(*records)
    books.take(*records)
    assert books.parked == [(0, "parked"), (1, "held"), (2, "parked")]
    assert books.paid == [3]
    assert books.incidents == 2
    assert (books.inbox.counts.parked, books.inbox.counts.unreadable) == (1, 1)


def test_the_same_id_with_another_content_is_parked_and_alarmed(books: Books) -> None:
    message_id = uuid4()
    books.take(record(0, message_id=message_id))
    books.take(record(1, message_id=message_id), record(2), record(3, key=b"other"))
    assert books.paid == [0, 3]
    assert books.parked == [(1, "parked"), (2, "held")]
    assert books.errors[0].startswith("IdReused: another message with its id was taken before")
    assert books.rows("SELECT message_id FROM onceward.incident") == [message_id]
    assert books.rows("SELECT next_try FROM onceward.inbox_parked") == [None, None], "only a person can settle it"
    assert books.inbox.counts.id_reused == 1


def test_the_same_id_with_another_content_in_one_batch_is_found_too(books: Books) -> None:
    message_id = uuid4()
    books.take(record(0, message_id=message_id), record(1, message_id=message_id))
    assert books.paid == [0]
    assert books.parked == [(1, "parked")]


@pytest.mark.parametrize(
    "other",
    [{"key": b"other"}, {"type": "Refunded"}, {"value": b'{"number": 0 }'}],
    ids=lambda other: next(iter(other)),
)
def test_key_type_and_payload_belong_to_the_content(books: Books, other: dict[str, Any]) -> None:
    books.participant.on("payments", Paid, type="Refunded")(books.pay)
    message_id = uuid4()
    books.take(record(0, message_id=message_id))
    books.take(record(1, 0, message_id=message_id, **other))
    assert books.paid == [0]
    assert books.inbox.counts.id_reused == 1


def test_at_another_place_the_same_message_is_the_same(books: Books) -> None:
    """A relay that sends again: another offset, another timestamp, other headers."""
    message_id = uuid4()
    books.take(record(0, message_id=message_id))
    books.take(record(7, 0, message_id=message_id, traceparent="00-1-1-01"))
    assert books.paid == [0]
    assert books.inbox.counts.duplicate == 1


DEEP = b'{"number": 1, "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"", "payload: Invalid JSON"),
        (b"{", "payload: Invalid JSON"),
        (b"[]", "payload: "),
        (b'{"number": "x"}', "number: "),
        (b"{}", "number: Field required"),
        (b'{"number": NaN}', "number: "),
        (b'{"number": 1e400}', "number: "),
        (b'{"number": ' + b"9" * 5000 + b"}", "payload: Invalid JSON: number out of range"),
        (b'{"number": 1, "note": "\xff"}', "payload: Invalid JSON"),
        (b'{"number": 1, "note": "\\ud800"}', "payload: Invalid JSON"),
        (DEEP, "payload: Invalid JSON"),
    ],
    ids=["empty", "cut", "array", "type", "missing", "nan", "1e400", "huge", "utf8", "surrogate", "deep"],
)
def test_a_payload_that_its_model_refuses_is_parked_at_once(books: Books, value: bytes, names: str) -> None:
    books.take(record(0, value=value), record(1), record(2, key=b"other"))
    assert books.paid == [2]
    assert books.parked == [(0, "parked"), (1, "held")]
    assert books.errors[0].startswith(f"ValidationError: {names}")
    assert books.inbox.counts.database_errors == 0


def test_duplicate_members_are_taken_as_pydantic_takes_them(books: Books) -> None:
    books.take(record(0, value=b'{"number": 1, "number": 2}'))
    assert books.paid == [2]


def test_a_tombstone_is_none_of_a_models_payloads(books: Books) -> None:
    plain = record(0)
    books.take(Record(plain.topic, 0, 0, plain.key, None, plain.headers, plain.time))
    assert books.errors[0].startswith("ValueError: payload: is missing")


ODD_HEADERS = [("ce_specversion", None), ("\0", b"\xff"), ("", b""), ("\ud800", b"")]


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        (record(0, id=None), "ce_id: is missing"),
        (record(0, message_id=" " * 256), "ce_id: has 256 characters"),
        (record(0, source=None), "ce_source: is missing"),
        (record(0, type=None), "ce_type: is missing"),
        (record(0, specversion="0.3"), "ce_specversion: is '0.3'"),
        (record(0, message_id="ffffffff-ffff-7fff-bfff-ffffffffffff"), "ce_id: is a UUIDv7"),
        (Record("payments", 0, 0, b"k", b"hello", (), None), "ce_specversion: is missing"),
        (Record("payments", 0, 0, b"k", b"", ODD_HEADERS, None), "ce_specversion: "),
    ],
    ids=["no id", "long id", "no source", "no type", "version", "forged", "no headers", "odd headers"],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_parked_by_its_place_and_holds_its_key(
    books: Books, bad: Record, names: str
) -> None:
    books.take(bad, record(1), record(2, key=b"other"))
    assert books.paid == [2]
    assert books.parked == [(0, "parked"), (1, "held")]
    assert books.errors[0].startswith(f"UnreadableMessage: {names}")
    assert books.incidents == 1
    assert books.inbox.counts.unreadable == 1
    assert books.rows("SELECT message_id FROM onceward.inbox_parked ORDER BY seq LIMIT 1") == [None]


def test_a_record_that_cannot_be_read_and_has_no_key_holds_nobody(books: Books) -> None:
    books.take(record(0, key=None, id=None), record(1, key=None), record(2))
    assert books.paid == [1, 2]


def test_a_topic_made_anew_loses_nothing_at_the_offsets_of_the_old_one(books: Books) -> None:
    books.before = failing(0, 100)
    books.take(record(0, key=b"a"))
    books.take(record(0, 100, key=b"b"))
    books.take(record(0, key=b"c", id=None))
    assert books.parked == [(0, "parked")] * 3


def test_errors_are_stored_whatever_they_say(books: Books) -> None:
    books.before = failing(0, error=lambda: ValueError("nul \0 and \ud800 and 10 MB " + "x" * 10_000_000))
    books.take(record(0))
    assert books.errors[0].startswith("ValueError: nul \\0 and \\ud800")


def test_a_poison_message_whose_key_is_held_by_now_lines_up(books: Books) -> None:
    """Another partition's message with the same key was parked while this one's handler ran."""

    def before(session: Session, event: Paid) -> None:
        with books.admin.begin() as connection:
            connection.execute(
                text("INSERT INTO onceward.inbox_hold (consumer, topic, key) VALUES ('books', 'payments', 'k')")
            )
        raise RuntimeError

    books.before = before
    books.take(record(0))
    assert books.parked == [(0, "held")]
    assert books.states == {"held": 1}


def test_a_deadlock_is_tried_again(books: Books) -> None:
    tries = []

    def before(session: Session, event: Paid) -> None:
        tries.append(event.number)
        if len(tries) < 4:
            session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$"))

    books.before = before
    books.take(record(0))
    assert (books.paid, len(tries)) == ([0], 4)
    assert books.inbox.counts.database_errors == 3


def test_a_fault_wrapped_by_the_handler_is_still_one_that_passes(books: Books) -> None:
    tries = []

    def before(session: Session, event: Paid) -> None:
        tries.append(event.number)
        if len(tries) == 1:
            try:
                session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40001'; END $$"))
            except DBAPIError as error:
                raise LookupError from error

    books.before = before
    books.take(record(0))
    assert books.paid == [0]


def test_a_deadlock_that_never_ends_is_parked(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward.inbox.taking.WAITS", AT_ONCE)
    tries = []

    def before(session: Session, event: Paid) -> None:
        tries.append(event.number)
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$"))

    books.before = before
    books.take(record(0), record(1, key=b"other"))
    assert books.parked == [(0, "parked"), (1, "parked")]
    assert books.errors[0].startswith("OperationalError: as if")


def test_a_deferred_constraint_that_fails_at_commit_is_the_handlers_fault(books: Books) -> None:
    with books.admin.begin() as connection:
        connection.execute(text("ALTER TABLE paid ADD CONSTRAINT once UNIQUE (number) DEFERRABLE INITIALLY DEFERRED"))
    books.take(record(0, 5, key=b"a"))
    books.take(record(1, 5, key=b"b"), record(2, key=b"c"))
    assert books.paid == [5, 2]
    assert books.parked == [(1, "parked")]
    assert books.errors[0].startswith("IntegrityError: duplicate key value")


def test_a_connection_lost_in_a_handler_is_tried_again(books: Books) -> None:
    tries = []

    def before(session: Session, event: Paid) -> None:
        tries.append(event.number)
        if len(tries) == 1:
            with books.admin.connect() as connection:
                connection.execute(
                    text("SELECT pg_terminate_backend(:pid)"), {"pid": session.scalar(text("SELECT pg_backend_pid()"))}
                )

    books.before = before
    books.take(record(0))
    assert (books.paid, len(tries)) == ([0], 2)


def test_headers_come_back_from_the_copy_as_they_were(books: Books) -> None:
    books.before = failing(0)
    odd = record(0)
    odd = Record(
        odd.topic,
        0,
        0,
        odd.key,
        odd.value,
        [*(odd.headers or ()), ("x", None), ("x", b"\x00\xff"), ("", b"")],
        odd.time,
    )
    books.take(odd)
    [headers] = books.rows("SELECT headers::text FROM onceward.inbox_parked")
    assert json.loads(headers)[-3:] == [["x", None], ["x", "AP8="], ["", ""]]
