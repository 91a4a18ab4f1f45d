"""Copies the template, renames it as a team would, and runs its gates and tests: `python -m tests.template`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "participant_template"
RENAMED = {"participant_template": "parcel_desk", "participant-template": "parcel-desk"}
TEXT = {".py", ".toml", ".ini", ".md", ".mako", ""}


def copy_renamed(to: Path) -> Path:
    """Copy the template below `to` under another name and return its folder."""
    copy = to / renamed(TEMPLATE.name)
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for path in sorted(copy.rglob("*"), reverse=True):  # files before the folders that hold them
        if path.is_file() and path.suffix in TEXT:
            path.write_text(renamed(path.read_text()))
        path.rename(path.with_name(renamed(path.name)))
    return copy


def renamed(text: str) -> str:
    """Replace the template's names in `text`."""
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    return text


def main() -> None:
    """Exit with the status of the first step that fails."""
    with tempfile.TemporaryDirectory(prefix="onceward-template-") as folder:
        copy = copy_renamed(Path(folder))
        for step in (["ruff", "check", "."], ["mypy", "src", "tests"], ["pytest", "-p", "no:cacheprovider"]):
            print("$", *step, flush=True)
            status = subprocess.run([sys.executable, "-m", *step], cwd=copy, check=False).returncode
            if status != 0:
                sys.exit(status)


if __name__ == "__main__":
    main()
