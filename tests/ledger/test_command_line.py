"""`onceward calls` and `onceward incidents`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onceward.ledger import Ledger
from onceward.providers import Never
from onceward_relay.cli import main
from tests.conftest import Database
from tests.ledger import bank as manners
from tests.ledger.bank import Bank, Pay, provider_of
from tests.ledger.conftest import Make


def onceward(*arguments: str, database: Database) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"ONCEWARD_DATABASE": database.url, "COLUMNS": "400"})


@pytest.fixture
def in_doubt(ledger_of: Any) -> Ledger:
    """A ledger with one call in doubt, whose request has ANSI escapes and a secret."""
    provider, pay = provider_of(Bank(manners=[manners.lose_the_reply]), Never())
    ledger: Ledger = ledger_of(provider)
    ledger.call(pay, Pay(to="secret"), key="order-1", ref="order\x1b[31m 1 <b>\N{RIGHT-TO-LEFT OVERRIDE}")
    return ledger


def test_calls_are_listed(database: Database, in_doubt: Ledger) -> None:
    shown = onceward("calls", "list", "--state", "in_doubt", database=database)
    assert shown.exit_code == 0
    assert "bank/pay" in shown.output
    assert "5 EUR" in shown.output
    (row,) = json.loads(onceward("calls", "list", "--json", database=database).output)
    assert (row["state"], row["amount"], row["currency"]) == ("in_doubt", "5.0000000000", "EUR")
    assert "no such calls" in onceward("calls", "list", "--state", "failed", database=database).output


def test_a_call_says_why_nothing_was_sent_again(database: Database, in_doubt: Ledger) -> None:
    (row,) = json.loads(onceward("calls", "list", "--json", database=database).output)
    shown = onceward("calls", "show", row["id"], database=database)
    assert shown.exit_code == 0
    assert shown.output.startswith("bank/pay may or may not have taken effect")
    assert "nothing was sent again: the provider takes no idempotency key" in shown.output
    assert "a person settles it" in shown.output
    document = json.loads(onceward("calls", "show", row["id"], "--json", database=database).output)
    assert document["request"] == {"amount": "5.00", "to": "***"}
    assert [attempt["verdict"] for attempt in document["timeline"]] == ["unknown"]


def test_a_call_says_what_code_will_do(database: Database, ledger_of: Make) -> None:
    provider, pay = provider_of(Bank(manners=[manners.lose_the_reply]))
    call = ledger_of(provider).call(pay, Pay(), key="order-1")
    shown = onceward("calls", "show", str(call.call_id), database=database).output
    assert "it is sent again under the same key, which the provider still remembers" in shown


def test_a_result_is_masked_as_its_request_is(database: Database, ledger_of: Make) -> None:
    provider, pay = provider_of(Bank())
    call = ledger_of(provider).call(pay, Pay(), key="order-1")
    document = json.loads(onceward("calls", "show", str(call.call_id), "--json", database=database).output)
    assert document["result"] == {"amount": "5.00", "reference": "***"}


@pytest.mark.parametrize("command", [("calls", "list"), ("incidents", "list")])
def test_what_is_shown_is_inert_and_masked(database: Database, in_doubt: Ledger, command: tuple[str, ...]) -> None:
    shown = onceward(*command, database=database).output
    assert r"order\x1b[31m 1 <b>\u202e" in shown
    assert "\x1b" not in shown
    assert "secret" not in shown


def test_incidents_are_listed(database: Database, in_doubt: Ledger) -> None:
    (row,) = json.loads(onceward("incidents", "list", "--json", database=database).output)
    assert (row["kind"], row["severity"], row["grp"]) == ("in_doubt", 1, "bank/pay/our_error")


def test_nothing_waits_for_a_person(database: Database) -> None:
    assert onceward("incidents", "list", database=database).output == "nothing waits for a person\n"


def test_errors_are_one_line(database: Database, empty_database: Database) -> None:
    unknown = onceward("calls", "show", "00000000-0000-0000-0000-000000000001", database=database)
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no call 00000000-0000-0000-0000-000000000001\n")
    missing = onceward("calls", "list", database=empty_database)
    assert (missing.exit_code, "onceward schema install" in missing.output) == (1, True)
    refused = onceward("calls", "list", "--database", "postgresql://u:secret@127.0.0.1:1/x", database=database)
    assert (refused.exit_code, "secret" in refused.output) == (1, False)
    assert onceward("calls", "show", "1", database=database).exit_code == 2
