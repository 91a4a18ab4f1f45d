"""Charts as SVG, made on the server: lines over the last hour, with a title and a description in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

WIDTH, HEIGHT = 600, 120
LEFT, BOTTOM = 56, 18
"""Room for the scale and for the times."""
SPAN = timedelta(hours=1)
GRID = Markup(
    '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
)
GAP = timedelta(seconds=40)
"""Between two points that no line joins: samples are missing there."""
Point = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    points: Sequence[Point]
    """In order; None where nothing is known."""

    @property
    def values(self) -> list[float]:
        """All that is known."""
        return [value for _, value in self.points if value is not None]


def chart(id_: str, title: str, unit: str, lines: Sequence[Line], now: datetime) -> Markup:
    """Return a chart of the hour until `now`. Its `id_` is unique on the page."""
    top = _top(max((max(line.values, default=0) for line in lines), default=0))
    body = Markup("").join(
        Markup('<path class="line l{0}" d="{1}"/>').format(number, path)
        for number, line in enumerate(lines)
        if (path := _path(line.points, top, now))
    )
    scale = Markup("").join(
        GRID.format(LEFT, WIDTH, _y(value, top), LEFT - 6, _y(value, top) + 4, _short(value))
        for value in (top, top / 2, 0.0)
    )
    times = Markup('<text x="{0}" y="{2}">1 h ago</text><text x="{1}" y="{2}" text-anchor="end">now</text>').format(
        LEFT, WIDTH, HEIGHT - 3
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">{title}</title><desc id="{id}-d">{told}</desc>{scale}{body}{times}</svg>'
    ).format(
        width=WIDTH, height=HEIGHT, id=id_, title=title, told=_told(lines, unit), scale=scale, body=body, times=times
    )


def _told(lines: Sequence[Line], unit: str) -> str:
    """Return what the chart shows, in words."""
    parts = []
    for line in lines:
        if values := line.values:
            parts.append(
                f"{line.name}: {_short(values[-1])} {unit} now, between {_short(min(values))} and {_short(max(values))}"
            )
        else:
            parts.append(f"{line.name}: nothing is known yet")
    return "; ".join(parts) + ". The figures stand in the table."


def _path(points: Sequence[Point], top: float, now: datetime) -> str:
    """Return the line as a path, broken where samples are missing."""
    parts: list[str] = []
    last: datetime | None = None
    for at, value in points:
        if value is None or at < now - SPAN:
            last = None
            continue
        x = LEFT + (WIDTH - LEFT) * (1 - (now - at) / SPAN)
        joined = last is not None and at - last <= GAP
        place = f"{x:.1f} {_y(value, top):.1f}"
        parts.append(f"L{place}" if joined else f"M{place}h.1")  # a point by itself is seen, too
        last = at
    return "".join(parts)


def _y(value: float, top: float) -> float:
    return (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 10) * min(value, top) / top


def _top(highest: float) -> float:
    """Return the scale's end: 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= highest)


def _short(value: float) -> str:
    """Return a number in few characters."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if sign == 'k' else size):.3g} {sign}"
    return f"{value:.3g}"
