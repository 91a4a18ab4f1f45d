"""A failpoint is a point: the thread that passes it does nothing more."""

import re

from onceward.failpoint import NAMES
from tests.crash.scene import ROOT
from tests.support import Process

PASSES = 20
PASSER = f"""
from threading import Thread
from onceward import failpoint

def work(number):
    failpoint.failpoint("relay.planned")
    print("went on", number, flush=True)

for number in range({PASSES}):
    failpoint._left = 1
    thread = Thread(target=work, args=(number,))
    thread.start()
    thread.join()
"""


def test_the_list_of_points_is_that_of_the_code() -> None:
    sources = [path for part in ("schema", "relay") for path in (ROOT / part).rglob("*.py")]
    calls = [call for path in sources for call in re.findall(r"(?<!def )\bfailpoint\(([^)]*)\)", path.read_text())]
    assert {name for call in calls for name in re.findall(r'"([a-z_]+\.[a-z_]+)"', call)} == NAMES


def test_a_thread_that_is_frozen_goes_on_only_when_it_is_told_to() -> None:
    """A signal that is sent to the process is another thread's to take, and this one would run on until it has."""
    environment = {"ONCEWARD_FAILPOINT": "relay.planned:1:STOP", "PYTHONPATH": str(ROOT)}
    with Process(["-c", PASSER], environment) as process:
        for number in range(PASSES):
            process.wait_suspended()
            assert f"went on {number}" not in process.output
            process.resume()
            process.wait_for_output(f"went on {number}")
        assert process.wait() == 0
