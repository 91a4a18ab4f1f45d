"""What people do with messages that were set aside: handle an incoming one again, leave it out, see what it holds."""

from uuid import uuid4

import psycopg
import pytest

from tests.console.set_aside import SECRET, clear, hold, hold_back, park
from tests.people.desk import Desk

WHY = {"actor": "ada", "reason": "the item is there now"}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    clear(desk)
    return desk


def seqs(desk: Desk) -> list[int]:
    return [row["seq"] for row in desk.all("SELECT seq FROM onceward.inbox_parked ORDER BY seq")]


def is_due(desk: Desk, seq: int) -> bool:
    query = (
        "SELECT coalesce(next_try <= clock_timestamp(), false) AS due FROM onceward.inbox_parked WHERE seq = %(seq)s"
    )
    return bool(desk.one(query, seq=seq)["due"])


def test_a_parked_message_is_handled_again_when_a_person_says_so(desk: Desk) -> None:
    seq = park(desk)
    assert not is_due(desk, seq)
    desk.do("retry_parked", message=seq, **WHY)
    assert is_due(desk, seq)
    assert desk.audit() == [("ada", "message.retry", "message")]
    entry = desk.one("SELECT * FROM onceward.audit")
    assert entry["body"]["payload_sha256"] == desk.one("SELECT encode(sha256(%(p)s), 'hex') AS h", p=SECRET)["h"]


def test_a_message_that_only_waits_or_can_not_be_taken_is_not_handled_again(desk: Desk) -> None:
    first = park(desk)
    behind = park(desk, state="held", attempts=0)
    other = park(desk, attempts=2)
    unreadable = park(desk, key=None, message_id=None, attempts=0)
    reused = park(desk, key=None, attempts=0)
    for seq, why in (
        (behind, "it waits behind another one"),
        (other, f"message {first} of its key comes first"),
        (unreadable, "it cannot be read"),
        (reused, "another one with its id was taken before"),
    ):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=why):
            desk.do("retry_parked", message=seq, **WHY)
        assert not is_due(desk, seq)
    with pytest.raises(psycopg.errors.NoDataFound):
        desk.do("retry_parked", message=10**9, **WHY)
    assert desk.audit() == []


def test_what_is_left_out_is_gone_and_the_next_of_its_key_goes_on(desk: Desk) -> None:
    message = uuid4()
    first, behind = park(desk, message_id=message), park(desk, state="held", attempts=0)
    desk.incident("parked_in", message_id=message, grp="orders/ValueError")
    row = desk.do("discard_parked", message=first, **WHY)
    assert row["discard_parked"] == behind
    assert seqs(desk) == [behind]
    assert is_due(desk, behind)
    states = desk.all("SELECT state FROM onceward.inbox WHERE message_id = %(id)s", id=message)
    assert [each["state"] for each in states] == ["skipped"]
    assert desk.one("SELECT closed_by FROM onceward.incident")["closed_by"] == "ada"
    assert desk.audit() == [("ada", "message.discard", "message")]


def test_the_last_of_a_key_frees_it(desk: Desk) -> None:
    desk.do("discard_parked", message=park(desk), **WHY)
    assert desk.all("SELECT FROM onceward.inbox_hold") == []


def test_a_message_that_failed_itself_does_not_go_on_with_the_one_before(desk: Desk) -> None:
    first, second = park(desk), park(desk, message_id=None, attempts=0)
    desk.do("discard_parked", message=first, **WHY)
    assert seqs(desk) == [second]
    assert not is_due(desk, second)
    assert len(desk.all("SELECT FROM onceward.inbox_hold")) == 1


def test_one_that_is_left_out_in_the_middle_lets_nothing_overtake(desk: Desk) -> None:
    first, second, third = park(desk), park(desk), park(desk, state="held", attempts=0)
    desk.do("discard_parked", message=second, **WHY)
    assert seqs(desk) == [first, third]
    assert not is_due(desk, first)
    assert not is_due(desk, third)


def test_one_whose_id_was_taken_before_leaves_the_other_as_it_is(desk: Desk) -> None:
    taken = uuid4()
    desk.owner.execute(
        "INSERT INTO onceward.inbox (consumer, message_id, digest) VALUES ('shop', %s, sha256('y'))", (taken,)
    )
    desk.do("discard_parked", message=park(desk, message_id=taken, attempts=0), **WHY)
    assert desk.one("SELECT state FROM onceward.inbox WHERE message_id = %(id)s", id=taken)["state"] == "done"


def test_the_incident_of_one_that_cannot_be_read_is_found_by_its_place(desk: Desk) -> None:
    seq = park(desk, key=None, message_id=None, attempts=0, offset=40)
    for offset in (4, 40):
        title = f"The message at orders[0]@{offset} was set aside: UnreadableMessage"
        desk.incident("parked_in", message_id=uuid4(), grp="orders/UnreadableMessage", title=title)
    desk.do("discard_parked", message=seq, **WHY)
    open_ = desk.all("SELECT title FROM onceward.incident WHERE closed_at IS NULL")
    assert [row["title"] for row in open_] == ["The message at orders[0]@4 was set aside: UnreadableMessage"]


def test_a_message_that_is_being_handled_is_left_alone(desk: Desk) -> None:
    seq = park(desk)
    with psycopg.connect(desk.database.url) as consumer:
        consumer.execute("SELECT FROM onceward.inbox_hold FOR UPDATE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            desk.do("discard_parked", message=seq, **WHY)
    assert seqs(desk) == [seq]


def test_contents_are_read_by_revealing_alone(desk: Desk) -> None:
    seq = park(desk)
    number, message = hold_back(desk, hold(desk), key=b"order-7")
    for table in ("inbox_parked", "held_message"):
        for columns in ("payload", "headers", "*"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                desk.console.execute(f"SELECT {columns} FROM onceward.{table}".encode())
        [shown] = desk.console.execute(f"SELECT * FROM onceward.{table}_shown".encode()).fetchall()
        assert shown["bytes"] == len(SECRET)
        assert SECRET not in [bytes(value) for value in shown.values() if isinstance(value, bytes | memoryview)]
    for kind, which in (("parked", seq), ("held", number)):
        query = "SELECT * FROM onceward.reveal_message(%s, %s, 'ada', 'the client asks')"
        parts = {row["what"]: bytes(row["content"]) for row in desk.console.execute(query, (kind, which)).fetchall()}
        assert parts["payload"] == SECRET
        assert "headers" in parts
    assert desk.audit() == [("ada", "message.reveal", "message")] * 2
    assert desk.one("SELECT subject FROM onceward.audit ORDER BY no DESC LIMIT 1")["subject"] == str(message)
    for kind, which, error in (("parked", 10**9, "P0002"), ("any", seq, "22023")):
        with pytest.raises(psycopg.Error) as raised:
            desk.do("reveal_message", kind=kind, message=which, **WHY)
        assert raised.value.sqlstate == error
    with pytest.raises(psycopg.errors.CheckViolation, match="reason: say why"):
        desk.do("reveal_message", kind="parked", message=seq, actor="ada", reason=" ")
