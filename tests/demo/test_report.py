"""What the command prints at the end, and its exit status: of an honest world, and of one in which a bug is planted."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from onceward_relay.demo.facts import Facts
from onceward_relay.demo.reckoning import Finding, reckon
from onceward_relay.demo.run import THE_END, Outcome, Plan
from onceward_relay.demo.settings import Settings
from onceward_relay.demo.show import Show
from onceward_relay.demo.supervisor import Death

from .honest import world

Ended = Callable[..., Result]
SERVERS = Settings("demo", "postgresql://me:hunter2@h/payer", "postgresql://me:hunter2@h/payee", "{}", "a", "b")


def the_end(facts: Facts) -> Finding:
    return Finding(THE_END, "7 s", [] if facts.complete else ["payee: 1 call(s) of bank-b/credit in_flight"])


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    """The command, whose run finds what the witnesses say."""

    def command(facts: Facts, *options: str) -> Result:
        def run(plan: Plan, show: Show, afterwards: Callable[[Outcome], None]) -> Outcome:
            outcome = Outcome(
                plan, SERVERS, 7.0, facts, [the_end(facts), *reckon(facts)], [Death("relay", "somewhere in its work")]
            )
            afterwards(outcome)
            return outcome

        monkeypatch.setenv("ONCEWARD_DEMO_RUN", "")  # the command sets it
        monkeypatch.setattr("onceward_relay.demo.run.run", run)
        return CliRunner().invoke(main, ["demo", *options], env={"COLUMNS": "200"})

    return command


def paid_twice() -> Facts:
    facts = world()
    return replace(facts, movements=[*facts.movements, facts.movements[0]])


def test_promises_that_were_kept(ended: Ended) -> None:
    done = ended(world())
    assert done.exit_code == 0
    assert "Every promise was kept." in done.output
    assert "nobody can know" in done.output, "why a call is in doubt"
    assert "onceward calls show" in done.output
    assert "hunter2" not in done.output


def test_a_promise_that_was_broken(ended: Ended) -> None:
    done = ended(paid_twice())
    assert done.exit_code == 1
    assert "A promise was broken." in done.output
    assert "debits: 2 effects under key debit-1" in done.output


def test_a_time_that_was_up_is_no_broken_promise(ended: Ended) -> None:
    done = ended(replace(world(), complete=False))
    assert done.exit_code == 1
    assert "The time was up before everything had come to its end." in done.output
    assert "1 call(s) of bank-b/credit in_flight" in done.output
    assert "broken." not in done.output
    assert "lost or made" not in done.output
    assert "A promise was broken." in ended(replace(paid_twice(), complete=False)).output


@pytest.mark.parametrize(("facts", "status"), [(world(), 0), (paid_twice(), 1)])
def test_for_programs(ended: Ended, facts: Facts, status: int) -> None:
    done = ended(facts, "--json")
    document = json.loads(done.stdout)
    broken = {each["promise"] for each in document["promises"] if each["broken"]}
    assert (done.exit_code, document["kept"], bool(broken)) == (status, status == 0, status == 1)
    assert "hunter2" not in done.output
