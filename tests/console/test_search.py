"""Search: whatever somebody has in hand."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import Database, fresh_database
from tests.console.running import Person, running, settings_of
from tests.console.set_aside import clear, hold, hold_back, park
from tests.people.desk import Desk
from tests.servers.postgres import TestServer


@pytest.fixture
def desk(desk: Desk) -> Desk:
    clear(desk)
    return desk


def test_a_call_is_found_by_whatever_names_it(desk: Desk, somebody: Person) -> None:
    call = desk.call("succeeded", ref="order-7", key="idem-1", provider_ref="bank's own / 17")
    desk.call(ref="order-8")
    for text in ("order-7", "idem-1", "bank's own / 17", str(call), f"  {call} ", str(call).upper()):
        page = somebody.look("/search", q=text).text
        assert page.count("/calls/payer/") == 1, text
        assert f"/calls/payer/{call}" in page
    for text in ("order", "order-77", "ORDER-7", str(uuid4())):
        assert "Nothing goes by that" in somebody.look("/search", q=text).text


def test_a_flow_is_found_with_its_calls_and_a_call_with_its_flow(desk: Desk, somebody: Person) -> None:
    message = uuid4()
    flow = desk.flow(key="transfer-17", message_id=message)
    call = desk.call(flow_id=flow, ref="order-7")
    for text in ("transfer-17", str(flow), str(message), "order-7", str(call)):
        page = somebody.look("/search", q=text).text
        assert f"/flows/payer/{flow}" in page, text
        assert f"/calls/payer/{call}" in page, text


def test_incidents_and_decisions_are_found_with_what_they_are_about(desk: Desk, somebody: Person) -> None:
    call = desk.call(ref="order-7")
    incident = desk.incident(call_id=call, title="lost reply")
    decision = desk.propose("not_applied", call)
    for text in ("order-7", str(call), str(incident), str(decision["id"])):
        page = somebody.look("/search", q=text).text
        assert ">lost reply<" in page or text == str(decision["id"]), text
        assert f"/calls/payer/{call}" in page, text
    assert "not applied by ada" in somebody.look("/search", q="order-7").text


def test_an_incident_is_found_when_it_is_closed_too(desk: Desk, somebody: Person) -> None:
    desk.incident(call_id=desk.call(ref="order-7"), title="was settled")
    desk.owner.execute("UPDATE onceward.incident SET closed_at = now(), closed_by = 'ada'")
    page = somebody.look("/search", q="order-7").text
    assert "was settled" in page
    assert "closed" in page


def test_messages_are_found_by_id_and_by_the_key_that_a_reference_is(desk: Desk, somebody: Person) -> None:
    id_ = uuid4()
    seq = park(desk, key=b"order-7", message_id=id_)
    number, out = hold_back(desk, hold(desk, key=b"order-7"), key=b"order-7")
    page = somebody.look("/search", q="order-7").text
    assert f"/messages/payer/parked/{seq}" in page
    assert f"/messages/payer/held/{number}" in page
    assert f"/messages/payer/parked/{seq}" in somebody.look("/search", q=str(id_)).text
    assert f"/messages/payer/held/{number}" in somebody.look("/search", q=str(out)).text
    desk.owner.execute(
        "INSERT INTO onceward.inbox (consumer, message_id, digest) VALUES ('z', %s, sha256('y'))", (out,)
    )
    page = somebody.look("/search", q=str(out)).text
    assert "message in" in page
    assert "done" in page


@pytest.fixture
def two(postgres: TestServer, home: Database, shared_database: Database) -> Iterator[tuple[Person, Desk]]:
    """Somebody at a console with two participants, and the desk of the second."""
    with fresh_database(postgres, installed=True) as shop:
        settings = settings_of(home, {"payer": shared_database.console_url, "shop": shop.console_url})
        with running(settings) as console, console.person() as person:
            desk = Desk(shop)
            yield person, desk
            desk.close()


def test_one_link_shows_a_reference_across_participants_in_the_order_of_time(
    desk: Desk, two: tuple[Person, Desk]
) -> None:
    person, shop = two
    shipped = shop.call(ref="order-7", operation="wire")
    later, earlier = desk.call(ref="order-7"), desk.call(ref="order-7", operation="wire")
    desk.owner.execute("UPDATE onceward.call SET created_at = now() - interval '1 day' WHERE id = %s", (earlier,))
    page = person.look("/search", q="order-7").text
    places = [
        page.index(f"/calls/{name}/{id_}") for name, id_ in (("payer", earlier), ("payer", later), ("shop", shipped))
    ]
    assert places == sorted(places)
    assert page.index(">payer</h2>") < places[0] < page.index(">shop</h2>") < places[2]


def test_examples_are_shown_before_anything_is_asked(somebody: Person) -> None:
    assert "order-4711" in somebody.look("/search").text


@pytest.mark.parametrize("text", ["x" * 1025, "a\0b"])
def test_what_cannot_be_searched_for_is_refused(somebody: Person, text: str) -> None:
    assert somebody.look("/search", q=text).status_code == 400


@pytest.mark.parametrize("text", ["'", "%s", "%", "\\", "<script>", "\u202e", "ключ", "; DROP TABLE x", "\ud7ff"])
def test_any_text_may_be_searched_for(somebody: Person, text: str) -> None:
    page = somebody.look("/search", q=text)
    assert page.status_code == 200
    assert "<script>" not in page.text
