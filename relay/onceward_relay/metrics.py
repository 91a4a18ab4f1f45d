"""What the relay tells Prometheus, and the states that its health page shows.

Everything is written by the sources as they work; a scrape asks no database.
"""

import threading
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

STATES = ("starting", "owner", "stand_by", "broken", "halted", "stopped")


@dataclass(slots=True)
class SourceState:
    """The state of one source as the outside sees it."""

    name: str
    state: str = "starting"
    reason: str = ""
    """Why it is in this state, in words."""
    waiting_since: float | None = None
    """Unix time of the oldest message that is not settled; None if nothing waits."""
    waiting_rows: int = 0
    """Rows that wait; above one page an upper estimate, from ids."""
    waiting_bytes: float = 0
    """Bytes of their keys, payloads and headers, estimated from a few of them."""
    beat_at: float = field(default_factory=time.monotonic)
    """When its loop last showed a sign of life."""

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest message that waits, in seconds."""
        return 0.0 if self.waiting_since is None else max(0.0, time.time() - self.waiting_since)


WINDOW_ROWS = (1, 10, 100, 500, 5_000, 50_000, 500_000, 5_000_000)
"""Bounds of the buckets: 500 rows are read at one go, 5,000 are a page."""


class Metrics:
    """The registry of one daemon and the meters of its sources. docs/metrics.md tells what each is for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.states: dict[str, SourceState] = {}
        labels = ("source",)
        self.sent = Counter(
            "onceward_relay_sent", "Messages that Kafka has acknowledged", labels, registry=self.registry
        )
        self.held = Counter("onceward_relay_held", "Messages set aside", (*labels, "state"), registry=self.registry)
        self.released = Counter(
            "onceward_relay_released", "Messages of holds that Kafka has acknowledged", labels, registry=self.registry
        )
        self.checkpoints = Counter("onceward_relay_checkpoints", "Checkpoints written", labels, registry=self.registry)
        self.windows = Counter(
            "onceward_relay_windows", "Windows that held rows", (*labels, "kind"), registry=self.registry
        )
        self.window_rows = Histogram(
            "onceward_relay_window_rows",
            "Rows of a window, once it is read",
            labels,
            registry=self.registry,
            buckets=WINDOW_ROWS,
        )
        self.errors = Counter(
            "onceward_relay_errors",
            "Ends of a session or producer by an error",
            (*labels, "kind"),
            registry=self.registry,
        )
        self.leases = Counter(
            "onceward_relay_lease_changes",
            "Times the lease was taken or lost",
            (*labels, "change"),
            registry=self.registry,
        )
        self.holds = Gauge(
            "onceward_relay_holds", "Keys and topics that are held", (*labels, "scope"), registry=self.registry
        )
        self.rotations = Counter(
            "onceward_relay_rotations",
            "Tries to empty a slot of the outbox",
            (*labels, "result"),
            registry=self.registry,
        )
        self.blockers = Gauge(
            "onceward_relay_rotation_blockers",
            "Whose locks keep slots of the outbox from being emptied",
            (*labels, "kind"),
            registry=self.registry,
        )
        self.unsettled = Gauge(
            "onceward_relay_unsettled",
            "What waits in the participant's database",
            (*labels, "what"),
            registry=self.registry,
        )
        self.ledger = Gauge(
            "onceward_relay_ledger",
            "Figures of the external calls that are not settled",
            (*labels, "figure", "provider", "currency"),
            registry=self.registry,
        )
        self.outbox_bytes = Gauge(
            "onceward_relay_outbox_bytes", "Bytes of the outbox with its indexes", labels, registry=self.registry
        )
        self.outbox_growth = Gauge(
            "onceward_relay_outbox_growth_bytes_per_second",
            "Growth of the outbox over the last ten minutes",
            labels,
            registry=self.registry,
        )
        self.outbox_full = Gauge(
            "onceward_relay_outbox_full_in_seconds",
            "When the outbox reaches outbox_limit if it grows on like this",
            labels,
            registry=self.registry,
        )
        self.reloads = Counter(
            "onceward_relay_reloads", "Times the configuration was read again", ("result",), registry=self.registry
        )
        Info("onceward_relay_build", "The version that runs", registry=self.registry).info(
            {"version": version("onceward")}
        )
        ProcessCollector(registry=self.registry)
        Gauge("onceward_relay_threads", "Threads, with those of the Kafka client", registry=self.registry).set_function(
            _threads
        )
        self.registry.register(_States(self.states))

    def reloaded(self, result: str) -> None:
        """Count a reload: taken, or refused."""
        self.reloads.labels(result).inc()

    def forget(self, source: str) -> None:
        """Drop all that is told of a source that is gone."""
        self.states.pop(source, None)
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase) and metric is not self.reloads:
                metric.remove_by_labels({"source": source})

    def forget_gauges(self, source: str) -> None:
        """Drop what only an owner knows: of two relays' numbers the older one would be wrong."""
        for metric in vars(self).values():
            if isinstance(metric, Gauge):
                metric.remove_by_labels({"source": source})

    def meter(self, source: str) -> "Meter":
        """Return the meter of a source."""
        self.states[source] = SourceState(source)
        return Meter(self, source)


class Meter:
    """What one source reports."""

    def __init__(self, metrics: Metrics, source: str) -> None:
        self._metrics = metrics
        self._source = source
        self.state = metrics.states[source]
        self._sent = metrics.sent.labels(source)
        self._checkpoints = metrics.checkpoints.labels(source)
        self._window_rows = metrics.window_rows.labels(source)
        self._blocker_kinds: set[str] = set()
        self._figures: set[tuple[str, str, str]] = set()

    def entered(self, state: str, reason: str = "", left: str = "lost") -> bool:
        """Note the state of the source, and how it was left if it was owned; return whether state or reason changed."""
        changed = (state, reason) != (self.state.state, self.state.reason)
        if changed and "owner" in (state, self.state.state) and state != self.state.state:
            self._metrics.leases.labels(self._source, "taken" if state == "owner" else left).inc()
        self.state.state, self.state.reason = state, reason
        if state != "owner":
            self.idle()
            self._metrics.forget_gauges(self._source)
        return changed

    def beat(self) -> None:
        """Show a sign of life."""
        self.state.beat_at = time.monotonic()

    def idle(self) -> None:
        """Note that nothing waits, as far as this relay knows."""
        self.state.waiting_since, self.state.waiting_rows, self.state.waiting_bytes = None, 0, 0

    def waits(self, since: float, rows: int, size: float) -> None:
        """Note the oldest message that is not settled, in Unix time, how many rows wait and their bytes."""
        self.state.waiting_since, self.state.waiting_rows, self.state.waiting_bytes = since, rows, size

    def window(self, kind: str) -> None:
        """Count a window: one page, or opened."""
        self._metrics.windows.labels(self._source, kind).inc()

    def window_read(self, rows: int) -> None:
        """Note the rows of a window that is read to its end."""
        self._window_rows.observe(rows)

    def sent(self, rows: int) -> None:
        """Count acknowledged messages."""
        self._sent.inc(rows)

    def held(self, state: str) -> None:
        """Count a message that was set aside."""
        self._metrics.held.labels(self._source, state).inc()

    def released(self, messages: int) -> None:
        """Count messages of a hold that were sent at last."""
        self._metrics.released.labels(self._source).inc(messages)

    def holds(self, keys: int, topics: int) -> None:
        """Note how many keys and topics are held."""
        self._metrics.holds.labels(self._source, "key").set(keys)
        self._metrics.holds.labels(self._source, "topic").set(topics)

    def rotated(self, result: str) -> None:
        """Count a try to empty a slot."""
        self._metrics.rotations.labels(self._source, result.replace(" ", "_")).inc()

    def blocked(self, kinds: Tally[str]) -> None:
        """Note how many of each kind keep slots from being emptied."""
        self._blocker_kinds |= kinds.keys()
        for kind in self._blocker_kinds:
            self._metrics.blockers.labels(self._source, kind.replace(" ", "_")).set(kinds[kind])

    def unsettled(self, what: str, number: int) -> None:
        """Note how much of a kind waits in the participant's database."""
        self._metrics.unsettled.labels(self._source, what).set(number)

    def ledger(self, figures: Mapping[tuple[str, str, str], float]) -> None:
        """Note the figures of the calls that are not settled, by figure, provider and currency."""
        for gone in self._figures - figures.keys():
            self._metrics.ledger.remove(self._source, *gone)
        self._figures = set(figures)
        for labels, value in figures.items():
            self._metrics.ledger.labels(self._source, *labels).set(value)

    def outbox(self, size: int) -> None:
        """Note the bytes of the outbox."""
        self._metrics.outbox_bytes.labels(self._source).set(size)

    def growth(self, rate: float, full_in: float | None) -> None:
        """Note how many bytes the outbox grows a second, and in how many seconds it is full; None without a limit."""
        self._metrics.outbox_growth.labels(self._source).set(rate)
        if full_in is not None:
            self._metrics.outbox_full.labels(self._source).set(full_in)

    def checkpoint(self) -> None:
        """Count a checkpoint."""
        self._checkpoints.inc()

    def error(self, kind: str) -> None:
        """Count an error."""
        self._metrics.errors.labels(self._source, kind).inc()


def _threads() -> float:
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return threading.active_count()  # of Python alone, where there is no /proc


class _States(Collector):
    """State and lag of each source at the moment of the scrape. Only an owner knows the lag."""

    def __init__(self, states: dict[str, SourceState]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "onceward_relay_source_state", "1 for the state a source is in", labels=("source", "state")
        )
        seconds = GaugeMetricFamily(
            "onceward_relay_lag_seconds", "Age of the oldest message that waits", labels=("source",)
        )
        rows = GaugeMetricFamily(
            "onceward_relay_lag_rows", "Messages that wait; above a page an upper estimate", labels=("source",)
        )
        size = GaugeMetricFamily(
            "onceward_relay_lag_bytes", "Bytes of the messages that wait; an estimate", labels=("source",)
        )
        for source in list(self._states.values()):
            for name in STATES:
                state.add_metric((source.name, name), float(source.state == name))
            if source.state == "owner":
                seconds.add_metric((source.name,), source.lag_seconds)
                rows.add_metric((source.name,), source.waiting_rows)
                size.add_metric((source.name,), source.waiting_bytes)
        yield from (state, seconds, rows, size)
