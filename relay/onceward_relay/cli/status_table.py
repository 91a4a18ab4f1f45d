"""The table of `onceward status`, at any width."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onceward_relay.cli.options import WIDTH_OF_FILES, inert
from onceward_relay.status.model import Count, Lag, SourceStatus

WIDE = 120
"""Columns from which the owner and the checkpoint stand in the table; in fewer they stand below it."""
UNSEEN = "n/a"
_HEADINGS = ("source", "state", "lag", "bytes", "oldest", "rate/s", "held", "parked", "doubt", "incid.")


def screen() -> Console:
    """Return a console that takes everything literally; files get lines that are not folded."""
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)


def rendered(found: Sequence[SourceStatus], width: int) -> Iterator[Table | Text]:
    """Yield the table and what does not fit into it, for `width` columns."""
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        text = heading in ("source", "state")
        table.add_column(heading, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for heading in ("outbox", "window", "checkpoint", "owner") if wide else ():
        table.add_column(heading, overflow="fold")
    for each in found:
        style = "bold red" if each.state in ("broken", "halted") else "yellow" if each.needs else ""
        table.add_row(*map(inert, (*_cells(each), *(_more(each) if wide else ()))), style=style)
    yield table
    for each in found:
        yield from _below(each, wide=wide)


def _cells(each: SourceStatus) -> tuple[str, ...]:
    lag, rate = each.lag, each.rate
    return (
        each.name,
        each.state,
        UNSEEN if lag is None else str(lag.rows),
        _lag_bytes(lag),
        _oldest(lag),
        UNSEEN if rate is None else f"{rate:,.0f}{'+' if each.rate_capped else ''}",
        _count(each.held_messages),
        _count(each.parked),
        _count(each.in_doubt),
        _count(each.incidents),
    )


def _more(each: SourceStatus) -> tuple[str, ...]:
    window = UNSEEN if each.open_window is None else "open" if each.open_window else "-"
    age = "none" if each.checkpoint_age is None else f"{_age(each.checkpoint_age)} ago"
    outbox = UNSEEN if each.outbox_bytes is None else _bytes(each.outbox_bytes)
    return outbox, window, UNSEEN if each.open_window is None else age, _owner(each)


def _owner(each: SourceStatus) -> str:
    owner = each.owner
    if owner is None:
        return UNSEEN if "owner" in each.unseen or each.state == "broken" else "none yet"
    since = f"{owner.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{owner.relay} since {since}" if owner.holds_lease else f"none; {owner.relay} took it {since}"


def _below(each: SourceStatus, *, wide: bool) -> Iterator[Text]:
    """Yield a source's lines under the table: what needs a person, and what has no column."""
    name = inert(each.name)
    if not wide and each.state != "broken":
        outbox, window, checkpoint, owner = map(inert, _more(each))
        backlog = "; a backlog is being sent" if window == "open" else ""
        yield Text(f"{name}: owner {owner}; checkpoint {checkpoint}; outbox {outbox}{backlog}")
    if each.page is not None:
        yield Text(f"{name}: exactly once, page {each.page} {'committed' if each.page_confirmed else 'planned'}")
    for need in each.needs:
        yield Text(f"{name}: {inert(need)}", style="bold red" if each.state in ("broken", "halted") else "yellow")
    if each.unseen:
        yield Text(f"{name}: this role may not see {', '.join(each.unseen)}: GRANT onceward_relay to it")


def _oldest(lag: Lag | None) -> str:
    if lag is None:
        return UNSEEN
    if not lag.rows.number:
        return "-"
    return f"{_age(lag.seconds)}{'+' if lag.rows.capped else ''}"


def _lag_bytes(lag: Lag | None) -> str:
    if lag is None or lag.bytes is None:
        return UNSEEN
    return f"{_bytes(lag.bytes)}{'+' if lag.rows.capped else ''}"


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _age(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _count(count: Count | None) -> str:
    return UNSEEN if count is None else str(count)
