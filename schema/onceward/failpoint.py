"""Named points where a test can kill the process, to prove that a crash there loses nothing and repeats nothing.

`ONCEWARD_FAILPOINT=relay.acknowledged` kills at the first pass of that point, `relay.acknowledged:3` at the third;
`relay.acknowledged:3:STOP` freezes the process there until it gets SIGCONT. Without the variable a point costs one
comparison.
"""

import os
import signal
import threading

_name, _nth, _signal = (os.environ.get("ONCEWARD_FAILPOINT", "") + "::").split(":")[:3]
_left = int(_nth or "1")
_how = signal.SIGSTOP if _signal == "STOP" else signal.SIGKILL
_lock = threading.Lock()

NAMES = frozenset(
    {
        "relay.window_opened",
        "relay.acknowledged",
        "relay.checkpointed",
        "relay.initialised",
        "relay.produced",
        "relay.judged",
        "relay.planned",
        "relay.numbered",
        "relay.committed",
        "relay.confirmed",
        "relay.released",
        "consumer.handled",
        "consumer.committed",
        "call.recorded",
        "call.answered",
        "call.looked_up",
        "call.accepted",
        "call.settled",
        "flow.claimed",
        "flow.signal_taken",
        "flow.step_recorded",
        "flow.undoing",
        "decision.carried_out",
        "decision.committed",
        "report.handled",
        "report.committed",
    }
)
"""Every point that exists, so that a test can walk through all of them."""


def failpoint(name: str) -> None:
    """Kill this process, or freeze it, if `name` is the armed point and its turn has come."""
    if name != _name:
        return
    global _left
    with _lock:
        _left -= 1
        if _left == 0:
            signal.pthread_kill(threading.get_ident(), _how)  # to the process, another thread would take it, later
