"""The page and its pictures are made from results alone, and leave what people wrote as it is."""

import json
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from onceward_relay.bench.result import Figure, Result, significant
from tests.benchmarks import all as everything
from tests.benchmarks import page
from tests.benchmarks.pictures import PICTURES, draw
from tests.benchmarks.servers import own_servers
from tests.conftest import available

WRITTEN = "# Benchmarks\n\nWords of people.\n<!-- drain -->\n<!-- /drain -->\nMore words.\n<!-- idle -->\nold\n<!-- /idle -->\n"


def result() -> Result:
    figures = {"relay": "relay, messages/s", "raw": "raw, messages/s", "bare": "bare, messages/s"}
    cases: dict[str, dict[str, Figure]] = {
        "100 bytes": {"relay": 1234.5, "raw": None},
        "a < b": {"relay": 10, "raw": 20, "bare": 5},
    }
    return Result("drain", {"messages": 1_000_000, "size": (100, 300), "runs": 5}, figures, cases, "18.1")


def documents() -> page.Documents:
    return {"drain": everything.document(result(), "shared")}


def test_a_command_repeats_what_was_measured() -> None:
    wanted = "onceward bench drain --database URL --kafka ADDRESS --messages 1000000 --size 100 --size 300 --runs 5"
    assert result().command == wanted


def test_only_what_was_measured_is_rewritten() -> None:
    found = page.rewritten(WRITTEN, documents())
    assert "Words of people.\n<!-- drain -->\n```sh\nonceward bench drain" in found
    assert "| relay, messages/s | 1,234.5 | 10 |" in found
    assert "| raw, messages/s | n/a | 20 |" in found
    assert "PostgreSQL 18.1" in found
    assert "<!-- idle -->\nold\n<!-- /idle -->" in found
    assert page.rewritten(found, documents()) == found


def test_pictures_are_whole_and_keep_their_proportions() -> None:
    drain = next(picture for picture in PICTURES if picture.name == "drain")
    root = ET.fromstring(draw(drain, documents()["drain"]))
    bars = [
        float(each.attrib["width"])
        for each in root.iter("{http://www.w3.org/2000/svg}rect")
        if float(each.attrib["height"]) > 12
    ]
    assert len(bars) == 4  # what could not be measured has no bar
    assert bars[0] == max(bars)
    assert bars[2] == pytest.approx(2 * bars[1], rel=0.05)
    assert "a < b" in [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_figures_have_three_digits() -> None:
    assert [significant(value) for value in (123_456, 99.96, 0.0123456, 5.0, None)] == [123_000, 100, 0.0123, 5, None]


@pytest.mark.long
def test_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "BENCHMARKS.md").write_text("<!-- memory -->\n<!-- /memory -->\n")
    with available(own_servers()) as servers:
        monkeypatch.setattr(everything, "own_servers", lambda: nullcontext(servers))
        done = CliRunner().invoke(everything.main, ["--extent", "short", "--only", "memory", "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert list(json.loads((tmp_path / page.RESULTS).read_text())) == ["memory"]
    assert "onceward bench memory" in (tmp_path / "BENCHMARKS.md").read_text()


def test_the_page_has_a_place_for_each_scenario() -> None:
    text = (page.ROOT / page.PAGE).read_text()
    assert all(f"<!-- {name} -->" in text for name in everything.SCENARIOS)
