"""Calls: how many external calls, and how many flows of one call each, one worker process gets through.

The provider is code that answers at once, so that only the ledger is left. Beside it: the same rows written by psycopg
with prepared statements from as many threads, the ceiling that the database sets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from onceward.database import psycopg_url
from onceward_relay.bench.children import run
from onceward_relay.bench.result import Figure, Result, Tell, middle, significant
from onceward_relay.bench.stage import connect, prepare, sql

SIDES = ("calls", "raw_calls", "flows", "raw_flows")
FIGURES = {
    "calls": "external calls/s",
    "raw_calls": "their rows by psycopg, calls/s",
    "calls_to_raw": "calls ÷ psycopg",
    "calls_cpu": "worker, CPU ms per call",
    "flows": "flows of one call/s",
    "raw_flows": "their rows by psycopg, flows/s",
    "flows_to_raw": "flows ÷ psycopg",
    "flows_cpu": "worker, CPU ms per flow",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    database: str
    calls: int
    """Of one run, and flows likewise."""
    threads: tuple[int, ...]
    runs: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one side."""

    rate: float
    cpu: float
    """Milliseconds a piece."""


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure each number of threads, the sides in turn, run after run."""
    version = prepare(plan.database)
    cases = {}
    for threads in plan.threads:
        samples: dict[str, list[Sample]] = {side: [] for side in SIDES}
        for number in range(1, plan.runs + 1):
            for side in SIDES if number % 2 else reversed(SIDES):
                samples[side].append(sample := _sample(plan, side, threads))
                tell(f"{threads} threads, run {number} of {plan.runs}, {side}: {sample.rate:,.0f}/s")
        cases["1 thread" if threads == 1 else f"{threads} threads"] = _figures(samples)
    settings = {"calls": plan.calls, "threads": plan.threads, "runs": plan.runs}
    return Result("calls", settings, FIGURES, cases, version, needs_kafka=False)


def _sample(plan: Plan, side: str, threads: int) -> Sample:
    child = "raw_caller" if side.startswith("raw") else "caller"
    done = run(child, database=plan.database, flows=side.endswith("flows"), number=plan.calls, threads=threads)
    with connect(psycopg_url(plan.database)) as eye:
        eye.execute(sql("forget_calls"))
    return Sample(plan.calls / done["seconds"], done["cpu"] / plan.calls * 1000)


def _figures(samples: dict[str, list[Sample]]) -> dict[str, Figure]:
    """Return the medians; of a ratio over the pairs."""

    def middle_of(side: str, figure: Callable[[Sample], float]) -> Figure:
        return significant(median(map(figure, samples[side])))

    def to_raw(side: str) -> Figure:
        pairs = zip(samples[side], samples[f"raw_{side}"], strict=True)
        return middle([ours.rate / raw.rate for ours, raw in pairs])

    return {
        **{side: middle_of(side, lambda sample: sample.rate) for side in SIDES},
        **{f"{side}_to_raw": to_raw(side) for side in ("calls", "flows")},
        **{f"{side}_cpu": middle_of(side, lambda sample: sample.cpu) for side in ("calls", "flows")},
    }
