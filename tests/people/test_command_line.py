"""What people do on the command line: each verb, with its refusals recorded."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from tests.people.desk import REASON, Desk

ACTOR = ("--actor", "ada")


class Line:
    """The command line with the console's rights."""

    def __init__(self, desk: Desk, url: str | None = None) -> None:
        self.url = url or desk.database.console_url

    def run(self, *arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(each) for each in arguments], env={"ONCEWARD_DATABASE": self.url})
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    def decide(self, *arguments: object, actor: str = "ada", status: int = 0) -> Result:
        return self.run(*arguments, "--reason", REASON, "--actor", actor, status=status)

    def document(self, *arguments: object) -> Any:
        return json.loads(self.run(*arguments, "--json").output)


@pytest.fixture
def line(desk: Desk) -> Line:
    return Line(desk)


def decision(desk: Desk) -> dict[str, Any]:
    return dict(desk.one("SELECT * FROM onceward.resolution ORDER BY proposed_at DESC LIMIT 1"))


def test_a_call_is_settled_by_two_people(desk: Desk, line: Line) -> None:
    call = desk.call()
    said = line.decide("calls", "not-applied", call).output
    assert f"call {call} is at version 1, in_doubt" in said
    proposed = decision(desk)
    assert f"onceward approvals approve {proposed['id']}" in said
    listed = line.run("approvals", "list").output
    assert str(proposed["id"]) in listed
    assert "100 EUR" in listed
    shown = line.run("approvals", "show", proposed["id"]).output
    assert f"onceward calls show {call}" in shown
    assert REASON in shown
    assert line.document("approvals", "list")[0]["state"] == "proposed"
    refused = line.decide("approvals", "approve", proposed["id"], status=1).output
    assert "ada has proposed this, so another person has to agree" in refused
    assert "a worker carries it out now" in line.decide("approvals", "approve", proposed["id"], actor="bob").output
    assert desk.audit() == [
        ("ada", "decision.propose", "call"),
        ("ada", "denied", "call"),
        ("bob", "decision.approve", "call"),
    ]


def test_a_call_is_settled_with_a_result_and_evidence(desk: Desk, line: Line, tmp_path: Path) -> None:
    call, statement = desk.call(), tmp_path / "statement.csv"
    statement.write_bytes(b"\xff\xfe=cmd|' /C calc'!A0\x00")
    result = tmp_path / "result.json"
    result.write_text('{"reference": "r-9"}')
    given = (
        "--result",
        f"@{result}",
        "--evidence-file",
        statement,
        "--evidence-kind",
        "statement",
        "--evidence-reference",
        "r-9",
    )
    once = uuid4()
    line.decide("calls", "applied", call, *given, "--id", once, "--seen", 1)
    assert "approved" in line.decide("calls", "applied", call, *given, "--id", once, "--seen", 1).output
    assert decision(desk)["body"] == {"result": {"reference": "r-9"}}
    [evidence] = desk.all("SELECT * FROM onceward.evidence")
    assert (bytes(evidence["body"]), evidence["reference"]) == (statement.read_bytes(), "r-9")
    assert [action for _, action, _ in desk.audit()] == ["evidence.add", "decision.propose"]


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("[]", "must be a JSON object"),
        ("{", "no JSON that could be read"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1, "a": 2}', "a name stands in it twice"),
        ("[" * 100_000, "no JSON that could be read"),
        ("@/nowhere", "No such file"),
    ],
)
def test_a_result_that_is_none_is_refused(desk: Desk, line: Line, result: str, error: str) -> None:
    given = ("--result", result, "--evidence-reference", "r")
    assert error in line.decide("calls", "applied", desk.call(), *given, status=2).output
    assert desk.audit() == []


def test_evidence_of_more_than_a_mebibyte_is_refused(desk: Desk, line: Line, tmp_path: Path) -> None:
    large = tmp_path / "statement"
    large.write_bytes(bytes(1_048_577))
    given = ("--kind", "statement", "--says", "applied", "--file", large)
    assert "more than 1,048,576 bytes" in line.run("calls", "evidence", desk.call(), *given, status=2).output


def test_a_verb_on_a_settled_call_says_why_not_and_changes_nothing(desk: Desk, line: Line) -> None:
    call = desk.call("succeeded")
    for verb in ("not-applied", "lookup", "resend", "new-key", "accept-difference"):
        refused = line.decide("calls", verb, call, status=1).output
        assert "not possible for this call: " in refused
    assert desk.version(call) == 1
    assert [(action, kind) for _, action, kind in desk.audit()] == [("denied", "call")] * 5
    entries = desk.all("SELECT subject, reason, body FROM onceward.audit")
    assert {entry["subject"] for entry in entries} == {str(call)}
    assert entries[0]["reason"] == REASON
    assert entries[0]["body"]["action"] == "not_applied"


def test_who_lacks_the_right_is_told_and_recorded(desk: Desk) -> None:
    auditor = Line(desk, desk.database.auditor_url)
    call = desk.call()
    assert "grant onceward_console to this role" in auditor.decide("calls", "not-applied", call, status=1).output
    [entry] = desk.all("SELECT action, db_role FROM onceward.audit")
    assert (entry["action"], entry["db_role"]) == ("denied", "auditor")


def test_a_call_is_shown_with_what_may_be_done(desk: Desk, line: Line) -> None:
    call = desk.call("succeeded", flow_id=desk.flow(), ref="order \x1b[31m=cmd\N{RIGHT-TO-LEFT OVERRIDE}")
    desk.call("succeeded", operation="refund", undoes=call, amount="40")
    desk.evidence(call, reference="r\x1b[0m")
    desk.propose("refund", call, amount="10", body={"request": {"name": "Ada"}})
    shown = line.run("calls", "show", call).output
    assert "\x1b" not in shown
    assert r"order \x1b[31m=cmd\u202e" in shown
    assert 'bank/refund {"reference": "r-1"}' in shown
    assert "Ada" not in shown
    assert 'the decision "refund" of ada waits for another person' in shown
    assert "it is settled as succeeded" in shown
    document = line.document("calls", "show", call)
    assert document["result"] == {"reference": "r-1", "name": "***"}
    assert document["undo_request"] == {"reference": "r-1"}
    assert [each["verb"] for each in document["verbs"]] == [
        "lookup", "resend", "applied", "not_applied", "new_key", "refund", "accept_difference",
    ]  # fmt: skip
    assert [each["state"] for each in document["undone_by"]] == ["succeeded"]
    assert document["decisions"][0]["body"] == {"request": {"name": "***"}}


@pytest.mark.parametrize(
    ("state", "more", "sentence"),
    [
        ("accepted", {}, "bank/pay was accepted by the provider, which is to report the outcome by "),
        ("cancelled", {}, "bank/pay was never made, and never will be: it was not needed any more."),
        ("succeeded", {"difference": "4 EUR instead of 5"}, "did something else than it was asked: 4 EUR instead of 5 (a person has to accept that)."),
        ("failed", {"error_text": "no funds"}, "bank/pay had no effect and will have none: no funds."),
    ],
)  # fmt: skip
def test_each_state_has_its_sentence(desk: Desk, line: Line, state: str, more: dict[str, Any], sentence: str) -> None:
    assert sentence in line.document("calls", "show", desk.call(state, **more))["verdict"]


def test_what_is_masked_is_revealed_to_who_says_why(desk: Desk, line: Line) -> None:
    call = desk.call("succeeded")
    desk.owner.execute(
        "INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, send_by, ended_at, verdict, answer) VALUES (%s, 1, 'send', 1, 'w', 's', now(), now(), 'applied', %s)",
        (call, b"\xff\x1b[31m"),
    )
    shown = line.decide("calls", "reveal", call).output
    assert '"name": "Ada"' in shown
    assert "\x1b" not in shown
    assert desk.audit() == [("ada", "call.reveal", "call")]
    document = json.loads(line.decide("calls", "reveal", call, "--json").output)
    assert document[0] == {"what": "request", "text": '{"amount": "100", "name": "Ada"}'}
    assert document[-1] == {"what": "answer of attempt 1", "base64": "/xtbMzFt"}


@pytest.mark.parametrize("amount", ["NaN", "-5", "Infinity", "12,50", "1e400000", "five"])
def test_an_amount_that_is_no_money_is_refused(desk: Desk, line: Line, amount: str) -> None:
    refused = line.decide("calls", "refund", desk.call("succeeded"), "--amount", amount, status=2).output
    assert "is no amount of money like 12.50" in refused


def test_a_part_is_refunded(desk: Desk, line: Line) -> None:
    call = desk.call("succeeded")
    assert 'needs {"request": {...}}' in line.decide("calls", "refund", call, "--amount", "40", status=1).output
    line.decide("calls", "refund", call, "--amount", "40", "--request", '{"reference": "r-1", "amount": "40"}')
    assert (decision(desk)["amount"], decision(desk)["state"]) == (40, "proposed")
    line.decide("approvals", "withdraw", decision(desk)["id"])
    assert "are too much" in line.decide("calls", "refund", call, "--amount", "101", "--request", "{}", status=1).output


def group(desk: Desk, number: int = 3, **columns: Any) -> list[UUID]:
    calls = [desk.call(**columns) for _ in range(number)]
    for call in calls:
        desk.incident(call_id=call, amount="100", currency="EUR")
    return calls


def test_a_group_is_decided_at_once_by_two_people_from_a_frozen_list(desk: Desk, line: Line, tmp_path: Path) -> None:
    first, second, third = group(desk)
    frozen = tmp_path / "frozen.json"
    dry = line.run("calls", "not-applied", "--all-of", "bank/pay/timeout", "--dry-run", frozen).output
    assert "Nothing was changed" in dry
    assert desk.audit() == []
    group(desk, 1)  # what comes later is not decided about
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (second,))
    result = json.loads(line.decide("calls", "not-applied", "--from", frozen, "--json", status=1).output)
    assert result["refused"] == 1
    outcomes = {each["call"]: each["outcome"] for each in result["results"]}
    assert set(outcomes) == {str(first), str(second), str(third)}
    assert "the call has changed since it was seen" in outcomes[str(second)]
    again = json.loads(line.decide("calls", "not-applied", "--from", frozen, "--json", status=1).output)
    assert again["refused"] == 1, "a file that is used twice decides once"
    assert len(desk.all("SELECT id FROM onceward.resolution")) == 2
    batch = decision(desk)["batch_id"]
    assert "2 refused" in line.decide("approvals", "approve", "--batch", batch, status=1).output
    assert "2 done" in line.decide("approvals", "approve", "--batch", batch, actor="bob").output
    assert {row["state"] for row in desk.all("SELECT state FROM onceward.resolution")} == {"approved"}


def test_a_group_is_refunded_at_once(desk: Desk, line: Line, tmp_path: Path) -> None:
    group(desk, 2, state="succeeded")
    group(desk, 1, state="failed")
    frozen = tmp_path / "frozen.json"
    dry = line.document("calls", "refund", "--all-of", "bank/pay/timeout", "--dry-run", frozen)
    assert [each["allowed"] for each in dry] == [True, True, False]
    given = ("--from", frozen, "--request", "{}")
    assert "is not for many" in line.decide("calls", "refund", *given, status=2).output
    assert "2 done, 0 refused" in line.decide("calls", "refund", "--from", frozen).output


def test_a_group_is_looked_up_at_once(desk: Desk, line: Line, tmp_path: Path) -> None:
    calls = group(desk)
    frozen = tmp_path / "frozen.json"
    line.run("calls", "lookup", "--all-of", "bank/pay/timeout", "--dry-run", frozen)
    assert (
        "is a dry run of lookup for calls, not of resend"
        in line.decide("calls", "resend", "--from", frozen, status=1).output
    )
    assert "3 done" in line.decide("calls", "lookup", "--from", frozen).output
    assert {row["asked"] for row in desk.all("SELECT asked FROM onceward.call")} == {"lookup"}
    assert len(calls) == len(desk.audit()) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("--all-of", "x"), 2, "go together"),
        (("--all-of", "x", "--dry-run", "{there}"), 1, "no open incident of the group 'x'"),
        (("--from", "{there}"), 1, "is no file of a dry run"),
        (("--from", "/nowhere"), 1, "No such file"),
        ((), 2, "give a call, or --all-of"),
    ],
)
def test_a_slip_with_a_group_is_told(
    desk: Desk, line: Line, tmp_path: Path, arguments: tuple[str, ...], status: int, error: str
) -> None:
    there = tmp_path / "there"
    there.write_text("{}")
    given = [each.format(there=there) for each in arguments]
    assert error in line.decide("calls", "not-applied", *given, status=status).output


def test_a_dry_run_overwrites_no_file(desk: Desk, line: Line, tmp_path: Path) -> None:
    group(desk)
    frozen = tmp_path / "frozen.json"
    frozen.write_text("precious")
    line.run("calls", "lookup", "--all-of", "bank/pay/timeout", "--dry-run", frozen, status=1)
    assert frozen.read_text() == "precious"


def test_flows_are_paused_resumed_and_shown(desk: Desk, line: Line, tmp_path: Path) -> None:
    flow = desk.flow("blocked", error="Traceback\nKeyError: 'x'")
    call = desk.call("succeeded", flow_id=flow)
    desk.incident("flow_error", flow_id=flow, grp="transfers/KeyError")
    assert "KeyError: 'x'" in line.run("flows", "list", "--state", "blocked").output
    shown = line.run("flows", "show", flow).output
    assert "stands still and needs a person" in shown
    assert "If it is undone, in this order" in shown
    desk.call("succeeded", operation="refund", undoes=call, flow_id=flow, amount="40")
    stuck = desk.call("succeeded", operation="wire", flow_id=flow)
    document = line.document("flows", "show", flow)
    assert [step["call_id"] for step in document["undo"]] == [str(stuck), str(call)], "the last first, in part too"
    assert "nothing: a person has to" in line.run("flows", "show", flow).output
    line.decide("flows", "pause", flow)
    assert "paused" in line.run("flows", "list").output
    line.decide("flows", "resume", flow)
    assert desk.one("SELECT state, paused_at FROM onceward.flow WHERE id = %(id)s", id=flow) == {
        "state": "running",
        "paused_at": None,
    }
    assert "neither blocked nor paused" in line.decide("flows", "resume", flow, status=1).output
    assert "proposed" in line.decide("flows", "undo", flow).output
    assert [action for _, action, _ in desk.audit()] == ["flow.pause", "flow.resume", "denied", "decision.propose"]


def test_all_of_a_group_is_resumed_after_a_deploy(desk: Desk, line: Line, tmp_path: Path) -> None:
    for _ in range(2):
        desk.incident("flow_error", flow_id=desk.flow("blocked"), grp="transfers/KeyError")
    frozen = tmp_path / "frozen.json"
    line.run("flows", "resume", "--all-of", "transfers/KeyError", "--dry-run", frozen)
    line.decide("flows", "resume", "--from", frozen)
    assert {row["state"] for row in desk.all("SELECT state FROM onceward.flow")} == {"running"}


def test_incidents_are_grouped_taken_snoozed_and_noted(desk: Desk, line: Line) -> None:
    group(desk, 2)
    incident = desk.incident(call_id=desk.call(), amount="7", currency="USD")
    groups = line.document("incidents", "groups")
    assert (groups[0]["grp"], int(groups[0]["number"])) == ("bank/pay/timeout", 3)
    assert groups[0]["values"] == ["200 EUR", "7 USD"], "amounts of two currencies are never added"
    line.run("incidents", "claim", incident, *ACTOR)
    refused = line.run("incidents", "claim", incident, "--actor", "bob", status=1).output
    assert "ada has taken it already" in refused
    assert line.document("incidents", "list", "--assignee", "ADA")[0]["id"] == str(incident)
    line.decide("incidents", "snooze", incident, "--until", "2h")
    assert len(line.document("incidents", "list")) == 2
    assert len(line.document("incidents", "list", "--snoozed")) == 3
    line.run("incidents", "note", incident, "the bank \x1b[31mcalls back", *ACTOR)
    line.run("incidents", "unclaim", incident, "--actor", "bob")
    shown = line.run("incidents", "show", incident).output
    assert r"the bank \x1b[31mcalls back" in shown
    assert [action for _, action, _ in desk.audit()] == [
        "incident.claim", "denied", "incident.snooze", "note", "incident.unclaim",
    ]  # fmt: skip


def test_what_nothing_else_ends_is_closed_with_a_reason(desk: Desk, line: Line) -> None:
    late = desk.incident("late_signal", flow_id=desk.flow("completed"))
    assert "closed" in line.decide("incidents", "close", late).output
    assert line.document("incidents", "list") == []
    doubt = desk.incident(call_id=desk.call())
    refused = line.decide("incidents", "close", doubt, status=1).output
    assert "in_doubt is closed by what settles it" in refused
    assert [action for _, action, _ in desk.audit()] == ["incident.close", "denied"]


def test_flows_say_why_they_are_undone(desk: Desk, line: Line) -> None:
    flow = desk.flow("undone", undoing=True, undo_reason="a call failed: no funds")
    desk.flow("completed")
    assert "a call failed: no funds" in line.run("flows", "list", "--state", "undone").output
    assert [row["id"] for row in line.document("flows", "list", "--state", "undone")] == [str(flow)]
    assert "a call failed: no funds" in line.run("flows", "show", flow).output
    assert [row["id"] for row in line.document("flows", "list", "--key", str(flow))] == [str(flow)]


def test_contents_are_purged(desk: Desk, line: Line) -> None:
    call = desk.call("succeeded")
    assert "1 calls" in line.decide("purge", "--before", "30m").output
    shown = line.run("calls", "show", call).output
    assert shown.count("purged") >= 2
    assert "Ada" not in shown
    assert "its contents were purged" in line.decide("calls", "reveal", call, status=1).output
    assert "is not in the past" in line.decide("purge", "--before", "2100-01-01T00:00:00Z", status=1).output


def test_notes_are_written_about_calls_and_flows(desk: Desk, line: Line) -> None:
    call, flow = desk.call(), desk.flow()
    line.run("calls", "note", call, "they call back", *ACTOR)
    line.run("flows", "note", flow, "the client was told", *ACTOR)
    assert "they call back" in line.run("calls", "show", call).output
    assert "the client was told" in line.run("flows", "show", flow).output


def test_a_decision_does_not_wait_for_ever(desk: Desk, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.cli.deciding.PATIENCE", timedelta(milliseconds=50))
    call = desk.call()
    with desk.another() as left_open:
        left_open.execute("SELECT onceward.note('call', %s, 'hm', 'bob')", (str(call),))
        assert "was left open; nothing was changed" in line.decide("calls", "not-applied", call, status=1).output


def test_a_refusal_is_inert(desk: Desk, line: Line) -> None:
    line.run("providers", "stop", "bank", "--reason", "down \x1b[31mnow", "--actor", "ada")
    refused = line.decide("calls", "lookup", desk.call(), status=1).output
    assert r"the provider is stopped: down \x1b[31mnow" in refused


def test_what_was_held_and_is_let_go_twice_is_denied_once(desk: Desk, line: Line) -> None:
    hold = desk.one(
        "INSERT INTO onceward.hold (scope, topic, key, reason, actor) VALUES ('key', 't', 'k', 'too large', 'r') RETURNING hold_id"
    )["hold_id"]
    line.decide("held", "retry", hold)
    assert "is being released already" in line.decide("held", "retry", hold, status=1).output
    assert [action for _, action, _ in desk.audit()] == ["hold.release", "denied"]


def test_a_provider_is_stopped_and_started(desk: Desk, line: Line) -> None:
    call = desk.call("pending")
    line.decide("providers", "stop", "bank")
    assert "stopped by ada" in line.run("providers", "list").output
    assert "the provider is stopped" in str(desk.verbs(call)["resend"])
    assert "1 calls that waited go now" in line.decide("providers", "start", "bank").output
    assert desk.one("SELECT due_at <= now() AS due FROM onceward.call")["due"]
    assert "bank is not stopped" in line.decide("providers", "start", "bank", status=1).output
    assert "no worker has declared bnak" in line.decide("providers", "stop", "bnak", status=1).output


def test_rules_are_set_and_dropped(desk: Desk, line: Line) -> None:
    assert "the defaults count" in line.run("rules", "list").output
    line.decide("rules", "set", "--verb", "not-applied", "--currency", "EUR", "--above", "50", "--approvals", 0)
    assert "50 EUR" in line.run("rules", "list").output
    assert "approved" in line.decide("calls", "not-applied", desk.call()).output
    line.decide("rules", "drop", "--verb", "not-applied", "--currency", "EUR", "--above", "50")
    assert line.document("rules", "list") == {"solo": False, "rules": []}
    line.decide("rules", "solo", "on")
    assert "ONE PERSON DECIDES ALONE" in line.run("rules", "list").output
    alone = line.decide("calls", "not-applied", desk.call(), "--amount", "100").output
    assert "carried out after" in alone
    assert "approved, alone" in line.run("approvals", "list").output


def test_a_stale_decision_ends_with_status_1(desk: Desk, line: Line) -> None:
    call = desk.call()
    line.decide("calls", "not-applied", call)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
    stale = line.decide("approvals", "approve", decision(desk)["id"], actor="bob", status=1).output
    assert "stale: the call has changed since it was proposed" in stale


def test_what_is_not_there_is_told_in_one_line(desk: Desk, line: Line) -> None:
    nothing = UUID(int=1)
    for group, verb in (("calls", "not-applied"), ("flows", "undo"), ("flows", "show"), ("incidents", "show")):
        arguments = [group, verb, nothing, *([] if verb == "show" else ["--reason", REASON])]
        assert line.run(*arguments, status=1).output == f"Error: there is no {group[:-1]} {nothing}\n"
    assert "there is no decision" in line.decide("approvals", "approve", nothing, status=1).output
