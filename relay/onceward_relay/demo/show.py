"""What a person sees while the demo runs: a line for each event, and how far the work is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from onceward_relay.demo.progress import Progress

PLAIN_EVERY = 5.0
"""Seconds between two lines of progress where the output is no terminal."""

STORY = """\
Money moves between two banks. The payer holds it at bank A and asks the payee,
who has bank B promise to take it; then it is captured, and credited there.
Whatever is refused on the way is undone at both banks.

  transfer + message in one transaction → relay → Kafka → inbox → flow
    → call, written down before its first byte leaves → bank

Meanwhile relay and workers are killed with kill -9, and the banks lose replies.
Then everything is counted, and three things are left for you to settle.
"""


class Show:
    """Tells what happens: live on a terminal, else line by line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._spoken_at = 0.0

    def begin(self, transfers: int, seed: int) -> None:
        """Tell what is to be seen."""
        self.console.rule(f"[b]onceward demo[/] · {transfers:,} transfers · seed {seed}", align="left")
        self.console.print(STORY, highlight=False)

    def say(self, text: str) -> None:
        """Tell what is being done."""
        self.console.print(f"[cyan]•[/] {text}", highlight=False, soft_wrap=True)

    def event(self, text: str) -> None:
        """Tell of a death."""
        self.console.print(f"[red]✗[/] {text}", highlight=False, soft_wrap=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show progress until the end of the block."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=8, transient=True) as self._live:
            yield
        self._live = None

    def progress(self, now: Progress, made: int, wanted: int, deaths: int) -> None:
        """Show how far the work is."""
        if self._live is not None:
            self._live.update(_picture(now, made, wanted, deaths))
        elif not self.console.is_terminal and time.monotonic() - self._spoken_at >= PLAIN_EVERY:
            self._spoken_at = time.monotonic()
            self.say(f"{made:,} of {wanted:,} transfers made: {_figures(now, deaths)}")


def _figures(now: Progress, deaths: int) -> str:
    return (
        f"{now.completed:,} completed, {now.refused:,} refused, {now.refunded:,} refunded, "
        f"{now.searching:,} being found out, {now.left_to_people:,} left to people; kills: {deaths}"
    )


def _picture(now: Progress, made: int, wanted: int, deaths: int) -> Group:
    bars = Table.grid(padding=(0, 2))
    for name, done in (("made", made), ("held", now.held), ("ended", now.ended)):
        bars.add_row(
            f"  {name}",
            ProgressBar(wanted, min(done, wanted), width=50, complete_style="cyan"),
            f"{done:,} / {wanted:,}",
        )
    return Group(Text(), bars, Text(f"  {_figures(now, deaths)}", style="dim"))
