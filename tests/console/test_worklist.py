"""The worklist: filters that stand in its URL, saved views, page after page, groups, and who did not answer."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.conftest import Database
from tests.console.running import Person, running, settings_of
from tests.people.desk import Desk

NOWHERE = "postgresql://console@127.0.0.1:1/nowhere"
TITLE = re.compile(r"incident (\d+)<")


@pytest.fixture
def mixed(desk: Desk) -> None:
    """Incidents of several kinds, of two providers and of several people."""
    desk.incident(
        call_id=desk.call(), title="lost reply", grp="bank/pay/timeout", ref="order-1", amount=5, currency="EUR"
    )
    desk.incident(
        "mismatch",
        call_id=desk.call("succeeded"),
        title="other sum",
        grp="bank/pay/mismatch",
        severity=2,
        assignee="Bob",
    )
    desk.incident("flow_error", flow_id=desk.flow("blocked"), title="code error", grp="transfers/KeyError", severity=2)
    desk.incident("in_doubt", call_id=desk.call(), title="no parcel", grp="carrier/ship/timeout", severity=3)


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({}, {"lost reply", "other sum", "code error", "no parcel"}),
        ({"kind": "flow_error"}, {"code error"}),
        ({"severity": "2"}, {"other sum", "code error"}),
        ({"provider": "bank"}, {"lost reply", "other sum"}),
        ({"provider": "ban"}, set()),
        ({"ref": "order-1"}, {"lost reply"}),
        ({"group": "bank/pay/timeout"}, {"lost reply"}),
        ({"assignee": "bob"}, {"other sum"}),
        ({"assignee": "nobody"}, {"lost reply", "code error", "no parcel"}),
        ({"assignee": "me"}, set()),
        ({"participant": "nobody-of-that-name"}, set()),
        ({"kind": "in_doubt", "severity": "3"}, {"no parcel"}),
    ],
)
def test_filters_stand_in_the_url(somebody: Person, filters: dict[str, str], titles: set[str]) -> None:
    page = somebody.look("/", **filters).text
    assert {title for title in ("lost reply", "other sum", "code error", "no parcel") if f">{title}<" in page} == titles
    if not titles:
        assert "Nothing waits for a person that fits this filter" in page


def test_what_was_set_aside_is_shown_when_it_is_asked_for(desk: Desk, somebody: Person) -> None:
    desk._insert(
        "incident",
        {"kind": "in_doubt", "call_id": desk.call(), "grp": "g", "severity": 1, "title": "asleep"},
        {"snoozed_until": timedelta(hours=1)},
    )
    assert "asleep" not in somebody.look("/").text
    assert "asleep" in somebody.look("/", snoozed="yes").text


@pytest.mark.parametrize("filters", [{"kind": "nonsense"}, {"severity": "9"}, {"ref": "a\0b"}, {"after": "here"}])
def test_a_filter_that_is_none_is_refused_by_its_name(somebody: Person, filters: dict[str, str]) -> None:
    page = somebody.look("/", **filters)
    assert page.status_code == 400
    assert next(iter(filters)) + ":" in page.text or "a filter holds" in page.text


def test_page_after_page_shows_each_incident_once_while_others_come_and_go(desk: Desk, somebody: Person) -> None:
    ids = [
        desk.incident(call_id=desk.call(), title=f"incident {number}", severity=number % 3 + 1) for number in range(120)
    ]
    seen: list[str] = []
    page = somebody.look("/")
    while True:
        seen += TITLE.findall(page.text)
        link = re.search(r'rel="next" href="([^"]+)"', page.text)
        if link is None:
            break
        desk.incident(call_id=desk.call(), title="a new one, most severe", severity=1)
        desk.owner.execute("UPDATE onceward.incident SET closed_at = now(), closed_by = 'x' WHERE id = %s", (ids[0],))
        page = somebody.look(link[1].replace("&amp;", "&"))
    assert sorted(map(int, seen)) == sorted(set(map(int, seen))), "none twice"
    assert set(map(int, seen)) == set(range(120))


def test_groups_count_and_keep_currencies_apart(desk: Desk, somebody: Person) -> None:
    for amount, currency in ((5, "EUR"), (7, "EUR"), (9, "USD")):
        desk.incident(call_id=desk.call(), amount=amount, currency=currency)
    page = somebody.look("/").text
    assert '<span class="value">12 EUR</span><br><span class="value">9 USD</span>' in page
    assert "21" not in re.sub(r"<time.*?</time>|[0-9a-f-]{36}", "", page)


def test_counts_that_end_early_say_so(desk: Desk, somebody: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onceward_relay.console.pages.worklist.LOOKED_AT", 2)
    for _ in range(3):
        desk.incident(call_id=desk.call(), amount=1, currency="EUR")
    page = somebody.look("/").text
    assert '<abbr title="or more">+</abbr>' in page
    assert "3 EUR+" in page


def test_a_view_is_kept_under_its_name_until_it_is_deleted(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/", provider="bank", kind="in_doubt")
    query = re.search(r'name="query" value="([^"]+)"', page.text)
    assert query is not None
    kept = somebody.send("/views", page, name="  the bank's   doubts ", query=query[1].replace("&amp;", "&"))
    assert str(kept.url).endswith("/?kind=in_doubt&provider=bank")
    assert "the bank&#39;s doubts" in kept.text
    gone = somebody.send("/views/delete", kept, name="the bank's doubts", query="")
    assert "doubts" not in gone.text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": " ", "query": "kind=in_doubt"}, "name: give the view one"),
        ({"name": "x" * 61, "query": "kind=in_doubt"}, "name: give the view one"),
        ({"name": "all", "query": ""}, "query: choose a filter first"),
        ({"name": "bad", "query": "kind=nonsense"}, "kind: nonsense is none"),
    ],
)
def test_a_view_that_is_none_is_not_kept(desk: Desk, somebody: Person, fields: dict[str, str], why: str) -> None:
    answer = somebody.send("/views", somebody.look("/", kind="in_doubt"), **fields)
    assert answer.status_code == 400
    assert why in answer.text


@pytest.fixture
def half_dead(home: Database, shared_database: Database) -> Iterator[Person]:
    """Somebody at a console with two participants, of which one is away."""
    settings = settings_of(home, {"payer": shared_database.console_url, "lost": NOWHERE}, deadline=0.3)
    with running(settings) as console, console.person() as person:
        yield person


def test_who_does_not_answer_is_named_and_the_page_is_shown_without(desk: Desk, half_dead: Person) -> None:
    desk.incident(call_id=desk.call(), title="lost reply")
    for path in ("/", "/search?q=order-1", "/providers", "/messages", "/sources", "/audit"):
        page = half_dead.look(path)
        assert page.status_code == 200, path
        assert (
            "<strong>lost</strong> is not in this page: did not answer within 300 ms" in page.text or path == "/sources"
        )
        assert page.elapsed < timedelta(seconds=2), path
    assert "lost reply" in half_dead.look("/").text
    assert half_dead.look("/messages/lost/parked/1").status_code == 503
