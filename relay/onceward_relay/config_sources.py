"""Where settings come from: a TOML file with its line numbers, and the environment over it.

The rule for the environment, for every setting:

- `ONCEWARD_RELAY__POLL_INTERVAL` is `poll_interval` of `[relay]`.
- `ONCEWARD_KAFKA__BOOTSTRAP_SERVERS` is `bootstrap.servers` of `[kafka]`: underscores stand for the dots.
- `ONCEWARD_KAFKA__SASL_PASSWORD_FILE` names the file that the value of `sasl.password` stands in, as
  `{ file = "..." }` does in TOML; the same for `DATABASE_FILE` and `PASSWORD_FILE` of a source.
- `ONCEWARD_SOURCE__PAYER__DATABASE` is `database` of the source named `payer` (all but letters and digits is `_`, as
  in `PAYER_EU` for `payer-eu`). If the file has no such source, it adds one of that name, in lower case.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onceward.kafka_options import CONNECTION
from onceward_relay.errors import InvalidConfig, Problem

PREFIX = "ONCEWARD_"
Place = tuple[str | int, ...]
"""The way to a value: `("source", 0, "database")`."""


@dataclass
class Raw:
    """Settings as they were found, with where each stands."""

    file: Path
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Place, str] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """Return the file and line, or the variable, of `place`, or of the nearest thing around it."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.places:
                return self.places[place[:length]]
        return str(self.file)


class FromEnvironment(str):
    """A value from the environment: text that may stand for a number or a truth value."""

    __slots__ = ()


def environment_name(name: str) -> str:
    """Return the form of a source's name in environment variables."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


@dataclass(frozen=True, slots=True)
class Sections:
    """What variables can set, beside `kafka`, whose options have names with dots."""

    tables: frozenset[str]
    lists: frozenset[str]
    """Of tables, each with a name."""
    usage: str
    """The command that tells the rule."""


def read(file: Path, environment: Mapping[str, str], sections: Sections) -> tuple[Raw, list[Problem]]:
    """Return the settings in `file` and `environment`, and what is wrong with the variables' names.

    Raises:
        InvalidConfig: the file cannot be read, or is not TOML.

    """
    raw = Raw(file)
    try:
        text = file.read_text(encoding="utf-8")
        raw.values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig([Problem("file", str(file), f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig([Problem("file", str(file), f"is not TOML: {error}")]) from None
    for place, line in _lines(text):
        raw.places.setdefault(place, f"{file}:{line}")
        if place[0] == "kafka" and len(place) > 2:  # bare bootstrap.servers is nested tables to TOML
            raw.places.setdefault(("kafka", ".".join(map(str, place[1:]))), f"{file}:{line}")
    return raw, list(_overlay(raw, environment, sections))


def _lines(text: str) -> Iterator[tuple[Place, int]]:
    """Yield every place in a TOML text with its line. Statements are parsed one at a time, by tomllib itself."""
    table: Place = ()
    arrays: dict[Place, int] = {}
    statement, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not statement:
            began = number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # an array or a string that goes on in the next line
        if statement.lstrip().startswith("["):
            table = _table(parsed, arrays)
            yield table, began
        else:
            for place in _leaves(parsed):
                yield table + place, began
        statement = ""


def _table(header: Mapping[str, Any], arrays: dict[Place, int]) -> Place:
    """Return the place that `[a.b]` or `[[a.b]]` opens, counting the elements of arrays of tables."""
    place: Place = ()
    inner: Any = header
    while isinstance(inner, dict) and inner:
        name, inner = next(iter(inner.items()))
        place += (name,)
        if isinstance(inner, list):
            arrays[place] = arrays.get(place, -1) + 1
        if place in arrays:
            place += (arrays[place],)
    return place


def _leaves(values: Mapping[str, Any]) -> Iterator[Place]:
    for name, value in values.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, *rest) for rest in _leaves(value))


def _overlay(raw: Raw, environment: Mapping[str, str], sections: Sections) -> Iterator[Problem]:
    """Put the variables over the file's values."""
    for variable in sorted(environment):
        section, *rest = variable.removeprefix(PREFIX).split("__")
        if not variable.startswith(PREFIX) or not rest:
            continue
        place = _place(raw, sections, section, rest)
        if place is None:
            yield Problem("environment", variable, f"is no setting; see `{sections.usage}` for the rule")
            continue
        place, value = _value(place, FromEnvironment(environment[variable]))
        raw.places[place] = variable
        raw.places.setdefault(place[:-1], variable)
        _put(raw.values, place, value)


def _value(place: Place, text: FromEnvironment) -> tuple[Place, FromEnvironment | dict[str, str]]:
    """Let `..._FILE` name the file that a value stands in, where it is no setting's own name."""
    *around, name = place
    base = str(name)[: -len(".file")]
    if str(name).endswith((".file", "_file")) and name not in CONNECTION:
        return (*around, base), {"file": text}
    return place, text


def _put(inner: Any, place: Place, value: FromEnvironment | dict[str, str]) -> None:
    """Set the value at `place`; where the file has something else than a table, validation will say so."""
    for name in place[:-1]:
        inner = inner[int(name)] if isinstance(inner, list) else inner.setdefault(name, {})
        if not isinstance(inner, dict | list):
            return
    inner[place[-1]] = value


def _place(raw: Raw, sections: Sections, section: str, rest: list[str]) -> Place | None:
    if section == "KAFKA" and len(rest) == 1:
        return "kafka", rest[0].lower().replace("_", ".")
    name = section.lower()
    if name in sections.tables and len(rest) == 1:
        return name, rest[0].lower()
    if name in sections.lists and len(rest) == 2:
        return name, _element(raw, name, rest[0]), rest[1].lower()
    return None


def _element(raw: Raw, section: str, name: str) -> int:
    """Return the index of the table with this environment name in a list of them; add it if there is none."""
    found = raw.values.setdefault(section, [])
    if not isinstance(found, list):
        return 0
    for index, element in enumerate(found):
        if isinstance(element, dict) and environment_name(str(element.get("name", ""))) == name:
            return index
    found.append({"name": name.lower()})
    return len(found) - 1
