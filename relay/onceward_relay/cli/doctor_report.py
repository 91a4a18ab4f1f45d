"""What `onceward doctor` prints: problems first, each with what to do."""

from collections.abc import Sequence
from itertools import groupby

from rich.padding import Padding
from rich.text import Text

from onceward_relay.cli.options import inert
from onceward_relay.cli.status_table import screen
from onceward_relay.doctor.findings import Finding

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
            text = Text.assemble((f"{mark:{WIDTH}}", style), f"  {inert(finding.check)}: ", inert(finding.found))
            console.print(Padding(text, (0, 0, 0, 2)))
            if finding.remedy:
                console.print(Padding(Text(inert(finding.remedy)), (0, 0, 0, 6 + WIDTH)))
        console.print()
    problems, warnings = (sum(each.level == level for each in findings) for level in ("problem", "warning"))
    console.print(Text(f"{problems} problems, {warnings} warnings, {len(findings) - problems - warnings} ok"))
