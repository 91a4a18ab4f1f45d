"""Values that stand in files, as mounted secrets do. They are read when they are needed, so that a new one counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from onceward.errors import ConfigError

Setting = str | int | float | bool
NAMES_A_FILE = (".location", ".file")
"""How options of the Kafka client end whose value is a file that the client reads once, when it is made."""


@dataclass(frozen=True, slots=True)
class FromFile:
    """A value that stands in a file. A line break at its end does not belong to it."""

    path: Path

    def read(self, name: str) -> str:
        """Return the value of the setting `name`.

        Raises:
            ConfigError: the file cannot be read, or is empty.

        """
        try:
            text = self.path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(name, f"cannot be read from {self.path}: {reason}") from None
        if not text:
            raise ConfigError(name, f"cannot be read from {self.path}: it is empty")
        return text

    def __str__(self) -> str:
        return f"file {self.path}"


class LiveOptions(Mapping[str, Setting]):
    """Options of the Kafka client. Those that stand in files are read anew at each look, and none is ever shown."""

    def __init__(self, given: Mapping[str, Setting | FromFile]) -> None:
        self._given = dict(given)

    def __getitem__(self, name: str) -> Setting:
        value = self._given[name]
        return value.read(name) if isinstance(value, FromFile) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        return f"LiveOptions({', '.join(self._given)})"


def fingerprint(options: Mapping[str, Setting]) -> bytes:
    """Return what changes with any of the options, and with the content of any file that they name."""
    digest = sha256()
    for name, value in sorted(options.items()):
        digest.update(repr((name, value)).encode())
        if name.endswith(NAMES_A_FILE):
            digest.update(_content(Path(str(value))))
    return digest.digest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
