"""`onceward new` makes a service under a name of one's own, and touches nothing that is there. Its tests: tests.template."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from onceward_relay import template
from onceward_relay.cli import main

ROOT = Path(__file__).parents[2]


def new(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["new", *map(str, arguments)])


def test_a_service_has_its_own_name_everywhere(tmp_path: Path) -> None:
    done = new("parcel_desk", "--in", tmp_path)
    assert done.exit_code == 0, done.output
    made = tmp_path / "parcel_desk"
    assert str(made / "README.md") in done.output
    assert (made / "src" / "parcel_desk" / "flows.py").is_file()
    assert 'name = "parcel-desk"' in (made / "pyproject.toml").read_text()
    files = [path for path in made.rglob("*") if path.is_file()]
    assert [
        path
        for path in files
        if "participant" in str(path.relative_to(made)) or "participant_template" in path.read_text()
    ] == []
    compiled = [sys.executable, "-m", "compileall", "-q", str(made)]
    assert subprocess.run(compiled, check=False).returncode == 0


def test_an_empty_folder_is_taken_and_one_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "parcel_desk").mkdir()
    assert new("parcel_desk", "--in", tmp_path).exit_code == 0
    before = sorted(tmp_path.rglob("*"))
    again = new("parcel_desk", "--in", tmp_path)
    assert again.exit_code == 1
    assert "exists and is not an empty folder" in again.output
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["parcel-desk", "2parcels", "", "Parcels", "class", "../parcels", "a b", "parcéls", "x" * 41]
)
def test_a_name_that_no_package_can_have_is_refused(tmp_path: Path, name: str) -> None:
    done = new(name, "--in", tmp_path)
    assert done.exit_code == 1
    assert "must be a Python name" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "onceward", "tests"])
def test_a_name_that_would_hide_another_package_is_refused(tmp_path: Path, name: str) -> None:
    done = new(name, "--in", tmp_path)
    assert (done.exit_code, "needs" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = new("parcel_desk", "--in", tmp_path / "file")
    assert done.exit_code == 1
    assert f"{tmp_path / 'file' / 'parcel_desk'} cannot be written" in done.output


def test_the_wheel_brings_the_whole_template(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        brought = {name for name in archive.namelist() if name.startswith(f"onceward_relay/{template.NAME}/")}
    listed = subprocess.run(["git", "ls-files", template.NAME], cwd=ROOT, capture_output=True, text=True, check=True)
    assert brought == {f"onceward_relay/{name}" for name in listed.stdout.split()}
