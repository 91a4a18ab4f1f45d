"""A replay in exactly-once mode, killed at each step: readers get each message once more, and inboxes absorb it."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from onceward_relay.cli import main
from tests.crash.scene import OWNS, Scene
from tests.relay.support import by_key
from tests.support import eventually

from .test_exactly_once import AGAIN, COMMITTED, killed_at

STEPS = {
    "relay.produced:2": OWNS,
    "relay.planned": OWNS,
    "relay.numbered:2": AGAIN,
    "relay.committed:2": AGAIN,
}
"""Steps of the second page of what goes again, and what the relay that dies there has found to begin with."""


def replay(scene: Scene) -> int:
    """Let all that was sent go again; return how much that is."""
    arguments = ["--database", scene.url, "--since", "1h", "--actor", "ada", "--reason", "the index was lost"]
    done = CliRunner().invoke(main, ["relay", "replay", *arguments, "--apply", "--json"])
    assert done.exit_code == 0, done.output
    return int(json.loads(done.output)["sent_again"])


@pytest.mark.timeout(180)
def test_killed_at_each_step_of_what_goes_again(once: Scene) -> None:
    workload = once.workload()
    workload.write_many(6000)
    reader, relay = once.reader(), once.relay()
    eventually(once.drained, 60)
    assert relay.terminate() == 0
    first = by_key(once.kafka.records(once.topic))
    assert replay(once) == 6000
    workload.write_many(20)  # one of each key, behind the copies
    for step, finds in STEPS.items():
        assert finds in killed_at(once, step).output
    last = once.relay()
    once.check()
    assert COMMITTED in last.output
    found = by_key(once.kafka.records(once.topic))
    for key, before in first.items():
        assert found[key][:-1] == before * 2, "the same messages, in the same order"
    again = {sent.message_id for sent in once.log.sent[:6000]}
    times = Counter(arrived.message_id for arrived in once.arrived())
    assert {each: count for each, count in times.items() if count > 1} == dict.fromkeys(again, 2)
    once.check_taken()
    assert (last.terminate(), reader.terminate()) == (0, 0)
