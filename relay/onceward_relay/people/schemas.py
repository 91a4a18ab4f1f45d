"""Whether a document fits a JSON Schema, as pydantic writes them.

What is not known here fits: the worker's model has the last word.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

Schema = Mapping[str, Any]
DEEPEST = 40
LONGEST_MATCHED = 200
"""Characters of a text that a pattern is tried on: a pattern may take very long on a longer one."""
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float | Decimal) and not isinstance(value, bool),
}
FORMATS: Mapping[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    "uuid": UUID,
}
BOUNDS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "at least"),
    "maximum": (lambda value, bound: value <= bound, "at most"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "more than"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "less than"),
}


def wrong_with(document: Any, schema: Schema, name: str) -> list[str]:
    """Return what does not fit, each beginning with the path of its field; nothing if all does."""
    return list(_wrong(document, schema, schema, name, 0))


def followed(schema: Schema, root: Schema) -> Schema:
    """Return the schema that a reference within `root` means; another schema as it is."""
    for _ in range(DEEPEST):
        target = schema.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/$defs/"):
            return schema
        schema = root.get("$defs", {}).get(target.removeprefix("#/$defs/"), {})
    return schema


def _wrong(value: Any, schema: Schema, root: Schema, at: str, depth: int) -> Iterator[str]:
    schema = followed(schema, root)
    if depth > DEEPEST:
        return
    types = schema.get("type")
    wanted = [types] if isinstance(types, str) else types or []
    if wanted and not any(each not in TYPES or TYPES[each](value) for each in wanted):
        yield f"{at}: must be of type {' or '.join(wanted)}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: must be {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: must be one of {', '.join(map(repr, schema['enum']))}"
    for each in schema.get("allOf", ()):
        yield from _wrong(value, each, root, at, depth + 1)
    for word in ("anyOf", "oneOf"):
        yield from _fits_none(value, schema.get(word, ()), root, at, depth)
    match value:
        case dict():
            yield from _wrong_object(value, schema, root, at, depth)
        case list():
            items = schema.get("items", {})
            yield from chain.from_iterable(
                _wrong(each, items, root, f"{at}[{index}]", depth + 1) for index, each in enumerate(value)
            )
        case str():
            yield from _wrong_text(value, schema, at)
        case int() | float() if not isinstance(value, bool):
            yield from (
                f"{at}: must be {words} {schema[word]}"
                for word, (holds, words) in BOUNDS.items()
                if word in schema and not holds(value, schema[word])
            )


def _fits_none(value: Any, choices: list[Schema], root: Schema, at: str, depth: int) -> Iterator[str]:
    tried = [list(_wrong(value, choice, root, at, depth + 1)) for choice in choices]
    if tried and all(tried):
        yield from min(tried, key=len)


def _wrong_object(value: dict[str, Any], schema: Schema, root: Schema, at: str, depth: int) -> Iterator[str]:
    named = schema.get("properties", {})
    yield from (f"{at}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
    for name, each in value.items():
        if name in named:
            yield from _wrong(each, named[name], root, f"{at}.{name}", depth + 1)
        elif schema.get("additionalProperties") is False:
            yield f"{at}.{name}: is not a field of it"


def _wrong_text(value: str, schema: Schema, at: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: must have at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{at}: must have at most {schema['maxLength']} characters"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and len(value) <= LONGEST_MATCHED and not _matches(pattern, value):
        yield f"{at}: must look like {pattern}"
    if read := FORMATS.get(schema.get("format", "")):
        try:
            read(value)
        except ValueError:
            yield f"{at}: is no {schema['format']}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True
