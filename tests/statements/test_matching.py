"""Which call a row is about, by the queries that a participant's database answers with the console's rights."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from onceward.sqlfiles import statement
from onceward_relay.people.statements.batch import Found, found_of, steps
from onceward_relay.people.statements.columns import Columns
from onceward_relay.people.statements.matching import asked_for, hindered, matched
from onceward_relay.people.statements.movements import movements
from tests.people.desk import REASON, Desk, calling

HEADER = ("reference", "key", "ref", "amount", "currency", "date", "status")
COLUMNS = Columns(
    reference=0, key=1, ref=2, amount=3, currency=4, date=5, status=6, direction="any", result={"reference": 0},
    says={"booked": "applied", "rejected": "not_applied", "pending": "unclear"},
)  # fmt: skip


def row(**cells: str) -> tuple[str, ...]:
    return tuple({"status": "Booked", **cells}.get(name, "") for name in HEADER)


def find(
    desk: Desk, rows: Sequence[tuple[str, ...]], operation: str | None = None, columns: Columns = COLUMNS
) -> list[Found]:
    """Do what the console and the command line do."""

    def ask(query: str, **parameters: Any) -> list[Any]:
        return desk.console.execute(statement("onceward_relay.people", query).encode(), parameters).fetchall()

    read = movements(list(enumerate(rows, 2)), columns, len(HEADER))
    matches = matched(read, ask("statement_matches", **asked_for(read, "bank", operation)))
    decided = [(match.call["id"], match.verb) for match in matches if match.verb and match.call]
    obstacles = ask("statement_obstacles", calls=[call for call, _ in decided], verbs=[verb for _, verb in decided])
    schemas = {
        each["name"]: each["result_schema"]
        for each in ask("statement_operations", provider="bank", operation=operation)
    }
    return [found_of(match, HEADER, columns, schemas) for match in hindered(matches, obstacles)]


def one(desk: Desk, **cells: str) -> Found:
    return find(desk, [row(**cells)])[0]


def propose(desk: Desk, found: Found, batch: UUID, actor: str = "ada") -> list[Any]:
    assert found.item is not None
    return [
        calling(desk.console, name, **arguments)
        for name, arguments in steps(found.item, batch=batch, actor=actor, reason=REASON)
    ]


def test_a_row_is_matched_by_the_providers_reference_then_by_the_key_then_by_reference_and_money(desk: Desk) -> None:
    by_reference = desk.call(provider_ref="r-9", key="k-1", ref="order-1")
    by_key = desk.call(key="k-2", ref="order-2")
    by_money = desk.call(key="k-3", ref="order-3")
    found = find(
        desk,
        [
            row(reference="r-9", key="k-2", ref="order-3", amount="100", currency="EUR"),
            row(reference="r-0", key="k-2", ref="order-3", amount="100", currency="EUR"),
            row(reference="r-0", key="k-0", ref="order-3", amount="100", currency="EUR"),
            row(reference="r-0", key="k-0", ref="order-0", amount="100", currency="EUR"),
        ],
    )
    assert [each.call_id for each in found] == [by_reference, by_key, by_money, None]
    assert [each.finding for each in found] == ["matched", "matched", "matched", "unmatched"]


def test_a_matched_row_becomes_evidence_and_a_proposal_that_another_person_has_to_agree_to_once(desk: Desk) -> None:
    call = desk.call(ref="order-1")
    found = one(desk, reference="r-9", ref="order-1", amount="100.00", currency="EUR")
    batch = uuid4()
    evidence, decision = propose(desk, found, batch)
    assert (evidence["kind"], evidence["says"], evidence["reference"]) == ("statement", "applied", "r-9")
    assert (decision["verb"], decision["state"], decision["batch_id"], decision["approvals"]) == (
        "applied",
        "proposed",
        batch,
        1,
    )
    stored = desk.one("SELECT body FROM onceward.evidence WHERE call_id = %(call)s", call=call)
    assert (
        bytes(stored["body"]) == b"reference,key,ref,amount,currency,date,status\r\nr-9,,order-1,100.00,EUR,,Booked\r\n"
    )
    assert desk.one("SELECT body FROM onceward.resolution")["body"] == {"result": {"reference": "r-9"}}
    assert propose(desk, found, batch)[1]["id"] == decision["id"]
    assert len(desk.all("SELECT FROM onceward.resolution")) == len(desk.all("SELECT FROM onceward.evidence")) == 1


def test_not_applied_is_proposed_only_where_the_status_says_so_and_nothing_can_be_on_its_way(desk: Desk) -> None:
    call = desk.call(key="k-1")
    found = one(desk, key="k-1", status="Rejected")
    assert (found.finding, found.call_id) == ("matched", call)
    assert propose(desk, found, uuid4())[1]["verb"] == "not_applied"
    desk.call(key="k-2", sent_ago=timedelta(0))
    late = one(desk, key="k-2", status="rejected")
    assert late.finding == "impossible"
    assert "may still be on its way until" in late.why
    assert late.item is None
    desk.call(key="k-3")
    assert one(desk, key="k-3", status="pending").finding == "unclear"
    assert one(desk, key="k-3", status="?").finding == "unclear"


def test_a_row_of_a_settled_call_says_what_is_known_or_contradicts_it(desk: Desk) -> None:
    for state in ("succeeded", "failed", "cancelled", "pending", "in_flight"):
        desk.call(state, key=f"k-{state}", worker="w")
    expected = {
        ("succeeded", "Booked"): "settled", ("succeeded", "rejected"): "contradicts", ("failed", "Booked"): "contradicts",
        ("failed", "rejected"): "settled", ("cancelled", "Booked"): "contradicts", ("pending", "Booked"): "contradicts",
        ("pending", "rejected"): "impossible", ("in_flight", "Booked"): "impossible",
    }  # fmt: skip
    assert {
        (state, status): one(desk, key=f"k-{state}", status=status).finding for state, status in expected
    } == expected


def test_a_contradiction_is_evidence_that_opens_an_incident_and_decides_nothing(desk: Desk) -> None:
    call = desk.call("failed", key="k-1", error_code="declined", error_text="declined")
    found = one(desk, key="k-1")
    assert found.item is not None
    assert found.item.verb is None
    propose(desk, found, uuid4())
    assert desk.one("SELECT kind FROM onceward.incident WHERE call_id = %(call)s", call=call)["kind"] == "conflict"
    assert desk.all("SELECT FROM onceward.resolution") == []


def test_other_money_than_the_calls_is_shown_and_settles_nothing(desk: Desk) -> None:
    desk.call(key="k-1", ref="order-1")
    for cells in (
        {"key": "k-1", "amount": "99", "currency": "EUR"},
        {"key": "k-1", "amount": "100", "currency": "USD"},
        {"ref": "order-1", "amount": "1", "currency": "EUR"},
    ):
        found = one(desk, **cells)
        assert (found.finding, found.item) == ("differs", None)
        assert "the call is about 100 EUR" in found.why


def test_what_fits_two_calls_or_is_there_twice_is_ambiguous(desk: Desk) -> None:
    desk.call(ref="order-1")
    desk.call(ref="order-1", operation="wire")
    cells = {"reference": "r-1", "ref": "order-1", "amount": "100", "currency": "EUR"}
    found = one(desk, **cells)
    assert (found.finding, found.item) == ("ambiguous", None)
    assert "(pay, wire); choose the operation" in found.why
    assert find(desk, [row(**cells)], "wire")[0].finding == "matched"
    twice = find(desk, [row(**cells), row(**cells)], "wire")
    assert [each.finding for each in twice] == ["ambiguous", "ambiguous"]
    assert "was it done more than once?" in twice[0].why


def test_a_business_reference_of_an_earlier_booking_is_not_this_call(desk: Desk) -> None:
    desk.call(ref="order-1")
    now = datetime.now(UTC)
    cells = {"reference": "r", "ref": "order-1", "amount": "100", "currency": "EUR"}
    assert one(desk, **cells, date=f"{now - timedelta(days=30):%Y-%m-%d}").finding == "unmatched"
    assert one(desk, **cells, date=f"{now:%Y-%m-%d}").finding == "matched"


def test_a_row_without_what_the_result_needs_is_refused_and_keeps_no_other_back(desk: Desk) -> None:
    desk.call(key="k-1")
    desk.call(key="k-2")
    unfit, good = find(desk, [row(key="k-1"), row(reference="r-2", key="k-2")])
    assert (unfit.finding, unfit.why, unfit.item) == ("unfit", "result.reference: is missing", None)
    assert good.finding == "matched"


def test_a_call_that_changed_since_it_was_seen_is_refused(desk: Desk) -> None:
    call = desk.call(key="k-1")
    found = one(desk, reference="r-1", key="k-1")
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
    with pytest.raises(psycopg.Error) as refused:
        propose(desk, found, uuid4())
    assert refused.value.sqlstate == "OW004"


def test_a_provider_with_the_same_references_is_another_one(desk: Desk) -> None:
    desk.owner.execute("INSERT INTO onceward.provider (name) VALUES ('card') ON CONFLICT DO NOTHING")
    desk.owner.execute(
        "INSERT INTO onceward.operation (provider, name, repeat, timeout, request_schema, result_schema) VALUES ('card', 'pay', 'never', '1 s', '{}', '{}')"
    )
    desk.call(key="k-1", ref="order-1", provider="card", provider_ref="r-1")
    assert one(desk, reference="r-1", key="k-1", ref="order-1", amount="100", currency="EUR").finding == "unmatched"


def test_rows_are_found_by_indexes(desk: Desk) -> None:
    """However many calls there are, each row costs a few look-ups."""
    query = statement("onceward_relay.people", "statement_matches").encode()
    rows = movements(
        [
            (at, row(reference=f"r-{at}", key=f"k-{at}", ref=f"o-{at}", amount="1", currency="EUR"))
            for at in range(2, 50)
        ],
        COLUMNS,
        len(HEADER),
    )
    with desk.owner.transaction(force_rollback=True):
        desk.owner.execute("SET LOCAL session_replication_role = replica")
        desk.owner.execute(
            """INSERT INTO onceward.call (id, provider, operation, key, request, fingerprint, state, settled_at, settled_by, result, provider_ref, ref, amount, currency)
               SELECT gen_random_uuid(), 'bank', 'pay', 'k-' || n, '{}', sha256('x'), 'succeeded', now(), 'answer', '{}', 'r-' || n, 'o-' || n, 1, 'EUR'
                 FROM generate_series(1, 20000) n"""
        )
        desk.owner.execute("ANALYZE onceward.call")
        plan = "\n".join(
            each["QUERY PLAN"]
            for each in desk.owner.execute(b"EXPLAIN " + query, asked_for(rows, "bank", None)).fetchall()
        )
    assert "Seq Scan on call" not in plan
    for index in ("call_provider_ref", "call_provider_operation_key_key", "call_ref"):
        assert index in plan
