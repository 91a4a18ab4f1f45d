"""A program whose clock is off: `python -m tests.crash.shifted SECONDS MODULE ...`.

What is shifted are Python's `time.time` and `time.time_ns`. libfaketime would shift the Kafka client's clock for some of its waits and not
for others, so that these end at once or never.
"""

import runpy
import sys
import time


def main() -> None:
    _, seconds, module, *arguments = sys.argv
    right, off = time.time_ns, int(seconds) * 10**9
    time.time_ns = lambda: right() + off
    time.time = lambda: time.time_ns() / 10**9
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
