"""What pages show."""

from tests.console.running import Person
from tests.people.desk import Desk


def test_nothing_waits(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/")
    assert page.status_code == 200
    assert "Nothing waits for a person" in page.text


def test_what_waits_is_listed_in_groups_and_one_by_one(desk: Desk, somebody: Person) -> None:
    call = desk.call(ref="order-7")
    desk.incident(call_id=call, ref="order-7", amount=100, currency="EUR")
    page = somebody.look("/")
    assert "bank/pay/timeout" in page.text
    assert "100 EUR" in page.text
    assert f"/calls/payer/{call}" in page.text
    assert "Nothing waits" in somebody.look("/", ref="order-8").text


def test_a_call_is_shown_masked_with_its_verdict_and_verbs(desk: Desk, somebody: Person) -> None:
    call = desk.call(ref="order-7")
    page = somebody.look(f"/calls/payer/{call}")
    assert page.status_code == 200
    assert "may or may not have taken effect" in page.text
    assert "&#34;name&#34;: &#34;***&#34;" in page.text
    assert "Ada" not in page.text
    assert "settles it as failed" in page.text


def test_what_steers_text_is_written_out(desk: Desk, somebody: Person) -> None:
    desk.incident(call_id=desk.call(), title="<b>bold</b> \u202egnp.exe \x1b[31m")
    page = somebody.look("/")
    assert "&lt;b&gt;bold&lt;/b&gt; \\u202egnp.exe \\x1b[31m" in page.text


def test_what_is_not_there_is_not_found(somebody: Person) -> None:
    for path in ("/calls/payer/no-id", "/calls/nobody/00000000-0000-0000-0000-000000000000", "/no-such-page"):
        assert somebody.look(path).status_code == 404
