"""What the command prints at the end, and its exit status: of an honest world, and of one in which a bug is planted."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from onceward_relay.cli import main
from onceward_relay.demo.facts import Facts
from onceward_relay.demo.guide import guides
from onceward_relay.demo.reckoning import Finding, reckon
from onceward_relay.demo.run import THE_END, Outcome, Plan
from onceward_relay.demo.settings import Settings
from onceward_relay.demo.show import Show
from onceward_relay.demo.supervisor import Death

from .honest import world

Ended = Callable[..., Result]
SERVERS = Settings(
    "demo", "postgresql://me:hunter2@h/payer", "postgresql://me:hunter2@h/payee", "postgresql://h/home", "{}", "a", "b"
)


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
    assert "1 in doubt, 1 stopped by an error of the code" in done.output
    assert "onceward flows resume" in done.output
    assert "onceward demo --keep --seed" in done.output, "how to get where the commands work"
    assert "hunter2" not in done.output


def test_each_thing_that_is_left_comes_with_its_commands() -> None:
    facts = world()
    doubted = next(each for each in facts.calls if each.state == "in_doubt")
    took_effect = replace(facts.movements[-1], no=3, operation="gateway-credits", key=doubted.key)
    mismatch = replace(facts.calls[0], difference="asked for 5.00, credited 4.50")
    found = guides(
        replace(facts, calls=[mismatch, *facts.calls[1:]], movements=[*facts.movements, took_effect]), SERVERS
    )
    assert [each.kind for each in found] == ["in_doubt", "mismatch", "flow_error"]
    database = ["--database", "postgresql://me@h/payee"]
    assert shlex.split(found[0].settle) == [
        "onceward", "calls", "applied", str(doubted.id),
        "--result", '{"id": "gateway-credits-3", "amount": "5.00", "currency": "EUR"}',
        "--evidence-reference", "gateway-credits-3", "--reason", "seen on the screen of the bank", *database,
    ]  # fmt: skip
    assert shlex.split(found[2].look) == ["onceward", "flows", "show", str(facts.blocked[0].id), *database]


def test_a_doubt_without_an_effect_is_no_example_of_a_lost_reply() -> None:
    assert [each.kind for each in guides(world(), SERVERS)] == ["flow_error"]


def test_a_promise_that_was_broken(ended: Ended) -> None:
    done = ended(paid_twice())
    assert done.exit_code == 1
    assert "A promise was broken." in done.output
    assert "holds: 2 effects under key hold-1" in done.output


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
