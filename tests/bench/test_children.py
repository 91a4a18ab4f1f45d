"""A benchmark's processes do not outlive it."""

from tests.support import Process, eventually, gone

WITHOUT_KAFKA = {"options": {"bootstrap.servers": "127.0.0.1:1"}, "topic": "t", "messages": 1, "size": 1, "keys": 1}
BENCHMARK = f"""
from onceward_relay.bench.children import started

with started("raw", {WITHOUT_KAFKA | {"headers": False}!r}) as child:
    print("child", child.pid, flush=True)
    child.result()
"""


def test_a_raw_producer_ends_with_a_benchmark_that_is_killed() -> None:
    """It would wait for its broker for half a minute."""
    with Process(["-c", BENCHMARK]) as benchmark:
        child = int(benchmark.wait_for_output("child").split()[1])
        assert not gone(child)
        benchmark.kill()
        eventually(lambda: gone(child), 10)
