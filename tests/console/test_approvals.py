"""Approvals: what waits for another person, agreed to, rejected, withdrawn; one by one and a whole batch."""

from uuid import UUID, uuid4

import httpx

from tests.console.forms import done, hidden, send, whoami
from tests.console.running import Person
from tests.people.desk import Desk


def part(page: httpx.Response, heading: str) -> str:
    """Return the part of a page under a heading."""
    return page.text.split(f">{heading}</h2>")[1].split("</section>")[0]


def test_nothing_waits(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/approvals")
    assert "Nothing waits for you" in page.text
    assert "Nothing of yours is open" in page.text


def test_decisions_stand_where_they_wait(desk: Desk, somebody: Person) -> None:
    me = whoami(somebody)
    theirs = desk.propose("not_applied", desk.call(ref="order-1"))
    mine = desk.propose("not_applied", desk.call(ref="order-2"), actor=me.upper())
    withdrawn = desk.do(
        "withdraw", id=desk.propose("not_applied", desk.call(ref="order-3"))["id"], actor="ada", reason="no"
    )
    page = somebody.look("/approvals")
    assert str(theirs["id"]) in part(page, "Wait for you")
    assert str(mine["id"]) in part(page, "You have proposed"), "names are told apart without regard to case"
    assert str(mine["id"]) not in part(page, "Wait for you")
    assert str(withdrawn["id"]) in part(page, "Decided recently")


def test_another_person_agrees(desk: Desk, somebody: Person) -> None:
    decision = desk.propose("not_applied", desk.call())
    here = f"/approvals/payer/{decision['id']}"
    page = send(somebody, here, to=f"{here}/approve", reason="I saw it too")
    assert "waits for a worker" in page.text
    assert f"agreed to by {whoami(somebody)}" in page.text
    assert desk.audit()[-1] == (whoami(somebody), "decision.approve", "call")


def test_another_person_rejects_it_with_a_reason(desk: Desk, somebody: Person) -> None:
    decision = desk.propose("not_applied", desk.call())
    here = f"/approvals/payer/{decision['id']}"
    assert send(somebody, here, to=f"{here}/reject", reason=" ").status_code == 400
    page = send(somebody, here, to=f"{here}/reject", reason="look at the statement again")
    assert "look at the statement again" in page.text
    assert desk.one("SELECT state FROM onceward.resolution") == {"state": "rejected"}


def test_one_withdraws_what_one_has_proposed_and_cannot_agree_to_it(desk: Desk, somebody: Person) -> None:
    me = whoami(somebody)
    decision = desk.propose("not_applied", desk.call(), actor=me)
    here = f"/approvals/payer/{decision['id']}"
    page = somebody.look(here)
    assert "Withdraw" in page.text
    assert f"{here}/approve" not in page.text
    refused = somebody.send(f"{here}/approve", page, reason="I agree with myself")
    assert refused.status_code == 409
    assert "another person has to agree" in refused.text
    assert desk.audit()[-1] == (me, "denied", "call")
    assert "withdrawn" in send(somebody, here, to=f"{here}/withdraw", reason="a mistake").text


def test_of_two_who_agree_the_second_is_told_who_was_first(desk: Desk, somebody: Person) -> None:
    decision = desk.propose("not_applied", desk.call())
    here = f"/approvals/payer/{decision['id']}"
    page = somebody.look(here)
    desk.approve(decision, actor="bob")
    answer = somebody.send(f"{here}/approve", page, reason="I saw it too")
    assert answer.status_code == 409
    assert "is approved already" in answer.text
    assert "agreed to by bob" in answer.text


def test_what_has_changed_since_it_was_proposed_is_stale(desk: Desk, somebody: Person) -> None:
    call = desk.call()
    decision = desk.propose("not_applied", call)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (call,))
    here = f"/approvals/payer/{decision['id']}"
    assert "has changed since this was proposed" in somebody.look(here).text
    page = send(somebody, here, to=f"{here}/approve", reason="I saw it too")
    assert "the call has changed since it was proposed" in page.text


def batch_of(desk: Desk, number: int, actor: str = "ada") -> tuple[UUID, list[UUID]]:
    batch = uuid4()
    calls = [desk.call(ref=f"order-{no}") for no in range(number)]
    for call in calls:
        desk.propose("not_applied", call, batch=batch, actor=actor)
    return batch, calls


def test_a_batch_is_agreed_to_with_a_result_for_each(desk: Desk, somebody: Person) -> None:
    batch, calls = batch_of(desk, 4)
    desk.owner.execute("UPDATE onceward.call SET version = version + 1 WHERE id = %s", (calls[1],))
    assert "not applied for many" in part(somebody.look("/approvals"), "Wait for you")
    here = f"/approvals/payer/batches/{batch}"
    page = done(somebody, send(somebody, here, to=f"{here}/approve", reason="checked the list"))
    assert "Done: 3 of 4, 1 refused" in page.text
    assert "stale: the call has changed since it was proposed" in page.text
    states = desk.all("SELECT state, count(*) AS n FROM onceward.resolution GROUP BY state ORDER BY state")
    assert states == [{"state": "approved", "n": 3}, {"state": "stale", "n": 1}]


def test_a_batch_is_found_by_its_id(desk: Desk, somebody: Person) -> None:
    batch, _ = batch_of(desk, 1)
    assert somebody.look("/approvals", batch=str(batch)).url.path == f"/approvals/payer/batches/{batch}"
    for nothing in (str(uuid4()), "none"):
        assert somebody.look("/approvals", batch=nothing).status_code == 404


def test_what_joins_a_batch_after_it_was_seen_is_not_agreed_to(desk: Desk, somebody: Person) -> None:
    batch, _ = batch_of(desk, 2)
    here = f"/approvals/payer/batches/{batch}"
    page = somebody.look(here)
    desk.propose("not_applied", desk.call(), batch=batch)
    for _ in range(2):  # a double click
        answer = somebody.send(f"{here}/approve", page, **hidden(page), reason="checked the list")
    assert "Done: 2 of 2" in done(somebody, answer).text
    assert desk.one("SELECT count(*) AS n FROM onceward.resolution WHERE state = 'proposed'") == {"n": 1}


def test_ones_own_batch_is_withdrawn_and_not_agreed_to(desk: Desk, somebody: Person) -> None:
    batch, _ = batch_of(desk, 2, whoami(somebody))
    here = f"/approvals/payer/batches/{batch}"
    page = somebody.look(here)
    assert "Withdraw all" in page.text
    forced = done(somebody, somebody.send(f"{here}/approve", page, **hidden(page), reason="I agree with myself"))
    assert "another person has to agree" in forced.text
    assert [action for _, action, _ in desk.audit()].count("denied") == 2
    assert "Done: 2 of 2" in done(somebody, send(somebody, here, to=f"{here}/withdraw", reason="a mistake")).text
