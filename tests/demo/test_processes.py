"""The demo leaves no process behind, whatever happens to it."""

from pathlib import Path

from tests.support import Process, eventually, gone

WAITS = "import time; print('up', flush=True); time.sleep(600)"
DEMO = f"""
import sys, time
from pathlib import Path
from onceward_relay.demo.processes import Child

child = Child("victim", ["-c", {WAITS!r}], {{}}, Path(sys.argv[1]))
for life in range(2):
    child.kill()
    child.start()
    child.line("up", 30)
print("child", child._process.pid, flush=True)
time.sleep(600)
"""


def test_its_processes_end_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    with Process(["-c", DEMO, str(tmp_path / "log")]) as demo:
        child = int(demo.wait_for_output("child").split()[1])
        assert not gone(child)
        demo.kill()
        eventually(lambda: gone(child), 10)
