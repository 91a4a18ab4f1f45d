"""What may be done with a call or flow in each state, and what happens at once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from onceward.incidents import KINDS
from tests.people.desk import Desk

NOT_NOW = psycopg.errors.ObjectNotInPrerequisiteState
NOTHING = UUID(int=1)
STATES = ("pending", "in_flight", "in_doubt", "accepted", "succeeded", "failed", "cancelled")
ALLOWED = {
    "pending": {"resend"},
    "in_flight": set(),
    "in_doubt": {"lookup", "resend", "applied", "not_applied"},
    "accepted": {"lookup", "applied", "not_applied"},
    "succeeded": {"refund"},
    "failed": {"new_key"},
    "cancelled": set(),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_a_call_allows_its_verbs(desk: Desk, state: str) -> None:
    call = desk.call(state, flow_id=desk.flow())
    verbs = desk.verbs(call)
    assert {verb for verb, why in verbs.items() if why is None} == ALLOWED[state]
    for verb, why in verbs.items():
        if why is not None and verb not in ("lookup", "resend"):
            with pytest.raises(NOT_NOW) as refused:
                desk.propose(verb, call, evidence=None)
            assert str(refused.value.diag.message_primary) == f"{verb}: not possible for this call: {why}"
    assert desk.audit() == []


@pytest.mark.parametrize(
    ("call", "verb", "why"),
    [
        ({"sent_ago": timedelta(seconds=60)}, "not_applied", "it may still be on its way until "),
        ({"sent_ago": timedelta(seconds=100)}, "not_applied", None),
        ({"sent_ago": timedelta(hours=25)}, "resend", "the provider may have forgotten the key since "),
        ({"sent_ago": timedelta(hours=23, minutes=58)}, "resend", None),
        ({"operation": "wire"}, "resend", "the provider takes no idempotency key"),
        ({"operation": "wire"}, "lookup", "the provider offers no lookup"),
        ({"state": "succeeded", "operation": "wire"}, "refund", "its operation declares nothing that reverses it"),
        ({"state": "succeeded", "difference": "4 EUR"}, "accept_difference", None),
        ({"state": "failed"}, "new_key", "it belongs to no flow"),
    ],
)
def test_time_and_terms_count(desk: Desk, call: dict[str, Any], verb: str, why: str | None) -> None:
    found = desk.verbs(desk.call(**call))[verb]
    assert found is None if why is None else str(found).startswith(why)


def test_a_call_is_made_again_only_if_its_flow_did_not_go_on(desk: Desk) -> None:
    def new_key(call: UUID) -> str | None:
        return desk.verbs(call)["new_key"]

    flow = desk.flow()
    call = desk.call("failed", flow_id=flow, seq=2)
    desk.call("succeeded", flow_id=flow, seq=1)
    assert new_key(call) is None
    desk.call("failed", flow_id=flow, seq=2, step=f"pay-{call}", take=2)
    assert new_key(call) == "it was made again already"
    other = desk.call("failed", flow_id=flow, seq=2)
    desk.owner.execute(
        "INSERT INTO onceward.flow_step (flow_id, step, seq, kind, fingerprint, until) VALUES (%s, 'rest', 3, 'sleep', %s, now())",
        (flow, bytes(32)),
    )
    assert new_key(other) == "its flow has gone on since"
    assert new_key(desk.call("failed", flow_id=desk.flow("completed"))) == "its flow has ended"
    undoing = desk.flow(undoing=True, undo_reason="x")
    assert new_key(desk.call("failed", flow_id=undoing)) == "its flow is being undone"
    parent = desk.call("succeeded", flow_id=undoing)
    undo = desk.call("failed", flow_id=undoing, operation="refund", undoes=parent)
    assert new_key(undo) is None, "what was to undo a step can be made again"


def test_what_is_undone_already_is_not_refunded_again(desk: Desk) -> None:
    call = desk.call("succeeded")
    desk.call("in_doubt", operation="refund", undoes=call, amount="60")
    desk.call("failed", operation="refund", undoes=call, amount="40")
    with pytest.raises(
        psycopg.Error, match="of 100 EUR are 60 undone already, or just being undone, so 50 are too much"
    ):
        desk.propose("refund", call, amount="50", body={"request": {}})
    assert desk.propose("refund", call, amount="40", body={"request": {}})["amount"] == 40
    desk.call("succeeded", operation="refund", undoes=call, amount="40")
    assert desk.verbs(call)["refund"] == "all of it is undone already, or just being undone"


def test_a_refund_of_a_call_without_an_amount_is_of_all_of_it(desk: Desk) -> None:
    call = desk.call("succeeded", amount=None)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="amount: the call names none"):
        desk.propose("refund", call, amount="5", body={"request": {}})
    assert desk.propose("refund", call)["amount"] is None
    desk.call("in_flight", operation="refund", undoes=call, amount=None)
    assert desk.verbs(call)["refund"] == "all of it is undone already, or just being undone"


def test_a_refund_needs_a_request_that_is_known_or_given(desk: Desk) -> None:
    call = desk.call("succeeded", undo_request=None)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="body: no request that reverses this call is known"):
        desk.propose("refund", call)
    bodies: list[dict[str, Any]] = [{"request": []}, {"request": {}, "more": 1}, {"result": {}}]
    for body in bodies:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^body: "):
            desk.propose("refund", call, body=body)
    assert desk.propose("refund", call, body={"request": {"reference": "r"}})["state"] == "proposed"


FLOWS: list[tuple[dict[str, Any], set[str]]] = [
    ({"state": "running"}, {"pause", "undo", "close"}),
    ({"state": "waiting"}, {"pause", "undo", "close"}),
    ({"state": "blocked"}, {"resume", "pause", "undo", "close"}),
    ({"state": "blocked", "undoing": True, "undo_reason": "x"}, {"resume", "pause", "close"}),
    ({"state": "waiting", "pivot_step": "capture"}, {"pause", "close"}),
    ({"state": "completed"}, {"undo"}),
    ({"state": "completed", "pivot_step": "capture"}, set()),
    ({"state": "undone", "undoing": True, "undo_reason": "x"}, set()),
]


@pytest.mark.parametrize(("columns", "allowed"), FLOWS)
def test_each_state_of_a_flow_allows_its_verbs(desk: Desk, columns: dict[str, Any], allowed: set[str]) -> None:
    flow = desk.flow(**columns)
    verbs = desk.verbs(flow, "flow")
    assert {verb for verb, why in verbs.items() if why is None} == allowed
    for verb in {"undo", "close"} - allowed:
        with pytest.raises(NOT_NOW):
            desk.propose(verb, flow)


@pytest.mark.parametrize("state", ["in_flight", "in_doubt", "accepted", "succeeded"])
def test_nothing_is_undone_while_a_pivot_has_or_may_have_taken_effect(desk: Desk, state: str) -> None:
    flow = desk.flow()
    desk.call(state, flow_id=flow, step="capture", pivot=True)
    assert (
        desk.verbs(flow, "flow")["undo"]
        == "its step capture, after which it only goes forward, has or may have taken effect"
    )


def test_a_lookup_is_due_at_once_and_asked_for_once(desk: Desk) -> None:
    call = desk.call()
    desk.do("ask", call=call, what="lookup", actor="ada", reason="the client waits")
    row = desk.one("SELECT asked, due_at <= now() AS due, version FROM onceward.call")
    assert row == {"asked": "lookup", "due": True, "version": 1}, "who decides just now sees the same call"
    with pytest.raises(NOT_NOW, match="that was asked for already"):
        desk.do("ask", call=call, what="lookup", actor="ada", reason="the client waits")
    desk.do("ask", call=call, what="resend", actor="ada", reason="the client waits")
    assert desk.audit() == [("ada", "call.lookup", "call"), ("ada", "call.resend", "call")]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="what: "):
        desk.do("ask", call=call, what="pay", actor="ada", reason="the client waits")
    with pytest.raises(psycopg.errors.NoDataFound, match="call: there is no call"):
        desk.do("ask", call=NOTHING, what="lookup", actor="ada", reason="the client waits")


def test_what_waits_is_sent_now(desk: Desk) -> None:
    desk.do("ask", call=desk.call("pending"), what="resend", actor="ada", reason="it is up again")
    assert desk.one("SELECT asked, due_at <= now() AS due FROM onceward.call") == {"asked": None, "due": True}


def test_a_stopped_provider_is_not_asked(desk: Desk) -> None:
    call, waiting, doubtful = desk.call(), desk.call("pending"), desk.call(due_at="infinity")
    desk.incident("provider_stopped", call_id=waiting)
    desk.do("stop_provider", provider="bank", actor="ada", reason="they migrate")
    assert desk.verbs(call)["lookup"] == desk.verbs(waiting)["resend"] == "the provider is stopped: they migrate"
    assert desk.propose("applied", call)["state"] == "approved", "people may settle all the same"
    assert desk.do("start_provider", provider="bank", actor="ada", reason="they are done")["start_provider"] == 2
    assert desk.one("SELECT due_at <= now() AS due FROM onceward.call WHERE id = %(id)s", id=doubtful) == {"due": True}
    assert (desk.version(waiting), desk.version(doubtful)) == (1, 1), "nothing has changed by which somebody decides"
    assert desk.one("SELECT closed_by FROM onceward.incident") == {"closed_by": "ada"}
    assert desk.one("SELECT stopped_at FROM onceward.provider") == {"stopped_at": None}


def test_a_flow_is_resumed_where_it_stands(desk: Desk) -> None:
    for state in ("waiting", "blocked"):
        flow = desk.flow(state, failures=3)
        desk.do("pause", flow=flow, actor="ada", reason="wait for the fix")
        desk.do("resume", flow=flow, actor="ada", reason="it is deployed")
        row = desk.one("SELECT state, failures, signals, paused_at FROM onceward.flow WHERE id = %(id)s", id=flow)
        assert (row["failures"], row["signals"], row["paused_at"]) == (0, 1, None)
        assert row["state"] == {"waiting": "waiting", "blocked": "running"}[state]
    with pytest.raises(psycopg.errors.NoDataFound, match="flow: there is no flow"):
        desk.do("pause", flow=NOTHING, actor="ada", reason="x")
    with pytest.raises(NOT_NOW, match="it has ended as completed"):
        desk.do("pause", flow=desk.flow("completed"), actor="ada", reason="x")


def test_an_incident_is_not_slept_through(desk: Desk) -> None:
    incident = desk.incident(call_id=desk.call())
    desk.owner.execute("UPDATE onceward.incident SET act_before = now() + interval '2 hours'")

    def snooze(hours: float) -> None:
        until = desk.one("SELECT now() + make_interval(secs => %(s)s) AS at", s=hours * 3600)["at"]
        desk.do("snooze", incident=incident, until=until, actor="ada", reason="they call back")

    for hours, error in (
        (3, "it has to be acted on before"),
        (-1, "is not in the next 30 days"),
        (31 * 24, "is not in the next"),
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=error):
            snooze(hours)
    snooze(1)
    desk.owner.execute("UPDATE onceward.incident SET closed_at = now(), closed_by = 'ledger'")
    with pytest.raises(NOT_NOW, match="was closed by ledger already"):
        snooze(1)


CLOSED_BY_A_PERSON = ("conflict", "late_signal", "unmatched")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CLOSED_BY_A_PERSON])
def test_an_incident_is_closed_by_what_settles_it(desk: Desk, kind: str) -> None:
    incident = desk.incident(kind, call_id=desk.call())
    with pytest.raises(NOT_NOW, match=f"{kind} is closed by what settles it"):
        desk.do("close_incident", incident=incident, actor="ada", reason="it annoys me")
    assert desk.one("SELECT closed_at FROM onceward.incident") == {"closed_at": None}


@pytest.mark.parametrize("kind", CLOSED_BY_A_PERSON)
def test_what_nothing_else_ends_a_person_closes_and_says_why(desk: Desk, kind: str) -> None:
    incident = desk.incident(kind, call_id=desk.call("succeeded"))
    with pytest.raises(psycopg.errors.CheckViolation, match="reason: "):
        desk.do("close_incident", incident=incident, actor="ada", reason=" ")
    desk.do("close_incident", incident=incident, actor="ada", reason="the bank has taken it back")
    assert desk.one("SELECT closed_by FROM onceward.incident") == {"closed_by": "ada"}
    assert desk.audit() == [("ada", "incident.close", "incident")]
    with pytest.raises(NOT_NOW, match="was closed by ada already"):
        desk.do("close_incident", incident=incident, actor="ada", reason="once more")


def test_a_report_that_a_person_is_done_with_is_looked_at_no_more(desk: Desk) -> None:
    with psycopg.connect(desk.database.participant_url) as participant:
        participant.execute("SELECT onceward.report('bank', 'nobody''s', NULL, true, 'x', %s)", (NOTHING,))
    incident = desk.incident("unmatched", message_id=NOTHING)
    desk.do("close_incident", incident=incident, actor="ada", reason="the bank has mistaken us")
    assert desk.one("SELECT handled_at IS NOT NULL AS done FROM onceward.evidence") == {"done": True}


def test_a_note_is_about_something_that_is_there(desk: Desk) -> None:
    call = desk.call()
    number = desk.do("note", subject_kind="call", subject=str(call), note=" they call back ", actor="ada")["note"]
    assert desk.one("SELECT no, reason FROM onceward.audit") == {"no": number, "reason": "they call back"}
    for kind, subject in (("call", str(NOTHING)), ("call", "'; --"), ("provider", "bank")):
        with pytest.raises(psycopg.errors.NoDataFound, match=f"{kind}: there is no"):
            desk.do("note", subject_kind=kind, subject=subject, note="x", actor="ada")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="4001 characters"):
        desk.do("note", subject_kind="call", subject=str(call), note="x" * 4001, actor="ada")
    with pytest.raises(psycopg.errors.CheckViolation, match="reason: "):
        desk.do("note", subject_kind="call", subject=str(call), note=" ", actor="ada")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"kind": "webhook"}, "kind: webhook is not what a person brings"),
        ({"says": "perhaps"}, "says: perhaps"),
        ({"reference": " ", "body": b""}, "reference: give the provider's reference, or the report itself"),
        ({"body": bytes(1_048_577)}, "body: 1048577 bytes are more than 1048576"),
        ({"call": NOTHING}, "call: there is no call"),
        ({"actor": ""}, ""),
    ],
)
def test_evidence_that_is_wrong_is_refused(desk: Desk, wrong: dict[str, Any], error: str) -> None:
    with pytest.raises(psycopg.Error, match=f"^{error}"):
        desk.evidence(**{"call": desk.call(), **wrong})
    assert desk.all("SELECT id FROM onceward.evidence") == []


def test_the_same_evidence_again_changes_nothing(desk: Desk) -> None:
    call = desk.call()
    first = desk.evidence(call, body=b"\xff\x00 =cmd")
    assert (
        desk.do(
            "add_evidence",
            id=first,
            call=call,
            kind="statement",
            says="applied",
            reference="r-1",
            body=b"\xff\x00 =cmd",
            actor="ada",
        )["id"]
        == first
    )
    with pytest.raises(psycopg.errors.UniqueViolation, match="is other evidence already"):
        desk.do(
            "add_evidence",
            id=first,
            call=call,
            kind="statement",
            says="applied",
            reference="r-1",
            body=b"other",
            actor="ada",
        )
    assert len(desk.audit()) == 1
    assert desk.one("SELECT handled_at IS NOT NULL AS handled FROM onceward.evidence")["handled"], (
        "it settles nothing by itself"
    )


@pytest.mark.parametrize(
    ("state", "says", "conflict"),
    [
        ("succeeded", "not_applied", True),
        ("failed", "applied", True),
        ("cancelled", "applied", True),
        ("succeeded", "applied", False),
        ("failed", "not_applied", False),
        ("succeeded", "unclear", False),
        ("in_doubt", "applied", False),
    ],
)
def test_evidence_against_what_is_settled_is_a_conflict(desk: Desk, state: str, says: str, conflict: bool) -> None:
    call = desk.call(state)
    desk.evidence(call, says=says)
    desk.evidence(call, says=says)
    row = desk.one("SELECT state, conflict_at IS NOT NULL AS conflict FROM onceward.call")
    assert row == {"state": state, "conflict": conflict}
    incidents = desk.all("SELECT kind, severity, times FROM onceward.incident")
    assert incidents == ([{"kind": "conflict", "severity": 1, "times": 2}] if conflict else [])
