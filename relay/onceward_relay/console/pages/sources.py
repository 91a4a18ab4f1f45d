"""Sources: how the relay gets on with each participant's outbox, over the last hour."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.charts import Line, chart
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route
from onceward_relay.console.samples import EVERY, Sample, Samples

STEP = timedelta(minutes=5)
"""Between two lines of the tables beside the charts."""
HALTED = {
    "copied": "its checkpoint was copied from another database (a restored dump)",
    "ahead": "its checkpoint is ahead of the server's transactions",
    "outbox_ahead": "its outbox holds transactions that this server has yet to begin",
}
"""Why a source halts, in words."""


async def sources(request: Request) -> Response:
    """Show every source that the person may look at."""
    samples: Samples = request.app.state.samples
    await samples.ready(request.app.state.settings.console.deadline)
    names = request.state.visit.where("look")
    now = datetime.now(UTC)
    shown = [_source(number, name, samples.of(name), now) for number, name in enumerate(names)]
    return render(
        request,
        "sources.html",
        sources=shown,
        missing={each["name"]: each["why"] for each in shown if each["why"]},
        every=int(EVERY),
        live="sources",
        mark=samples.taken,
    )


def _source(number: int, name: str, samples: Sequence[Sample], now: datetime) -> dict[str, Any]:
    newest = samples[-1] if samples else None
    figures = newest.figures if newest else None
    why = (newest.why or "did not answer") if newest and not figures else None
    lag = Line("waiting", [(each.at, each.lag_rows) for each in samples])
    relayed = Line("relayed", [(each.at, each.relayed) for each in samples])
    published = Line("published", [(each.at, each.published) for each in samples])
    slots = figures["slots"] if figures else []
    for slot in slots:
        for blocker in slot["blockers"]:
            if isinstance(blocker["since"], str):
                blocker["since"] = datetime.fromisoformat(blocker["since"])
    return {
        "name": name,
        "why": why,
        "newest": newest,
        "figures": figures,
        "halted": HALTED.get(figures["halted"] or "") if figures else None,
        "slots": slots,
        "bytes": sum(slot["bytes"] for slot in slots),
        "lag_chart": chart(f"s{number}lag", f"Messages of {name} that wait", "messages", [lag], now),
        "rate_chart": chart(
            f"s{number}rate",
            f"Messages of {name} a second, published and relayed",
            "a second",
            [relayed, published],
            now,
        ),
        "table": _every_step(samples),
    }


def _every_step(samples: Sequence[Sample]) -> list[Sample]:
    """Return the newest sample and one of each step before it, the newest first."""
    kept: list[Sample] = []
    for sample in reversed(samples):
        if not kept or kept[-1].at - sample.at >= STEP:
            kept.append(sample)
    return kept


ROUTES = (Route("GET", "/sources", sources, "look"),)
