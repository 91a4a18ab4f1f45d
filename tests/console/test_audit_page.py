"""The audit on screen: entries of all participants, and how far their chains are as they were written."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from onceward_relay.console.chains import Chains, Verified
from onceward_relay.console.participants import Participants
from tests.conftest import Database
from tests.console.running import Person, settings_of
from tests.people.desk import Desk
from tests.support import eventually


def write(desk: Desk, number: int, actor: str = "ada", action: str = "note") -> None:
    desk.owner.execute(
        "SELECT onceward.record(%s, %s, 'call', 'c-' || n, 'why ' || n) FROM generate_series(1, %s) n",
        (actor, action, number),
    )


def change(desk: Desk, statement: str) -> None:
    """Do as the owner what nobody may."""
    desk.owner.execute("SET session_replication_role = replica")
    desk.owner.execute(statement.encode())
    desk.owner.execute("RESET session_replication_role")


def test_nobody_has_decided_anything(desk: Desk, somebody: Person) -> None:
    assert "Nobody has decided anything yet" in somebody.look("/audit").text


def test_entries_are_listed_the_newest_first_and_filtered(desk: Desk, somebody: Person) -> None:
    write(desk, 2)
    write(desk, 1, "bob", "call.reveal")
    page = somebody.look("/audit").text
    assert (
        page.index("call.reveal")
        < page.index("why 2")
        < page.index('why 1</td>\n        <td></td>\n        <td class="number">1<')
    )
    assert "why 2" not in somebody.look("/audit", actor="bob").text
    assert "why 2" not in somebody.look("/audit", action="call.reveal").text
    only = somebody.look("/audit", subject="c-2").text
    assert "why 2" in only
    assert "bob" not in only
    assert "No entry fits this filter" in somebody.look("/audit", actor="eve").text


def test_page_after_page_shows_each_entry_once(desk: Desk, somebody: Person) -> None:
    write(desk, 120)
    seen: list[int] = []
    page = somebody.look("/audit", actor="ada")
    while True:
        seen += map(int, re.findall(r">why (\d+)<", page.text))
        link = re.search(r'rel="next" href="([^"]+)"', page.text)
        if link is None:
            break
        write(desk, 1)
        page = somebody.look(link[1].replace("&amp;", "&"))
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize("before", ["here", "bnVsbA==", "e30K", "eyJhIjogLTF9", "W10="])
def test_a_place_that_is_none_is_refused(somebody: Person, before: str) -> None:
    expected = 200 if before == "e30K" else 400  # {} is the beginning
    assert somebody.look("/audit", before=before).status_code == expected


def test_the_page_says_to_which_number_the_chain_is_verified(desk: Desk, somebody: Person) -> None:
    write(desk, 3)
    page = somebody.look("/audit")
    somebody.send("/audit/payer/verify", page)
    eventually(lambda: "chain verified to number 3<" in somebody.look("/audit").text)


def chains(desk: Desk, home: Database, steps: Callable[[Chains], Awaitable[Verified]]) -> Verified:
    async def run() -> Verified:
        settings = settings_of(home, {"payer": desk.database.console_url})
        async with Participants(settings.participant, 5) as participants:
            watched = Chains(participants)
            try:
                return await steps(watched)
            finally:
                await watched.close()

    return asyncio.run(run())


async def follow(watched: Chains, *, anew: bool = False) -> Verified:
    watched.follow("payer", anew=anew)
    return await watched.settled("payer")


def test_a_chain_is_verified_part_by_part_and_then_from_where_it_ended(
    desk: Desk, home: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onceward_relay.console.chains.PART", 4)
    monkeypatch.setattr("onceward_relay.console.chains.PAUSE", 0)
    write(desk, 11)

    async def twice(watched: Chains) -> Verified:
        first = await follow(watched)
        assert (first.number, first.wrong) == (11, None)
        write(desk, 2)
        # What was verified is not read again: only a verification from the first entry finds it.
        change(desk, "UPDATE onceward.audit SET reason = 'another' WHERE no = 5")
        second = await follow(watched)
        assert (second.number, second.wrong) == (13, None)
        return await follow(watched, anew=True)

    found = chains(desk, home, twice)
    assert found.number == 4
    assert found.wrong == "entry 5 was changed; what stands before it is as it was written"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM onceward.audit WHERE no = 6", "entry 7 does not follow 5: what stood between them was removed"),
        ("UPDATE onceward.audit SET previous = hash WHERE no = 7", "entry 7 does not follow the one before it"),
        ("UPDATE onceward.audit SET hash = sha256('x') WHERE no = 5", "entry 5 is another than it was"),
        ("DELETE FROM onceward.audit WHERE no >= 5", "entry 5, which was there before, is gone: the end was cut off"),
    ],
)
def test_what_is_done_to_a_chain_behind_the_last_verified_entry_shows(
    desk: Desk, home: Database, statement: str, why: str
) -> None:
    write(desk, 5)

    async def twice(watched: Chains) -> Verified:
        await follow(watched)
        write(desk, 3)
        change(desk, statement)
        return await follow(watched)

    found = chains(desk, home, twice)
    assert found.wrong is not None
    assert found.wrong.startswith(why)
    assert found.number == 5
