"""Decisions: proposed, approved by another person where a rule asks for one, withdrawn, stale."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.people.desk import Desk, calling

NOT_NOW = psycopg.errors.ObjectNotInPrerequisiteState
BAD = psycopg.errors.InvalidParameterValue


def sqlstate(excinfo: "pytest.ExceptionInfo[psycopg.Error]") -> str | None:
    return excinfo.value.sqlstate


def test_what_needs_nobody_else_is_approved_at_once(desk: Desk) -> None:
    decision = desk.propose("applied", desk.call())
    assert (decision["state"], decision["approvals"], decision["decided_by"]) == ("approved", 0, "ada")
    assert decision["not_before"] is not None
    assert (decision["amount"], decision["currency"], decision["proposed_role"]) == (100, "EUR", "console")
    assert desk.audit() == [("ada", "evidence.add", "call"), ("ada", "decision.propose", "call")]


def test_what_needs_another_person_waits_for_one(desk: Desk) -> None:
    decision = desk.propose("not_applied", desk.call())
    assert (decision["state"], decision["approvals"]) == ("proposed", 1)
    approved = desk.approve(decision)
    assert (approved["state"], approved["decided_by"], approved["decision_note"]) == ("approved", "bob", "I saw it too")
    assert desk.audit() == [("ada", "decision.propose", "call"), ("bob", "decision.approve", "call")]


def test_a_decision_approved_twice_by_the_same_person_is_approved_once(desk: Desk) -> None:
    decision = desk.propose("not_applied", desk.call())
    assert desk.approve(decision) == desk.approve(decision)
    assert len(desk.audit()) == 2
    with pytest.raises(NOT_NOW, match="is approved already"):
        desk.approve(decision, actor="carol")


@pytest.mark.parametrize("actor", ["ada", " ADA ", "Ada\t"])
def test_who_proposed_it_cannot_approve_it(desk: Desk, actor: str) -> None:
    decision = desk.propose("not_applied", desk.call())
    with pytest.raises(psycopg.Error, match="ada has proposed this, so another person has to agree") as refused:
        desk.approve(decision, actor=actor)
    assert sqlstate(refused) == "OW005"


def test_not_even_its_owner_can_write_that_one_person_decided_alone(desk: Desk) -> None:
    decision = desk.propose("not_applied", desk.call())
    with pytest.raises(psycopg.errors.CheckViolation, match="two_people_decide"):
        desk.owner.execute(
            "UPDATE onceward.resolution SET state = 'approved', decided_by = 'ADA ', decided_at = now(), not_before = now() WHERE id = %s",
            (decision["id"],),
        )


def test_the_same_id_again_is_the_same_decision(desk: Desk) -> None:
    call = desk.call()
    first = desk.propose("not_applied", call)
    assert desk.propose("not_applied", call, id=first["id"]) == first
    assert len(desk.audit()) == 1
    for other in ({"reason": "another reason altogether"}, {"actor": "bob"}, {"batch": uuid4()}, {"seen_version": 7}):
        with pytest.raises(psycopg.errors.UniqueViolation, match=r"id: .* is another decision already"):
            desk.propose("not_applied", call, id=first["id"], **other)
    with pytest.raises(psycopg.errors.UniqueViolation, match=r"id: .* is another decision already"):
        desk.propose("not_applied", desk.call(), id=first["id"])


def test_of_one_call_one_decision_is_open(desk: Desk) -> None:
    call = desk.call()
    decision = desk.propose("not_applied", call)
    with pytest.raises(NOT_NOW, match='the decision "not_applied" of ada waits for another person'):
        desk.propose("applied", call, actor="bob")
    desk.do("withdraw", id=decision["id"], actor="Ada", reason="I was wrong")
    assert desk.propose("applied", call)["state"] == "approved"


def test_only_who_proposed_it_withdraws_it_and_only_others_reject_it(desk: Desk) -> None:
    decision = desk.propose("not_applied", desk.call())
    with pytest.raises(psycopg.Error, match="only ada") as refused:
        desk.do("withdraw", id=decision["id"], actor="bob", reason="no")
    assert sqlstate(refused) == "OW005"
    with pytest.raises(psycopg.Error, match="ada has proposed this") as refused:
        desk.do("reject", id=decision["id"], actor="ADA", reason="no")
    assert sqlstate(refused) == "OW005"
    rejected = desk.do("reject", id=decision["id"], actor="bob", reason="look again")
    assert (rejected["state"], rejected["decided_by"], rejected["decision_note"]) == ("rejected", "bob", "look again")
    assert desk.do("reject", id=decision["id"], actor="bob", reason="look again") == rejected
    with pytest.raises(NOT_NOW, match="is rejected already"):
        desk.approve(decision, actor="carol")


def test_what_is_approved_can_be_stopped_until_it_is_carried_out(desk: Desk) -> None:
    decision = desk.approve(desk.propose("not_applied", desk.call()))
    assert desk.do("withdraw", id=decision["id"], actor="ada", reason="it came after all")["state"] == "withdrawn"


def test_a_stale_view_is_refused(desk: Desk) -> None:
    with pytest.raises(
        psycopg.Error, match="the call has changed since it was seen: it is at version 1, not 0"
    ) as stale:
        desk.propose("not_applied", desk.call(), seen_version=0)
    assert sqlstate(stale) == "OW004"


def test_a_decision_about_what_has_changed_since_is_stale(desk: Desk) -> None:
    call = desk.call()
    decision = desk.propose("not_applied", call)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
    stale = desk.approve(decision)
    assert (stale["state"], stale["outcome"]) == ("stale", "the call has changed since it was proposed")
    assert desk.audit()[-1] == ("bob", "decision.approve", "call")
    assert desk.propose("not_applied", call)["state"] == "proposed", "it can be proposed anew"


def test_a_decision_whose_grounds_are_gone_is_stale(desk: Desk) -> None:
    call = desk.call("succeeded")
    decision = desk.propose("refund", call, amount="60", body={"request": {}})
    desk.call("in_flight", operation="refund", undoes=call, amount="50")  # changes no version of the call
    desk.call("in_flight", operation="refund", undoes=call, amount="50")
    assert desk.approve(decision)["outcome"] == "all of it is undone already, or just being undone"


BAD_PROPOSALS: list[tuple[dict[str, Any], str]] = [
    ({"verb": "pay"}, "verb: pay is no decision"),
    ({"verb": None}, "verb: "),
    ({"reason": "because"}, "reason: say why, in 10 to 4000 characters"),
    ({"reason": " " * 20}, "reason: "),
    ({"reason": "x" * 4001}, "reason: "),
    ({"actor": " "}, "actor: "),
    ({"actor": None}, "actor: "),
    ({"evidence": None}, "evidence: applied needs evidence"),
    ({"evidence": uuid4()}, "evidence: there is no evidence"),
    ({"body": {}}, "body: applied needs"),
    ({"body": {"result": {"reference": 1}, "more": 1}}, "body: applied needs"),
    ({"body": {"result": {}}}, "result: reference of pay is missing"),
    ({"body": {"result": []}}, "result: reference of pay is missing"),
    ({"amount": "99"}, "amount: it is 100 EUR, not 99"),
    ({"amount": "NaN"}, "amount: NaN is no amount of money"),
    ({"amount": "-1"}, "amount: -1 is no amount of money"),
    ({"amount": "Infinity"}, "amount: Infinity is no amount of money"),
    ({"amount": "100.00000000001"}, "amount: 100.00000000001 has more than 10 decimals"),
    ({"currency": "USD"}, "currency: it is EUR, not USD"),
    ({"subject": uuid4(), "seen_version": 1}, "call: there is no call"),
]


@pytest.mark.parametrize(("wrong", "error"), BAD_PROPOSALS, ids=[error for _, error in BAD_PROPOSALS])
def test_a_proposal_that_is_wrong_says_in_which_field(desk: Desk, wrong: dict[str, Any], error: str) -> None:
    call = desk.call()
    given = {
        "verb": "applied",
        "subject": call,
        "seen_version": 1,
        "evidence": desk.evidence(call),
        "body": {"result": {"reference": "r"}},
    }
    before = desk.audit()
    with pytest.raises(psycopg.Error, match=f"^{error}"):
        desk.propose(**{**given, **wrong})
    assert desk.all("SELECT id FROM onceward.resolution") == []
    assert desk.audit() == before


def test_evidence_must_bear_the_decision_out(desk: Desk) -> None:
    call = desk.call()
    with pytest.raises(BAD, match="is about another call"):
        desk.propose("applied", call, evidence=desk.evidence(desk.call()))
    with pytest.raises(BAD, match="says not_applied"):
        desk.propose("applied", call, evidence=desk.evidence(call, says="not_applied"))
    with pytest.raises(BAD, match="says applied"):
        desk.propose("not_applied", call, evidence=desk.evidence(call))


@pytest.mark.parametrize(
    ("verb", "amount", "approvals"),
    [("applied", "100", 0), ("not_applied", "100", 1), ("new_key", "100", 1), ("refund", "100", 1)],
)
def test_each_verb_has_its_default(desk: Desk, verb: str, amount: str, approvals: int) -> None:
    states = {"applied": "in_doubt", "not_applied": "in_doubt", "new_key": "failed", "refund": "succeeded"}
    call = desk.call(states[verb], flow_id=desk.flow())
    assert desk.propose(verb, call)["approvals"] == approvals


def rule(desk: Desk, approvals: int, **which: Any) -> None:
    given = {
        "provider": "*",
        "operation": "*",
        "verb": "*",
        "currency": "*",
        "above": "0",
        "actor": "root",
        "reason": "policy",
    }
    desk.do("set_rule", **{**given, "approvals": approvals, **which})


def test_a_rule_overrides_the_default_and_the_strictest_counts(desk: Desk) -> None:
    rule(desk, 0, verb="not_applied")
    assert desk.propose("not_applied", desk.call())["state"] == "approved"
    rule(desk, 1, provider="bank", currency="EUR", above="1000")
    assert desk.propose("not_applied", desk.call(amount="1000"))["state"] == "approved"
    assert desk.propose("not_applied", desk.call(amount="1000.01"))["state"] == "proposed"
    assert desk.propose("not_applied", desk.call(amount="1000.01", currency="USD"))["state"] == "approved"
    assert desk.propose("applied", desk.call(amount="1000.01"))["state"] == "proposed"
    which = {"provider": "bank", "operation": "*", "verb": "*", "currency": "EUR", "above": "1000"}
    desk.do("drop_rule", **which, actor="root", reason="policy")
    assert desk.propose("not_applied", desk.call(amount="1000.01"))["state"] == "approved"
    with pytest.raises(psycopg.errors.NoDataFound, match="rule: there is none"):
        desk.do("drop_rule", **which, actor="root", reason="policy")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"provider": "bnak"}, "provider: no worker has declared bnak"),
        ({"provider": "bank", "operation": "pya"}, "operation: no worker has declared pya"),
        ({"verb": "lookup"}, "verb: lookup is no decision"),
        ({"currency": "euro"}, "currency: euro"),
        ({"above": "-1", "currency": "EUR"}, "above: -1"),
        ({"above": "10"}, "currency: an amount needs one"),
        ({"approvals": 2}, "approvals: 2"),
        ({"reason": ""}, "reason: "),
    ],
)
def test_a_rule_that_can_never_fit_is_refused(desk: Desk, wrong: dict[str, Any], error: str) -> None:
    with pytest.raises(psycopg.Error, match=f"^{error}"):
        rule(desk, **{"approvals": 1, **wrong})
    assert desk.all("SELECT * FROM onceward.approval_rule") == []


def test_a_batch_needs_another_person_whatever_the_rules_say(desk: Desk) -> None:
    rule(desk, 0)
    assert desk.propose("applied", desk.call(), batch=uuid4())["state"] == "proposed"


def test_a_flow_needs_what_the_strictest_of_its_calls_needs(desk: Desk) -> None:
    rule(desk, 0)
    rule(desk, 1, currency="EUR", above="150", verb="undo")
    flow, other = desk.flow(), desk.flow()
    desk.call("succeeded", flow_id=flow, amount="100")
    desk.call("succeeded", flow_id=flow, amount="200")
    desk.call("succeeded", flow_id=other, amount="100")
    decision = desk.propose("undo", flow)
    assert (decision["state"], decision["amount"]) == ("proposed", 200)
    assert desk.propose("undo", other)["state"] == "approved"


def test_amounts_of_two_currencies_are_no_amount(desk: Desk) -> None:
    flow = desk.flow()
    desk.call("succeeded", flow_id=flow)
    desk.call("succeeded", flow_id=flow, currency="USD")
    assert desk.propose("undo", flow)["amount"] is None


def test_one_person_decides_alone_after_a_delay_and_with_the_amount_typed(desk: Desk) -> None:
    desk.do("set_solo", solo=True, actor="ada", reason="nobody else works here")
    call = desk.call()
    with pytest.raises(psycopg.errors.CheckViolation, match="amount: type the amount, for you decide this alone"):
        desk.propose("not_applied", call)
    with pytest.raises(BAD, match="amount: it is 100 EUR, not 10"):
        desk.propose("not_applied", call, amount="10", currency="EUR")
    decision = desk.propose("not_applied", call, amount="100.00", currency="EUR")
    assert (decision["state"], decision["solo"], decision["decided_by"]) == ("approved", True, "ada")
    assert decision["not_before"] - decision["proposed_at"] == timedelta(minutes=10)
    [entry] = desk.all("SELECT body FROM onceward.audit WHERE action = 'decision.propose'")
    assert entry["body"]["solo"] is True
    assert desk.do("withdraw", id=decision["id"], actor="ada", reason="I was wrong")["state"] == "withdrawn"
    assert desk.propose("applied", desk.call())["solo"] is False, "it needs nobody else"
    desk.do("set_solo", solo=False, actor="ada", reason="Bob is back")
    assert desk.propose("not_applied", desk.call())["state"] == "proposed"


def test_denied_attempts_are_recorded(desk: Desk) -> None:
    with psycopg.connect(desk.database.auditor_url, row_factory=dict_row) as connection:
        calling(
            connection,
            "denied",
            actor="eve",
            action="approve",
            subject_kind="decision",
            subject="x",
            reason="",
            error="no",
        )
    [entry] = desk.all("SELECT * FROM onceward.audit")
    assert (entry["actor"], entry["db_role"], entry["action"], entry["reason"]) == (
        "eve",
        "auditor",
        "denied",
        "none given",
    )
    assert entry["body"] == {"action": "approve", "error": "no"}


@pytest.mark.parametrize("function", ["propose", "approve", "reveal", "set_solo", "purge_personal_data", "record"])
def test_only_the_console_may_decide(desk: Desk, function: str) -> None:
    query = "SELECT has_function_privilege(%(role)s, p.oid, 'EXECUTE') AS may FROM pg_proc p WHERE pronamespace = 'onceward'::regnamespace AND proname = %(name)s"
    for role in ("app", "relay", "auditor"):
        assert desk.all(query, role=role, name=function) == [{"may": False}]
    assert desk.all(query, role="console", name=function) == [{"may": function != "record"}]
