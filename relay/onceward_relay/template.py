"""The template of a participant's service, and how it becomes a service under another name."""

import keyword
import re
import shutil
import sys
from pathlib import Path

from onceward.errors import ConfigError

NAME = "participant_template"
_LEFT_OUT = ("Dockerfile", "requirements.lock", "__pycache__", ".*")
"""What belongs to this repository: how its image is built, the lock of that, and what tools leave behind."""
_LONGEST = 40
_TAKEN = {*sys.stdlib_module_names, "alembic", "fastapi", "migrations", "onceward", "onceward_relay", "tests"}
"""Names by which the service's own code would import something else."""


def source() -> Path:
    """Return the folder of the template: in the wheel beside this module, in a checkout at its root."""
    packaged = Path(__file__).parent / NAME
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / NAME


def copy(name: str, target: Path) -> Path:
    """Copy the template to `target` under another name, and return `target`.

    Raises:
        ConfigError: the name is none that a package can have, or there is something at `target`.
    """
    _check(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError("target", f"{target} exists and is not an empty folder; choose another name or place")
    try:
        shutil.copytree(source(), target, ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True)
        for path in sorted(target.rglob("*"), reverse=True):  # files before the folders that hold them
            if path.is_file():
                path.write_text(_renamed(path.read_text("utf-8"), name), "utf-8")
            path.rename(path.with_name(_renamed(path.name, name)))
    except OSError as error:
        raise ConfigError("target", f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _check(name: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or len(name) > _LONGEST or keyword.iskeyword(name):
        raise ConfigError(
            "name",
            f"{name[:80]!a} must be a Python name of at most {_LONGEST} lower-case letters, digits and underscores,"
            " as parcel_desk",
        )
    if name in _TAKEN:
        raise ConfigError("name", f"{name} is the name of a package that the service needs; choose another one")


def _renamed(text: str, name: str) -> str:
    return text.replace(NAME, name).replace(NAME.replace("_", "-"), name.replace("_", "-"))
