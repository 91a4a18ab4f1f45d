"""BENCHMARKS.md: everything between two marks of a scenario is made from its results, the rest is written by people.

`python -m tests.benchmarks.page` makes it again from docs/benchmarks/results.json.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onceward_relay.bench.result import table
from tests.benchmarks.pictures import PICTURES, draw

ROOT = Path(__file__).parents[2]
PAGE = Path("BENCHMARKS.md")
FOLDER = Path("docs", "benchmarks")
RESULTS = FOLDER / "results.json"
_PART = re.compile(r"(<!-- (?P<name>[a-z-]+) -->\n).*?(<!-- /(?P=name) -->)", re.DOTALL)

Documents = Mapping[str, Mapping[str, Any]]
"""The document of each scenario."""


def keep(found: Documents, root: Path = ROOT) -> Documents:
    """Put results beside those that are there already, in place of older ones of their scenarios; return all."""
    file = root / RESULTS
    kept: dict[str, Mapping[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    kept |= found
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    return kept


def write(documents: Documents, root: Path = ROOT) -> None:
    """Draw the pictures and make the page's parts anew."""
    for picture in PICTURES:
        if picture.scenario in documents:
            (root / FOLDER / f"{picture.name}.svg").write_text(draw(picture, documents[picture.scenario]))
    page = root / PAGE
    page.write_text(rewritten(page.read_text(), documents))


def rewritten(text: str, documents: Documents) -> str:
    """Return the page's text with the parts of all scenarios that were measured."""

    def part(found: re.Match[str]) -> str:
        document = documents.get(found["name"])
        return found[0] if document is None else f"{found[1]}{_part(document)}\n{found[3]}"

    return _PART.sub(part, text)


def _part(document: Mapping[str, Any]) -> str:
    pictures = [picture for picture in PICTURES if picture.scenario == document["scenario"]]
    shown = [f"![{picture.title}]({FOLDER.as_posix()}/{picture.name}.svg)" for picture in pictures]
    return "\n\n".join([_command(document), _table(document), *shown, _machine(document["machine"])])


def _command(document: Mapping[str, Any]) -> str:
    return f"```sh\n{document['command']}\n```"


def _table(document: Mapping[str, Any]) -> str:
    headings, lines = table(document["figures"], document["cases"])
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rule, *lines])


def _machine(machine: Mapping[str, Any]) -> str:
    place = f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}"
    versions = {
        "PostgreSQL": machine["postgresql"],
        **{name: machine[name] for name in ("python", "confluent-kafka", "psycopg", "sqlalchemy", "onceward")},
        **machine.get("others", {}),
    }
    listed = ", ".join(f"{name} {version.partition(' ')[0]}" for name, version in versions.items())
    return f"*Measured on {machine['on']}, {place}{machine.get('shared', '')}; {listed}.*"


if __name__ == "__main__":
    write(keep({}))
