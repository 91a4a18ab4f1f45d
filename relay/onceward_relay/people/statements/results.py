"""Results made from a statement's cells, as an operation's result type wants them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onceward_relay.people.schemas import followed, wrong_with
from onceward_relay.people.statements.notation import Point, amount

DEEPEST = 3
"""Levels of parts of parts."""
YES, NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
Schema = Mapping[str, Any]


class Unfit(ValueError):
    """A row holds no result of the operation. Its words name the fields."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a result that one cell can fill."""

    path: str
    """With points between the names: `money.amount`."""
    types: frozenset[str]
    required: bool
    fixed: Any = None
    """The only value that it can have."""


def parts(schema: Schema) -> dict[str, Part]:
    """Return the fields of an operation's result, by path."""
    return {part.path: part for part in _parts(schema, schema, "", required=True, depth=0)}


def result_of(schema: Schema, texts: Mapping[str, str], point: Point) -> dict[str, Any]:
    """Return the result that cells make up.

    Args:
        schema: the operation's result_schema.
        texts: cells, by the path of the field; an empty one is not given.
        point: the mark before decimals.

    Raises:
        Unfit: they make up none.

    """
    result: dict[str, Any] = {}
    wrong: list[str] = []
    for path, part in parts(schema).items():
        text = texts.get(path, "")
        try:
            if text:
                _put(result, path, _value(part, text, point))
            elif part.fixed is not None and part.required:
                _put(result, path, part.fixed)
        except ValueError as error:
            wrong.append(f"result.{path}: {error}")
    wrong += [] if wrong else wrong_with(result, schema, "result")
    if wrong:
        raise Unfit("; ".join(wrong[:5]))
    return result


def _parts(schema: Schema, root: Schema, path: str, *, required: bool, depth: int) -> Iterator[Part]:
    found = followed(schema, root)
    named = found.get("properties")
    if isinstance(named, Mapping) and depth < DEEPEST:
        needed = found.get("required", ())
        for name, each in named.items():
            inner = f"{path}.{name}" if path else name
            yield from _parts(each, root, inner, required=required and name in needed, depth=depth + 1)
    elif path:
        yield Part(path, frozenset(_types(found, root)), required, _only(found))
    else:
        yield from (Part(name, frozenset({"string"}), required=True) for name in found.get("required", ()))


def _types(schema: Schema, root: Schema) -> Iterator[str]:
    types = schema.get("type", [])
    yield from [types] if isinstance(types, str) else types
    for word in ("anyOf", "oneOf"):
        for each in schema.get(word, ()):
            yield from _types(followed(each, root), root)


def _only(schema: Schema) -> Any:
    choices = schema.get("enum", ())
    return schema.get("const", choices[0] if len(choices) == 1 else None)


def _value(part: Part, text: str, point: Point) -> Any:
    """Return what a cell says, in the type that the field has. A decimal goes as text: a number could round it."""
    if part.types >= {"number", "string"}:
        return f"{amount(text, point):f}"
    if "string" in part.types or not part.types & {"integer", "number", "boolean"}:
        return text
    if "boolean" in part.types:
        if text.casefold() not in YES | NO:
            raise ValueError(f"{text[:40]!r} is neither true nor false")
        return text.casefold() in YES
    number = amount(text, point)
    if number == number.to_integral_value():
        return int(number)
    if "number" not in part.types:
        raise ValueError(f"{text[:40]!r} is no whole number")
    if Decimal(repr(float(number))) != number:
        raise ValueError(f"{text[:40]!r} has more digits than a JSON number keeps")
    return float(number)


def _put(result: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        result = result.setdefault(name, {})
    result[last] = value
