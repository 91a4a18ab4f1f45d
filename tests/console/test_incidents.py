"""Incidents: taken, let go, set aside, noted; and those that are about neither call nor flow."""

from uuid import uuid4

from tests.console.forms import hidden, send, whoami
from tests.console.running import Person
from tests.people.desk import Desk


def test_an_incident_is_taken_and_let_go_from_where_one_is(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    incident = desk.incident(call_id=call)
    here = f"/calls/payer/{call}"
    page = somebody.look(here)
    assert "nobody has taken it" in page.text
    taken = somebody.send(f"/incidents/payer/{incident}/claim", page, to=here)
    assert taken.url.path == here
    assert f"{whoami(somebody)} is at it" in taken.text
    assert "nobody has taken it" in somebody.send(f"/incidents/payer/{incident}/unclaim", taken, to=here).text
    assert [action for _, action, _ in desk.audit()] == ["incident.claim", "incident.unclaim"]


def test_what_another_person_has_taken_is_not_taken_and_the_attempt_is_recorded(desk: Desk, somebody: Person) -> None:
    incident = desk.incident(call_id=desk.call())
    page = somebody.look("/")
    desk.do("claim", incident=incident, actor="bob")
    answer = somebody.send(f"/incidents/payer/{incident}/claim", page, to="/")
    assert answer.status_code == 409
    assert "bob has taken it already" in answer.text
    assert desk.audit()[-1] == (whoami(somebody), "denied", "incident")


def test_an_incident_is_set_aside_for_a_while(desk: Desk, somebody: Person) -> None:
    incident = desk.incident(call_id=desk.call())
    send(somebody, f"/incidents/payer/{incident}/snooze", **{"for": "4h", "reason": "they call back"})
    assert desk.one("SELECT snoozed_until > now() + interval '3 h' AS later FROM onceward.incident") == {"later": True}
    desk.owner.execute("UPDATE onceward.incident SET act_before = now() + interval '1 day'")
    for fields, words in (
        ({"for": "3d"}, "it has to be acted on before"),
        ({"for": "x"}, "choose one of"),
        ({"for": "1h", "reason": ""}, "say why"),
    ):
        answer = send(somebody, f"/incidents/payer/{incident}/snooze", **{"reason": "still silent", **fields})
        assert answer.status_code == 400
        assert words in answer.text


def test_what_nothing_else_ends_is_closed_with_a_reason(desk: Desk, somebody: Person) -> None:
    unmatched = desk.incident("conflict", call_id=desk.call("failed", error_text="declined"))
    assert f"/incidents/payer/{unmatched}/close" in somebody.look(f"/incidents/payer/{unmatched}").text
    page = send(somebody, f"/incidents/payer/{unmatched}/close", reason="the bank has corrected it")
    assert page.status_code == 200
    assert "Nothing waits for a person" in somebody.look("/").text
    assert [action for _, action, _ in desk.audit()] == ["incident.close"]


def test_what_a_decision_ends_is_not_closed(desk: Desk, somebody: Person) -> None:
    incident = desk.incident(call_id=desk.call())
    assert f"/incidents/payer/{incident}/close" not in somebody.look(f"/incidents/payer/{incident}").text
    answer = send(somebody, f"/incidents/payer/{incident}/close", reason="I want it away")
    assert answer.status_code == 400
    assert "in_doubt is closed by what settles it" in answer.text
    assert desk.audit()[-1] == (whoami(somebody), "denied", "incident")


def test_a_note_that_is_sent_twice_is_one(desk: Desk, somebody: Person) -> None:
    incident = desk.incident(call_id=desk.call())
    path = f"/incidents/payer/{incident}/note"
    page = somebody.look(path, to="/?ref=x")
    for _ in range(2):
        answer = somebody.send(path, page, **hidden(page), note="they call back")
    assert str(answer.url).endswith("/?ref=x"), "one returns to where one was"
    assert [action for _, action, _ in desk.audit()] == ["note"]


def test_a_form_leads_to_no_other_site(desk: Desk, somebody: Person) -> None:
    incident = desk.incident(call_id=desk.call())
    for to in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = somebody.send(f"/incidents/payer/{incident}/claim", somebody.look("/"), to=to)
        assert answer.url.path == f"/incidents/payer/{incident}"


def test_an_incident_about_a_message_has_a_page(desk: Desk, somebody: Person) -> None:
    message = uuid4()
    incident = desk.incident("parked_in", message_id=message, title="it cannot be read", grp="orders/ValueError")
    page = somebody.look(f"/incidents/payer/{incident}")
    assert str(message) in page.text
    assert "nobody" in page.text
    send(somebody, f"/incidents/payer/{incident}/note", note="asked the sender")
    assert "asked the sender" in somebody.look(f"/incidents/payer/{incident}").text
    assert somebody.look(f"/incidents/payer/{uuid4()}").status_code == 404
