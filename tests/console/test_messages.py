"""Messages that were set aside, on screen: nothing they hold is shown unless it is revealed."""

import pytest

from tests.console.running import Person
from tests.console.set_aside import clear, hold, hold_back, park
from tests.people.desk import Desk


@pytest.fixture
def desk(desk: Desk) -> Desk:
    clear(desk)
    return desk


def test_nothing_is_set_aside(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/messages").text
    assert "No incoming message is parked" in page
    assert "No outgoing message is held" in page


def test_what_is_set_aside_is_listed_without_what_it_holds(desk: Desk, somebody: Person) -> None:
    seq = park(desk)
    park(desk, state="held", attempts=0)
    held_by = hold(desk, key=b"order-9")
    hold_back(desk, held_by, key=b"order-9")
    number, _ = hold_back(desk)
    page = somebody.look("/messages").text
    assert f"/messages/payer/parked/{seq}" in page
    assert "ValueError: no such item" in page
    assert f"/messages/payer/holds/{held_by}" in page
    assert f"/messages/payer/held/{number}" in page
    assert "iban" not in page
    assert "No incoming message is parked that fits" in somebody.look("/messages", topic="others").text


def test_a_parked_message_is_handled_again_or_left_out(desk: Desk, somebody: Person) -> None:
    first, second = park(desk), park(desk, key=b"order-8")
    page = somebody.look(f"/messages/payer/parked/{first}")
    assert "iban" not in page.text
    done = somebody.send(f"/messages/payer/parked/{first}/retry", page, reason="the item is there now")
    assert "handles it again within seconds" in done.text
    done = somebody.send(f"/messages/payer/parked/{second}/discard", page, reason="it was a test")
    assert "left out" in done.text
    again = somebody.send(f"/messages/payer/parked/{second}/discard", page, reason="it was a test")
    assert again.status_code == 404
    assert [action for _, action, _ in desk.audit()] == ["message.retry", "message.discard"]


def test_what_is_not_possible_says_why_and_is_recorded(desk: Desk, somebody: Person) -> None:
    seq = park(desk, key=None, message_id=None, attempts=0)
    page = somebody.look(f"/messages/payer/parked/{seq}")
    assert "it cannot be read" in page.text
    refused = somebody.send(f"/messages/payer/parked/{seq}/retry", page, reason="try it")
    assert refused.status_code == 409
    assert "it cannot be read" in refused.text
    assert [action for _, action, _ in desk.audit()] == ["denied"]


def test_a_message_is_revealed_to_who_says_why(desk: Desk, somebody: Person) -> None:
    seq = park(desk)
    number, _ = hold_back(desk)
    for path in (f"/messages/payer/parked/{seq}", f"/messages/payer/held/{number}"):
        page = somebody.look(path)
        assert "iban" not in page.text
        shown = somebody.send(f"{path}/reveal", page, reason="the client asks")
        assert "iban" in shown.text
        assert somebody.send(f"{path}/reveal", page, reason="").status_code == 400
    assert [action for _, action, _ in desk.audit()] == ["message.reveal"] * 2


def test_a_payload_that_steers_text_is_shown_inert(desk: Desk, somebody: Person) -> None:
    seq = park(desk, payload="<b>\x1b[31m \u202e =cmd".encode() + b"\xff")
    path = f"/messages/payer/parked/{seq}"
    shown = somebody.send(f"{path}/reveal", somebody.look(path), reason="the client asks").text
    assert "&lt;b&gt;\\x1b[31m \\u202e =cmd\\xff" in shown


def test_a_hold_is_released_and_one_of_its_messages_left_out(desk: Desk, somebody: Person) -> None:
    held_by = hold(desk)
    number, message = hold_back(desk, held_by, key=b"order-7")
    hold_back(desk, held_by, key=b"order-7", state="behind")
    path = f"/messages/payer/holds/{held_by}"
    page = somebody.look(path)
    assert str(message) in page.text
    assert "left out" in somebody.send(f"/messages/payer/held/{number}/skip", page, reason="it is wrong").text
    assert "The relay sends" in somebody.send(f"{path}/release", page, reason="the topic takes it now").text
    assert "is being released" in somebody.look(path).text
    assert somebody.send(f"{path}/release", page, reason="the topic takes it now").status_code == 409
    assert [action for _, action, _ in desk.audit()] == ["message.skip", "hold.release", "denied"]


def test_a_message_without_a_key_is_sent_again(desk: Desk, somebody: Person) -> None:
    number, message = hold_back(desk)
    page = somebody.look(f"/messages/payer/held/{number}")
    done = somebody.send(f"/messages/payer/held/{number}/resend", page, reason="the topic takes it now")
    assert "back in the outbox" in done.text
    assert desk.one("SELECT message_id FROM onceward.outbox")["message_id"] == message


def test_more_than_a_page_of_parked_messages_goes_on(desk: Desk, somebody: Person) -> None:
    seqs = [park(desk, key=f"k{number}".encode()) for number in range(53)]
    page = somebody.look("/messages").text
    assert f"parked/{seqs[49]}" in page
    assert f"parked/{seqs[50]}" not in page
    assert f"after={seqs[49]}" in page
    page = somebody.look("/messages", participant="payer", after=str(seqs[49])).text
    assert f"parked/{seqs[49]}" not in page
    assert f"parked/{seqs[52]}" in page


def test_what_is_not_there_is_not_found(desk: Desk, somebody: Person) -> None:
    for path in ("parked/1", "parked/x", "held/99", "holds/x", "holds/00000000-0000-0000-0000-000000000000"):
        assert somebody.look(f"/messages/payer/{path}").status_code == 404, path
    assert somebody.look("/messages", message="x").status_code == 400
    assert somebody.look("/messages", after="x").status_code == 400
