"""Benchmarks: the relay's real process beside the raw client, on servers that you name.

A scenario is one module with a `Plan` and `measure(plan, tell)`, which returns a `Result`. What all of them stand on is
in `stage`, `children` and `topics`.
"""

from onceward.errors import OncewardError


class BenchError(OncewardError):
    """The benchmark cannot run, or the relay did not do its work."""
