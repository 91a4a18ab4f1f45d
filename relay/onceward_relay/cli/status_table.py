"""The table of `onceward status`, at any width."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onceward_relay.cli.options import WIDTH_OF_FILES
from onceward_relay.people.words import inert
from onceward_relay.status.model import Count, Lag, SourceStatus

WIDE = 120
"""Columns from which the outbox and the checkpoint stand in the table; in fewer they stand below it."""
WIDEST = 170
"""Columns from which the window and the owner do, too."""
UNSEEN = "n/a"
_HEADINGS = ("source", "state", "lag", "bytes", "oldest", "rate/s", "held", "parked", "doubt", "incid.")


def screen() -> Console:
    """Return a console that takes everything literally; files get lines that are not folded."""
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)


def rendered(found: Sequence[SourceStatus], width: int) -> Iterator[Table | Text]:
    """Yield the table and what does not fit into it, for `width` columns."""
    wide, widest = width >= WIDE, width >= WIDEST
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        text = heading in ("source", "state")
        table.add_column(heading, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for heading in ("outbox", "per h", "full in") if wide else ():
        table.add_column(heading, justify="right", overflow="fold")
    for heading in (("checkpoint",) if wide else ()) + (("window", "owner") if widest else ()):
        table.add_column(heading, overflow="fold")
    for each in found:
        style = "bold red" if each.state in ("broken", "halted") else "yellow" if each.needs else ""
        more = (*_outbox(each), _checkpoint(each)) if wide else ()
        most = (_window(each), _owner(each)) if widest else ()
        table.add_row(*map(inert, (*_cells(each), *more, *most)), style=style)
    yield table
    for each in found:
        yield from _below(each, wide=wide, widest=widest)


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


def _window(each: SourceStatus) -> str:
    return UNSEEN if each.open_window is None else "open" if each.open_window else "-"


def _checkpoint(each: SourceStatus) -> str:
    age = "none" if each.checkpoint_age is None else f"{_age(each.checkpoint_age)} ago"
    return UNSEEN if each.open_window is None else age


def _outbox(each: SourceStatus) -> tuple[str, str, str]:
    """Return its bytes, what is written an hour, and when it is full, where that can be told."""
    size, growth, full_in = each.outbox_bytes, each.outbox_growth_per_hour, each.outbox_full_in
    return (
        UNSEEN if size is None else _bytes(size),
        UNSEEN if size is None else "-" if growth is None else _bytes(growth),
        "-" if full_in is None else _age(full_in) if full_in else "now",
    )


def _owner(each: SourceStatus) -> str:
    owner = each.owner
    if owner is None:
        return UNSEEN if "owner" in each.unseen or each.state == "broken" else "none yet"
    since = f"{owner.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{owner.relay} since {since}" if owner.holds_lease else f"none; {owner.relay} took it {since}"


def _below(each: SourceStatus, *, wide: bool, widest: bool) -> Iterator[Text]:
    """Yield a source's lines under the table: what needs a person, and what has no column."""
    name = inert(each.name)
    if not widest and each.state != "broken":
        backlog = "; a backlog is being sent" if each.open_window else ""
        yield Text(f"{name}: owner {inert(_owner(each))}{'' if wide else _rest(each)}{backlog}")
    if each.page is not None:
        yield Text(f"{name}: exactly once, page {each.page} {'committed' if each.page_confirmed else 'planned'}")
    for need in each.needs:
        yield Text(f"{name}: {inert(need)}", style="bold red" if each.state in ("broken", "halted") else "yellow")
    if each.unseen:
        yield Text(f"{name}: this role may not see {', '.join(each.unseen)}: GRANT onceward_relay to it")


def _rest(each: SourceStatus) -> str:
    """Return what has no column in a narrow table."""
    outbox, growth, full_in = _outbox(each)
    written = "" if growth in ("-", UNSEEN) else f", {growth} per h"
    full = "" if full_in == "-" else f", full {full_in}" if full_in == "now" else f", full in {full_in}"
    return f"; checkpoint {_checkpoint(each)}; outbox {outbox}{written}{full}"


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


def _bytes(number: float) -> str:
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
