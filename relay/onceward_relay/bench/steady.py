"""Steady: how old a message is when its consumer has it, at a steady rate, and after the relay was idle."""

import random
import time
from dataclasses import dataclass
from statistics import quantiles

from onceward_relay.bench import paced
from onceward_relay.bench.machine import cpu_seconds
from onceward_relay.bench.result import Figure, Result, Tell, significant
from onceward_relay.bench.stage import KEYS, Relay, Servers, connect, fresh_topic, prepare, relay_of, sql
from onceward_relay.bench.topics import reader

IDLE = 2.0
"""Seconds for which nothing is written before a message that meets an idle relay: longer than it stays awake."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    servers: Servers
    rates: tuple[int, ...]
    """Messages a second; 0 is one message at a time to an idle relay."""
    seconds: float
    size: int


def measure(plan: Plan, tell: Tell) -> Result:
    """Measure each rate, one after the other, with one relay."""
    version, servers = prepare(plan.servers.database), plan.servers
    cases = {}
    with fresh_topic(servers.kafka) as topic, relay_of(servers.kafka, servers.url) as relay:
        tell("warming up")
        paced.warm_up(servers, relay, topic, rate=1000, seconds=plan.seconds, size=plan.size)
        for rate in plan.rates:
            case = f"{rate:,}/s" if rate else "one, to an idle relay"
            tell(case)
            cases[case] = (
                paced.at_rate(servers, relay, topic, rate=rate, seconds=plan.seconds, size=plan.size)
                if rate
                else _to_idle(plan, relay, topic)
            )
            with connect(servers.url) as connection:
                connection.execute("TRUNCATE onceward.outbox")
    settings = {"rate": plan.rates, "seconds": plan.seconds, "size": plan.size}
    return Result("steady", settings, paced.FIGURES, cases, version)


def _to_idle(plan: Plan, relay: Relay, topic: str) -> dict[str, Figure]:
    """One message at a time, each after a silence. The first, for which the reader is not yet warm, does not count."""
    ages, commits = [], []
    cpu, started = cpu_seconds(relay.pid), time.monotonic()
    with reader(plan.servers.kafka, topic) as next_values, connect(plan.servers.url) as connection:
        for turn in range(max(3, int(plan.seconds / IDLE))):
            time.sleep(IDLE + random.random() / 5)  # noqa: S311 -- only out of step with the relay's own clock
            row = {"topic": topic, "size": plan.size, "keys": KEYS, "messages": 1, "turn": turn}
            began = time.time_ns()
            connection.execute(sql("write"), {**row, "stamp": f"{began:020}"})
            commits.append((time.time_ns() - began) / 1e6)
            while not next_values(0.1):
                pass
            ages.append((time.time_ns() - began) / 1e6)
    age, commit = (quantiles(each[1:], n=100, method="inclusive") for each in (ages, commits))
    figures = {"p50": age[49], "p99": age[98], "max": max(ages[1:]), "commit_p50": commit[49], "commit_p99": commit[98]}
    used = (cpu_seconds(relay.pid) - cpu) / (time.monotonic() - started) * 100
    found = {name: significant(value) for name, value in {**figures, "relay_cpu": used}.items()}
    return {"messages": len(ages) - 1, **found}
