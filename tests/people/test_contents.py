"""Personal data: masked, revealed to who says why, purged when they are not needed any more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from onceward.errors import KeyConflict, Purged
from onceward.ledger import Ledger
from tests.ledger.bank import Bank, Pay, provider_of
from tests.people.desk import Desk

PAST = datetime.now(UTC) - timedelta(minutes=30)


def purge(desk: Desk, before: datetime = PAST, **more: Any) -> dict[str, int]:
    row = desk.do("purge_personal_data", before=before, actor="ada", reason="kept long enough", **more)
    done: dict[str, int] = row["purge_personal_data"]
    return done


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (b'{"amount": "5", "name": "Ada"}', {"amount": "5", "name": "***"}),
        (b'{"reference": {"name": "Ada"}}', {"reference": {"name": "Ada"}}),
        (b'["Ada"]', "***"),
        (b"null", None),
        (b'{"name": "\\u0000"}', "***"),
        (b"\xff", "***"),
        (b"[" * 100_000, "***"),
        (b'{"amount": 1e999999}', "***"),
    ],
)  # fmt: skip
def test_only_the_fields_that_an_operation_allows_are_shown(desk: Desk, request_: bytes, shown: object) -> None:
    call = desk.call(request=request_)
    row = desk.console.execute("SELECT request FROM onceward.call_shown WHERE id = %s", (call,)).fetchone()
    assert row == {"request": shown}


def test_people_cannot_read_contents_past_the_views(desk: Desk) -> None:
    desk.call()
    for query in (
        "SELECT request FROM onceward.call",
        "SELECT * FROM onceward.call",
        "SELECT body FROM onceward.resolution",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.console.execute(query.encode())


def test_contents_are_revealed_and_the_audit_says_to_whom_and_why(desk: Desk) -> None:
    call = desk.call("succeeded")
    desk.evidence(call, body=b"\xff scan")
    desk.propose("refund", call, amount="5", body={"request": {"name": "Ada"}})
    query = "SELECT * FROM onceward.reveal(%s, 'bob', 'the client asks')"
    rows = {row["what"].split()[0]: bytes(row["content"]) for row in desk.console.execute(query, (call,)).fetchall()}
    assert rows["request"] == b'{"amount": "100", "name": "Ada"}'
    assert rows["evidence"] == b"\xff scan"
    assert b"Ada" in rows["decision"]
    assert desk.audit()[-1] == ("bob", "call.reveal", "call")
    with pytest.raises(psycopg.errors.CheckViolation, match="reason: say why"):
        desk.do("reveal", call=call, actor="bob", reason=" ")


def ended_flow(desk: Desk) -> tuple[Any, Any]:
    flow = desk.flow("completed", input=b'{"name": "Ada"}')
    call = desk.call("succeeded", flow_id=flow, difference="Ada, not Bob")
    desk.owner.execute(
        "INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, send_by, ended_at, verdict, answer, detail) VALUES (%s, 1, 'send', 1, 'w', 's', now(), now(), 'applied', 'Ada', 'Ada')",
        (call,),
    )
    desk.owner.execute(
        "INSERT INTO onceward.flow_step (flow_id, step, seq, kind, fingerprint, result) VALUES (%s, 'who', 2, 'value', %s, %s)",
        (flow, bytes(32), Jsonb("Ada")),
    )
    desk.owner.execute(
        "INSERT INTO onceward.signal (flow_name, flow_key, type, message_id, topic, body) VALUES ('transfers', %s, 't', gen_random_uuid(), 'x', 'Ada')",
        (str(flow),),
    )
    return flow, call


def write_signal(desk: Desk, key: str, *, arrived: timedelta = timedelta(hours=1)) -> None:
    desk.owner.execute(
        "INSERT INTO onceward.signal (flow_name, flow_key, type, message_id, topic, body, arrived_at, noticed, flowless)"
        " VALUES ('transfers', %s, 't', gen_random_uuid(), 'x', 'Ada', now() - %s, true, true)",
        (key, arrived),
    )


def test_a_purge_empties_messages_whose_flow_never_came_and_no_flow_gets_them_any_more(desk: Desk) -> None:
    write_signal(desk, "nobody's")
    flow, _ = ended_flow(desk)
    purge(desk)
    write_signal(desk, str(flow))  # too late, and its flow is purged already
    assert purge(desk)["messages"] == 1
    assert {
        (row["flow_key"], bytes(row["body"]), row["taken_by"]) for row in desk.all("SELECT * FROM onceward.signal")
    } == {
        ("nobody's", b"", "purge"),
        (str(flow), b"", "purge"),
        (str(flow), b"", None),
    }


def test_a_purge_removes_contents_and_keeps_what_proves_them(desk: Desk) -> None:
    flow, call = ended_flow(desk)
    desk.owner.execute("UPDATE onceward.call SET difference_accepted_at = now()")
    alone = desk.call("failed", error_text="Ada has no funds")
    desk.evidence(call, body=b"Ada")
    undone = desk.flow("undone", undoing=True, undo_reason="Ada has no funds")
    withdrawn = desk.propose("refund", call, amount="5", body={"request": {"name": "Ada"}})
    desk.do("withdraw", id=withdrawn["id"], actor="ada", reason="a mistake")
    assert purge(desk) == {"flows": 2, "messages": 0, "calls": 2, "attempts": 1, "evidence": 1, "decisions": 1}
    for table in ("call", "attempt", "flow", "flow_step", "signal", "evidence", "resolution"):
        for row in desk.all(f"SELECT t::text AS text FROM onceward.{table} t"):
            assert "Ada" not in row["text"], table
            assert b"Ada".hex() not in row["text"], table
    kept = desk.one("SELECT fingerprint, amount, state, provider_ref FROM onceward.call WHERE id = %(id)s", id=call)
    assert (len(kept["fingerprint"]), kept["amount"], kept["state"], kept["provider_ref"]) == (
        32,
        100,
        "succeeded",
        "r-1",
    )
    assert desk.one("SELECT octet_length(body_sha256) AS n FROM onceward.evidence") == {"n": 32}
    assert desk.one("SELECT octet_length(answer_sha256) AS n FROM onceward.attempt") == {"n": 32}
    [entry] = desk.all("SELECT body FROM onceward.audit WHERE action = 'data.purge'")
    assert (entry["body"]["flows"], entry["body"]["calls"]) == (2, 2)
    assert desk.one("SELECT undoing, undo_reason FROM onceward.flow WHERE id = %(id)s", id=undone) == {
        "undoing": True,
        "undo_reason": "",
    }
    assert desk.verbs(call)["refund"] == desk.verbs(flow, "flow")["undo"] == "its contents were purged"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="its contents were purged"):
        desk.do("reveal", call=alone, actor="ada", reason="the client asks")
    assert purge(desk)["calls"] == 0


def test_a_purge_leaves_alone_what_is_still_needed(desk: Desk) -> None:
    desk.call("succeeded", flow_id=desk.flow())  # its flow would read the result again
    desk.call("in_doubt")
    desk.call("succeeded", sent_ago=timedelta(minutes=1))
    desk.incident("conflict", call_id=desk.call("succeeded"))
    desk.propose("refund", desk.call("succeeded"))
    flow = desk.flow("completed")
    desk.incident("undo_failed", call_id=desk.call("succeeded", flow_id=flow))
    late = desk.flow("completed")
    desk.incident("late_signal", flow_id=late)
    write_signal(desk, "nobody's", arrived=timedelta(minutes=1))
    write_signal(desk, "told of")
    desk.incident(
        "unmatched",
        message_id=desk.one("SELECT message_id FROM onceward.signal WHERE flow_key = 'told of'")["message_id"],
    )
    assert purge(desk) == {"flows": 0, "messages": 0, "calls": 0, "attempts": 0, "evidence": 0, "decisions": 0}


def test_a_purged_call_is_known_and_not_made_again(desk: Desk) -> None:
    bank = Bank()
    provider, pay = provider_of(bank)
    ledger = Ledger(desk.database.engine, "payer", [provider], worker="worker")
    ledger.declare()
    ledger.call(pay, Pay(), key="order-1")
    purge(desk, before=datetime.now(UTC))
    with pytest.raises(Purged, match="took effect"):
        ledger.call(pay, Pay(), key="order-1")
    with pytest.raises(KeyConflict, match="is recorded here with another request"):
        ledger.call(pay, Pay(to="Bob"), key="order-1")
    assert bank.worst == 1


def test_a_purge_goes_by_parts(desk: Desk) -> None:
    for _ in range(3):
        desk.call("succeeded")
    assert [purge(desk, most=2)["calls"] for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("wrong", "error"), [({"before": datetime(2100, 1, 1, tzinfo=UTC)}, "before: "), ({"most": 0}, "most: ")]
)
def test_a_purge_that_is_wrong_is_refused(desk: Desk, wrong: dict[str, Any], error: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"^{error}"):
        purge(desk, **wrong)
