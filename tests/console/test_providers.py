"""Providers: what is in doubt, who calls them, and the switch."""

import pytest

from tests.console.running import Person
from tests.console.set_aside import clear
from tests.people.desk import Desk


@pytest.fixture
def desk(desk: Desk) -> Desk:
    clear(desk)
    return desk


def test_a_provider_is_shown_with_what_is_in_doubt(desk: Desk, somebody: Person) -> None:
    desk.call()
    desk.call(amount="7.5", currency="USD")
    desk.call("succeeded")
    desk.call("succeeded")
    desk.owner.execute(
        "INSERT INTO onceward.worker (name, flows, providers, resting) VALUES ('w-1', '{}', '{bank}', '{bank}'), ('w-2', '{}', '{bank}', '{}')"
    )
    page = somebody.look("/providers").text
    assert '<span class="value">100 EUR</span><br><span class="value">7.5 USD</span>' in page
    assert "50.0 %" in page
    assert "of its 4 newest calls" in page
    assert "under the same key, for 1 d" in page
    assert "never: it takes no key" in page
    assert "gives it a rest" in page
    assert '<span class="state waiting">rests</span>' in page


def test_a_provider_is_stopped_and_started_again_with_a_reason(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/providers")
    stopped = somebody.send("/providers/payer/stop", page, provider="bank", reason="it pays twice")
    assert "bank is stopped" in stopped.text
    assert "it pays twice" in stopped.text
    again = somebody.send("/providers/payer/stop", page, provider="bank", reason="it pays twice")
    assert again.status_code == 409
    assert "already" in again.text
    assert "Nothing was changed" in again.text
    started = somebody.send("/providers/payer/start", page, provider="bank", reason="they mended it")
    assert "bank is started; 0 calls" in started.text
    assert [(action, kind) for _, action, kind in desk.audit()] == [
        ("provider.stop", "provider"), ("denied", "provider"), ("provider.start", "provider"),
    ]  # fmt: skip


def test_a_switch_needs_a_reason_and_a_provider_that_is_there(desk: Desk, somebody: Person) -> None:
    page = somebody.look("/providers")
    assert somebody.send("/providers/payer/stop", page, provider="bank", reason=" ").status_code == 400
    assert somebody.send("/providers/payer/stop", page, provider="none", reason="why not").status_code == 404
    assert somebody.send("/providers/nobody/stop", page, provider="bank", reason="why not").status_code == 404
    assert desk.audit() == []


def test_no_provider(desk: Desk, somebody: Person) -> None:
    desk.owner.execute("DELETE FROM onceward.operation; DELETE FROM onceward.provider")
    assert "No worker has declared a provider" in somebody.look("/providers").text
