"""Each verb by its form: what is shown before, what is done, what is refused, and that once is once."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.console.forms import hidden, send, whoami
from tests.console.running import FORM_TOKEN, Person, RunningConsole
from tests.people.desk import REASON, Desk

RESULT = {
    "properties": {
        "reference": {"type": "string", "minLength": 2},
        "amount": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "paid": {"type": "boolean"},
        "parts": {"type": "integer", "minimum": 1},
        "way": {"$ref": "#/$defs/Way"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["reference", "amount", "paid", "parts", "way"],
    "$defs": {"Way": {"type": "string", "enum": ["sepa", "swift"]}},
}
GOOD = {
    "result.reference": "r-9", "result.amount": "100.50", "result.paid": "true", "result.parts": "2",
    "result.way": '"swift"', "evidence_kind": "statement", "evidence_reference": "line 7", "reason": REASON,
}  # fmt: skip


@pytest.fixture
def schema(desk: Desk) -> None:
    """Let the bank answer with a result of several fields."""
    desk.owner.execute("UPDATE onceward.operation SET result_schema = %s WHERE name = 'pay'", (Jsonb(RESULT),))


def test_a_form_says_what_will_happen_and_who_has_to_agree(desk: Desk, somebody: Person) -> None:
    page = somebody.look(f"/calls/payer/{desk.call()}/not_applied")
    assert "A worker settles the call as failed" in page.text
    assert "Another person has to agree" in page.text
    applied = somebody.look(f"/calls/payer/{desk.call()}/applied")
    assert "Nobody else has to agree" in applied.text


def test_a_verb_that_is_not_possible_shows_why_and_no_form(desk: Desk, somebody: Person) -> None:
    page = somebody.look(f"/calls/payer/{desk.call('succeeded')}/not_applied")
    assert page.status_code == 200
    assert "it is settled as succeeded" in page.text
    assert 'class="deciding"' not in page.text


@pytest.mark.parametrize(("verb", "state"), [("lookup", "in_doubt"), ("resend", "pending")])
def test_what_takes_effect_at_once_is_asked_for(desk: Desk, somebody: Person, verb: str, state: str) -> None:
    call = desk.call(state)
    page = send(somebody, f"/calls/payer/{call}/{verb}", reason="the client waits")
    assert page.url.path == f"/calls/payer/{call}"
    assert "is asked for" in page.text
    assert desk.audit() == [(whoami(somebody), f"call.{verb}", "call")]


def test_a_form_that_is_sent_twice_counts_once_and_denies_nothing(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/lookup"
    page = somebody.look(path)
    for _ in range(2):
        answer = somebody.send(path, page, **hidden(page), reason="the client waits")
    assert "sent before" in answer.text
    assert [action for _, action, _ in desk.audit()] == ["call.lookup"]


def test_a_refusal_is_told_on_the_form_and_recorded_in_the_audit(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/lookup"
    page = somebody.look(path)
    desk.do("ask", call=call, what="lookup", actor="bob", reason="I was first")
    answer = somebody.send(path, page, **hidden(page), reason="the client waits")
    assert answer.status_code == 409
    assert "that was asked for already" in answer.text
    assert "bob" in answer.text, "it says who was first"
    assert "I was first" in answer.text
    assert desk.audit()[-1] == (whoami(somebody), "denied", "call")


def test_a_form_that_was_refused_can_be_sent_again(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    desk.do("stop_provider", provider="bank", actor="bob", reason="they migrate")
    path = f"/calls/payer/{call}/note"
    page = somebody.look(path)
    assert somebody.send(path, page, **hidden(page), note=" ").status_code == 400
    answer = somebody.send(path, page, **hidden(page), note="they call back")
    assert "Your note is in the audit" in answer.text
    assert "they call back" in answer.text


def test_a_decision_waits_for_another_person(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    page = send(somebody, f"/calls/payer/{call}/not_applied", reason=REASON)
    assert "waits for another person to agree" in page.text
    row = desk.one("SELECT verb, state, proposed_by, seen_version FROM onceward.resolution")
    assert row == {"verb": "not_applied", "state": "proposed", "proposed_by": whoami(somebody), "seen_version": 1}


def test_a_double_click_is_one_decision(desk: Desk, somebody: Person) -> None:
    path = f"/calls/payer/{desk.call()}/not_applied"
    page = somebody.look(path)
    for _ in range(2):
        assert somebody.send(path, page, **hidden(page), reason=REASON).status_code == 200
    assert [action for _, action, _ in desk.audit()] == ["decision.propose"]


def test_a_form_that_was_changed_after_it_was_sent_decides_nothing_else(desk: Desk, somebody: Person) -> None:
    path = f"/calls/payer/{desk.call()}/not_applied"
    page = somebody.look(path)
    somebody.send(path, page, **hidden(page), reason=REASON)
    answer = somebody.send(path, page, **hidden(page), reason="quite another reason")
    assert answer.status_code == 409
    assert "is another decision already" in answer.text
    assert "quite another reason" in answer.text
    assert desk.one("SELECT count(*) AS n FROM onceward.resolution") == {"n": 1}


def test_a_stale_page_says_what_has_changed_and_keeps_what_was_typed(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/not_applied"
    page = somebody.look(path)
    desk.evidence(call, says="unclear", actor="bob")
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
    answer = somebody.send(path, page, **hidden(page), reason=REASON)
    assert answer.status_code == 409
    assert "it is at version 2, not 1" in answer.text
    assert "bob brought evidence" in answer.text
    assert REASON in answer.text
    assert desk.audit()[-1][1] == "denied"
    again = somebody.send(path, answer, **hidden(answer), reason=REASON)
    assert "waits for another person" in again.text, "the form that was shown again knows the new version"


def test_of_two_people_the_second_is_told_who_was_first(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/not_applied"
    page = somebody.look(path)
    desk.propose("applied", call, actor="bob")
    answer = somebody.send(path, page, **hidden(page), reason=REASON)
    assert answer.status_code == 409
    assert "of bob waits for a worker" in answer.text
    assert f"What you had written: “{REASON}”" in answer.text
    assert desk.audit()[-1] == (whoami(somebody), "denied", "call")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"result.reference": ""}, "at least 2 characters"),
        ({"result.reference": "r"}, "at least 2 characters"),
        ({"result.amount": "12,50"}, "is no number like 12.50"),
        ({"result.paid": ""}, "is missing"),
        ({"result.parts": "1.5"}, "is no whole number"),
        ({"result.parts": "0"}, "at least 1"),
        ({"result.way": '"pigeon"'}, "choose one of"),
        ({"evidence_reference": ""}, "give the provider"),
        ({"evidence_kind": "rumour"}, "choose one of"),
        ({"reason": "too short"}, "say why, in 10 to 4,000 characters"),
        ({"evidence": str(uuid4())}, "this evidence is not here"),
        ({"result.reference": "r\0"}, "cannot be stored"),
    ],
)
def test_a_result_is_checked_field_by_field(
    desk: Desk, somebody: Person, schema: None, wrong: dict[str, str], words: str
) -> None:
    answer = send(somebody, f"/calls/payer/{desk.call()}/applied", **{**GOOD, **wrong})
    assert answer.status_code == 400
    assert words in answer.text
    assert 'value="100.50"' in answer.text or "12,50" in answer.text, "what was typed is still there"
    assert desk.audit() == []


def test_a_result_and_its_evidence_are_one_decision(desk: Desk, somebody: Person, schema: None) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/applied"
    page = somebody.look(path)
    token = FORM_TOKEN.search(page.text)
    assert token is not None
    fields = {**hidden(page), **GOOD, "form_token": token[1]}
    for _ in range(2):
        answer = somebody.http.post(path, data=fields, files={"evidence_file": ("scan.pdf", b"\xff\x00 %PDF")})
        assert answer.status_code == 200, answer.text
    assert "waits for a worker" in answer.text
    assert "No worker has been seen" in answer.text
    decision = desk.one("SELECT body, evidence_id, state FROM onceward.resolution")
    assert decision["body"] == {
        "result": {"reference": "r-9", "amount": "100.50", "paid": True, "parts": 2, "way": "swift"}
    }
    evidence = desk.one("SELECT id, kind, says, reference, body FROM onceward.evidence")
    assert evidence["id"] == decision["evidence_id"]
    assert (evidence["kind"], evidence["says"], bytes(evidence["body"])) == ("statement", "applied", b"\xff\x00 %PDF")


def test_evidence_that_is_there_can_be_chosen(desk: Desk, somebody: Person, schema: None) -> None:
    call = desk.call()
    evidence = desk.evidence(call)
    send(somebody, f"/calls/payer/{call}/applied", **{**GOOD, "evidence": str(evidence), "evidence_reference": ""})
    assert desk.one("SELECT evidence_id FROM onceward.resolution") == {"evidence_id": evidence}


def test_a_refused_result_leaves_no_evidence(desk: Desk, somebody: Person, schema: None) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/applied"
    page = somebody.look(path)
    desk.propose("not_applied", call, actor="bob")
    assert somebody.send(path, page, **hidden(page), **GOOD).status_code == 409
    assert desk.all("SELECT id FROM onceward.evidence") == []


def test_a_file_that_is_too_large_is_refused_by_name(desk: Desk, somebody: Person) -> None:
    path = f"/calls/payer/{desk.call()}/evidence"
    page = somebody.look(path)
    fields = {**hidden(page), "says": "applied", "evidence_kind": "statement"}
    answer = somebody.http.post(path, data=fields, files={"evidence_file": ("scan.pdf", bytes(1_048_577))})
    assert answer.status_code == 400
    assert "has more than 1,048,576 bytes" in answer.text


def test_an_operation_without_simple_fields_takes_a_document(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/applied"
    for text, words in (
        ("{", "is no JSON"),
        ("[]", "must be a JSON object"),
        ('{"a": 1, "a": 2}', "stands in it twice"),
        ("{}", "is missing"),
        ('{"reference": "\\u0000"}', "unsupported Unicode escape sequence"),
    ):
        answer = send(somebody, path, **{**GOOD, "result": text})
        assert answer.status_code == 400
        assert words in answer.text
    send(somebody, path, **{**GOOD, "result": '{"reference": "r-9", "more": [1]}'})
    assert desk.one("SELECT body FROM onceward.resolution")["body"]["result"] == {"reference": "r-9", "more": [1]}


def test_evidence_is_added_once(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    path = f"/calls/payer/{call}/evidence"
    page = somebody.look(path)
    fields = {"says": "unclear", "evidence_kind": "provider_support", "evidence_reference": "ticket 5"}
    for _ in range(2):
        answer = somebody.send(path, page, **hidden(page), **fields)
    assert "Your evidence is kept" in answer.text
    assert "ticket 5" in answer.text
    assert [action for _, action, _ in desk.audit()] == ["evidence.add"]


def test_a_part_is_refunded_with_a_request_of_its_own(desk: Desk, somebody: Person) -> None:
    call = desk.call("succeeded")
    path = f"/calls/payer/{call}/refund"
    for fields, words in (
        ({"amount": "40"}, "needs {&#34;request&#34;: {...}}"),
        ({"amount": "140", "request": "{}"}, "so 140 are too much"),
        ({"amount": "forty"}, "is no amount of money"),
    ):
        answer = send(somebody, path, reason=REASON, **fields)
        assert answer.status_code in (400, 409)
        assert words in answer.text
    page = send(somebody, path, reason=REASON, amount="40", request='{"reference": "r-1"}')
    assert "waits for another person" in page.text
    assert desk.one("SELECT amount, body FROM onceward.resolution") == {
        "amount": 40, "body": {"request": {"reference": "r-1"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "columns"),
    [("new_key", {"state": "failed"}), ("accept_difference", {"state": "succeeded", "difference": "4 EUR"})],
)
def test_the_other_decisions_are_proposed(desk: Desk, somebody: Person, verb: str, columns: dict[str, Any]) -> None:
    call = desk.call(flow_id=desk.flow(), **columns)
    send(somebody, f"/calls/payer/{call}/{verb}", reason=REASON)
    assert desk.one("SELECT verb FROM onceward.resolution") == {"verb": verb}


def test_one_who_decides_alone_types_the_amount_and_is_told_of_the_delay(desk: Desk, somebody: Person) -> None:
    desk.do("set_solo", solo=True, actor="ada", reason="there is but me")
    call = desk.call()
    path = f"/calls/payer/{call}/not_applied"
    assert "ten minutes after" in somebody.look(path).text
    assert "type the amount" in send(somebody, path, reason=REASON).text
    assert "it is 100 EUR, not 99" in send(somebody, path, reason=REASON, amount="99").text
    page = send(somebody, path, reason=REASON, amount="100.00")
    assert "until then it can be withdrawn" in page.text
    assert desk.one("SELECT solo, not_before > now() + interval '9 min' AS late FROM onceward.resolution") == {
        "solo": True,
        "late": True,
    }


def test_contents_are_shown_inert_and_the_audit_says_who_looked(desk: Desk, somebody: Person) -> None:
    call = desk.call(request=b'{"name": "<b>Ada</b> \\u202e"}')
    desk.evidence(call, body=b"\xff<script>")
    path = f"/calls/payer/{call}/reveal"
    assert send(somebody, path, reason=" ").status_code == 400
    page = send(somebody, path, reason="the client asks")
    assert page.status_code == 200
    assert "&lt;b&gt;Ada&lt;/b&gt;" in page.text
    assert "/zxzY3JpcHQ+" in page.text, "what is no text is shown in base64"
    assert page.headers["cache-control"] == "no-store"
    assert desk.audit()[-1] == (whoami(somebody), "call.reveal", "call")


@pytest.mark.parametrize(
    ("verb", "state", "action"),
    [
        ("pause", "running", "flow.pause"),
        ("resume", "blocked", "flow.resume"),
        ("undo", "waiting", "decision.propose"),
        ("close", "blocked", "decision.propose"),
    ],
)
def test_each_verb_of_a_flow(desk: Desk, somebody: Person, verb: str, state: str, action: str) -> None:
    flow = desk.flow(state)
    desk.call("succeeded", flow_id=flow)
    assert "refund" in somebody.look(f"/flows/payer/{flow}/undo").text, "the undo that would run is shown"
    page = send(somebody, f"/flows/payer/{flow}/{verb}", reason=REASON)
    assert page.url.path == f"/flows/payer/{flow}"
    assert desk.audit() == [(whoami(somebody), action, "flow")]
    refused = send(somebody, f"/flows/payer/{desk.flow('running')}/note", note="they call back")
    assert "they call back" in refused.text


def test_a_flow_is_shown_with_its_steps_and_what_would_be_undone(desk: Desk, somebody: Person) -> None:
    flow = desk.flow("blocked", failures=3, error="Traceback\nKeyError: 'x'")
    call = desk.call("succeeded", flow_id=flow)
    desk.incident("flow_error", flow_id=flow, title="it cannot go on")
    desk.incident(call_id=call, flow_id=flow, title="the bank is silent")
    page = somebody.look(f"/flows/payer/{flow}")
    assert "stands still: a person decides" in page.text
    assert "KeyError: &#39;x&#39;" in page.text
    assert f"/calls/payer/{call}" in page.text
    assert "What would be undone" in page.text
    assert "it cannot go on" in page.text
    assert "the bank is silent" in page.text
    assert somebody.look(f"/flows/payer/{UUID(int=1)}").status_code == 404


def test_a_call_says_why_nothing_is_sent_again(desk: Desk, somebody: Person) -> None:
    call = desk.call(operation="wire")
    page = somebody.look(f"/calls/payer/{call}").text
    assert "Why nothing is sent again" in page
    assert "takes none: a request that is sent again could take effect twice" in page
    assert "The provider offers none" in page
    assert "It was sent in merchant-1" in page
    keyed = somebody.look(f"/calls/payer/{desk.call()}").text
    assert "remembers it for 1 d, so the same bytes may go again until" in keyed
    assert re.search(r"printed by \S+ on \d{4}-\d\d-\d\d", keyed), "an auditor can file it"


def test_a_call_shows_what_happened_in_the_order_of_time(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    desk.owner.execute(
        "INSERT INTO onceward.attempt (call_id, no, kind, epoch, worker, scope, began_at, send_by, ended_at, verdict, detail)"
        " VALUES (%s, 1, 'send', 1, 'worker-1', 's', now() - interval '1 hour', now(), now(), 'unknown', 'timed out')",
        (call,),
    )
    desk.do("note", subject_kind="call", subject=str(call), note="I rang them", actor="bob")
    desk.evidence(call, says="unclear", actor="carol")
    page = somebody.look(f"/calls/payer/{call}").text
    happened = page[page.index('class="timeline"') :]
    assert happened.index("sent, attempt 1") < happened.index("I rang them") < happened.index("carol")


def test_an_open_decision_is_shown_with_the_workers_last_sign_of_life(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    desk.propose("applied", call)
    desk.owner.execute("INSERT INTO onceward.worker (name, flows, providers) VALUES ('worker-7', '{}', '{bank}')")
    page = somebody.look(f"/calls/payer/{call}").text
    desk.owner.execute("DELETE FROM onceward.worker")
    assert "waits for a worker" in page
    assert "worker-7" in page
    assert "the decision &#34;applied&#34; of ada waits for a worker" in page, "the others say why not now"


def test_a_form_of_another_session_is_not_taken(desk: Desk, console: RunningConsole) -> None:
    call = desk.call()
    with console.person() as first, console.person() as second:
        page = first.look(f"/calls/payer/{call}/lookup")
        second.look("/")
        assert second.send(f"/calls/payer/{call}/lookup", page, **hidden(page), reason="x").status_code == 403
    assert desk.audit() == []
