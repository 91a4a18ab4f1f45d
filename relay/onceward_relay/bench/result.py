"""What a scenario found, in the one form that the command line, the JSON and the page print."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from onceward_relay.bench.machine import description

Figure = float | int | str | None
"""None: could not be measured here, as the CPU of a database on another machine."""
Tell = Callable[[str], None]
"""Says how far a measurement is."""
UNKNOWN = "n/a"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one scenario, for each of its cases."""

    scenario: str
    settings: Mapping[str, Any]
    """What was asked for, by the names of the command's options."""
    figures: Mapping[str, str]
    """Name of each figure, and what it is, with its unit."""
    cases: Mapping[str, Mapping[str, Figure]]
    """The figures of each case. A case need not have them all."""
    server: str
    """The PostgreSQL that was measured."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """What the figures depend on besides, and no option changes."""
    program: str = "onceward bench"
    needs_kafka: bool = True

    @property
    def command(self) -> str:
        """The command that measures the same on servers that the reader names."""
        name = f"{self.program} {self.scenario}" if self.program == "onceward bench" else self.program
        options = [f"--{option} {_plain(each)}" for option, value in self.settings.items() for each in _each(value)]
        servers = ["--database URL", *(["--kafka ADDRESS"] if self.needs_kafka else [])]
        return " ".join([name, *servers, *options])

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON, with machine and versions."""
        return {
            "scenario": self.scenario,
            "command": self.command,
            "settings": dict(self.settings),
            "conditions": dict(self.conditions),
            "machine": {**description(), "postgresql": self.server},
            "figures": dict(self.figures),
            "cases": {case: dict(found) for case, found in self.cases.items()},
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and lines: the figures down, the cases across."""
        return table(self.figures, self.cases)


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.15g}"


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def table(figures: Mapping[str, str], cases: Mapping[str, Mapping[str, Figure]]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines of a table: the figures that any case has down, the cases across."""
    used = [name for name in figures if any(name in found for found in cases.values())]
    lines = [[figures[name], *(shown(found.get(name, "")) for found in cases.values())] for name in used]
    return ["", *cases], lines


def shown(figure: Figure) -> str:
    """Return a figure for people."""
    return UNKNOWN if figure is None else figure if isinstance(figure, str) else f"{figure:,}"


def significant(value: float | None) -> float | int | None:
    """Return `value` with three significant digits, and whole from a hundred on: more would be noise."""
    if value is None:
        return None
    rounded = float(f"{value:.3g}")
    return int(rounded) if abs(rounded) >= 100 or rounded == int(rounded) else rounded


def middle(values: Sequence[float | None]) -> float | int | None:
    """Return the median; None if a value is missing."""
    known = [value for value in values if value is not None]
    return significant(median(known)) if known and len(known) == len(values) else None


def medians(runs: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """Return the median of each figure over the runs of a case. All of them are numbers."""
    return {name: middle([number(found[name]) for found in runs]) for name in runs[0]}


def number(figure: Figure) -> float | None:
    """Return a figure that is a number, or missing."""
    assert not isinstance(figure, str), figure
    return figure
