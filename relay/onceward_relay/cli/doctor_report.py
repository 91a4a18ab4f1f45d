"""What `onceward doctor` prints: problems first, each with what to do."""

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from onceward_relay.cli.status_table import screen
from onceward_relay.doctor.findings import Finding
from onceward_relay.people.words import inert
from onceward_relay.status.model import Count

MARKS = {"problem": ("PROBLEM", "bold red"), "warning": ("warning", "yellow"), "ok": ("ok", "green")}
WIDTH = max(len(mark) for mark, _ in MARKS.values())


def printed(findings: Sequence[Finding]) -> None:
    """Print what was found, by subject, the worst first, and a line that sums it up."""
    console = screen()
    order = list(MARKS)
    for subject, group in groupby(findings, key=lambda finding: finding.subject):
        console.print(Text(inert(subject), style="bold"))
        for finding in sorted(group, key=lambda finding: order.index(finding.level)):
            mark, style = MARKS[finding.level]
            line = Table.grid(padding=(0, 1))
            line.add_column(min_width=WIDTH)
            line.add_column(overflow="fold")
            line.add_row(Text(mark, style=style), Text(f"{inert(finding.check)}: {inert(finding.found)}"))
            console.print(line)
            if finding.remedy:  # left to the terminal to fold: a command is to be copied in one piece
                console.print(Text(f"{'':{WIDTH}}   {inert(finding.remedy)}", style="cyan"), soft_wrap=True)
        console.print()
    numbers = {level: sum(each.level == level for each in findings) for level in MARKS}
    problems, warnings = Count(numbers["problem"]).of("problem"), Count(numbers["warning"]).of("warning")
    console.print(f"{problems}, {warnings}, {numbers['ok']} ok")
