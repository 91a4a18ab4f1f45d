"""The command: `python -m tests.campaign --help`."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from itertools import islice
from pathlib import Path
from types import FrameType

from tests.campaign.evidence import keep
from tests.campaign.plan import Scale, rounds
from tests.campaign.run import Campaign
from tests.campaign.stage import Stage
from tests.checker.planted import BUGS

SHOWN = 40
"""Findings that are printed; all of them are in a file beside the logs."""


def main() -> int:
    """Return 0 if all promises were kept, 1 if not."""
    given = _arguments()
    scale = Scale(given.servers, given.sources, given.relays, given.consumers, given.keys, given.writers)
    if given.plan:
        _print_plan(given.seed, scale, given.round, given.minutes)
        return 0
    print(f"seed {given.seed}, {given.minutes:g} minutes in rounds of {given.round:g} s: {scale}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="onceward-campaign-"))
    findings = ["it was interrupted"]
    try:
        with Stage(scale, given.seed, folder, given.bug) as stage:
            findings = Campaign(stage, given.round).run(given.minutes)
            if findings:
                keep(stage)
    finally:
        if not findings:
            shutil.rmtree(folder)
    print("\n".join(findings[:SHOWN]) or "all promises were kept")
    if findings:
        (folder / "findings.txt").write_text("\n".join(findings))
        print(f"{len(findings)} findings, at most {SHOWN} of them shown")
        print(f"seed {given.seed}; logs, tables and topics are in {folder}")
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description="Faults at random, under load, then the checker."
    )
    parser.add_argument(
        "--minutes", type=float, default=2, help="how long, besides start and end (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="of the plan; default: another each time"
    )
    parser.add_argument(
        "--round",
        type=float,
        default=45,
        help="seconds of faults before all is healed and judged (default: %(default)s)",
    )
    for name, default in vars(Scale()).items():
        parser.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    parser.add_argument("--bug", default="", choices=BUGS, help="that the relays have: to see it found")
    parser.add_argument("--plan", action="store_true", help="print what would be done, and do nothing")
    return parser.parse_args()


def _print_plan(seed: int, scale: Scale, seconds: float, minutes: float) -> None:
    for number, plan in enumerate(islice(rounds(seed, scale, seconds), max(1, int(minutes * 60 / seconds))), 1):
        print(f"round {number}")
        for injection in plan:
            print(f"{injection.at:8.1f} s  {injection}")


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
