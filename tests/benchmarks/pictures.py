"""Bar charts as SVG, drawn from a scenario's figures, for a page that is read without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LABEL, VALUE, MARGIN = 760, 265, 90, 12
"""Pixels: of a picture, of the labels at its left, of the figures at its right, around it."""
BAR, GAP, GROUP, HEAD = 18, 4, 14, 34
COLOURS = ("#1f6feb", "#8b949e", "#d29922", "#3fb950")
STYLE = "font:13px system-ui,sans-serif;fill:#57606a"


@dataclass(frozen=True, slots=True)
class Picture:
    """Some figures of a scenario, as bars, case by case."""

    name: str
    """Of its file."""
    scenario: str
    title: str
    figures: Sequence[str]


PICTURES = (
    Picture("drain", "drain", "Messages a second, by size of payload", ("relay", "once", "raw", "bare")),
    Picture("reading", "drain", "Rows a second, by size of payload", ("fetch", "copy")),
    Picture("steady", "steady", "Age at the consumer in milliseconds", ("p50", "p99")),
    Picture("participant", "participant", "Transactions a second", ("outbox", "alone", "bare")),
    Picture("inbox", "inbox", "Messages a second that take effect once", ("rate",)),
    Picture(
        "calls", "calls", "External calls and flows a second, one worker", ("calls", "raw_calls", "flows", "raw_flows")
    ),
    Picture("debezium", "debezium", "Messages a second, from the same rows", ("relay", "debezium")),
    Picture("debezium-cpu", "debezium", "CPU seconds for a million messages", ("relay_cpu", "debezium_cpu")),
)


def draw(picture: Picture, document: Mapping[str, Any]) -> str:
    """Return the SVG of a picture from its scenario's document."""
    figures = [figure for figure in picture.figures if figure in document["figures"]]
    bars = [
        (case, found[figure], COLOURS[place % len(COLOURS)])
        for case, found in document["cases"].items()
        for place, figure in enumerate(figures)
        if isinstance(found.get(figure), int | float)
    ]
    lines, y = _bars(bars)
    lines += _legend([document["figures"][figure] for figure in figures], y + GROUP)
    height = y + GROUP + len(figures) * (BAR + GAP) + 2 * MARGIN
    box = f'viewBox="{-MARGIN} {-MARGIN} {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" style="background:#fff">'
    title = _text(0, 18, picture.title, "font-weight:600;fill:#24292f")
    return "\n".join([head, title, *lines, "</svg>", ""])


def _bars(bars: Sequence[tuple[str, float, str]]) -> tuple[list[str], int]:
    """Return the bars of (case, value, colour), those of a case together, and where the last ends."""
    largest = max((value for _, value, _ in bars), default=0) or 1
    lines: list[str] = []
    y, last = HEAD - GROUP, None
    for case, value, colour in bars:
        if case != last:
            y += GROUP
            lines.append(_text(0, y + BAR - 4, case))
            last = case
        length = value / largest * (WIDTH - LABEL - VALUE)
        lines.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}" rx="2"/>')
        lines.append(_text(round(LABEL + length) + 6, y + BAR - 4, f"{value:,}"))
        y += BAR + GAP
    return lines, y


def _legend(headings: Sequence[str], y: int) -> list[str]:
    lines = []
    for place, heading in enumerate(headings):
        top = y + place * (BAR + GAP)
        lines.append(f'<rect x="0" y="{top}" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>')
        lines.append(_text(18, top + 11, heading))
    return lines


def _text(x: int, y: int, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" style="{STYLE};{more}">{escape(words)}</text>'
