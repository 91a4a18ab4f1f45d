"""A form for what a provider would have answered, made from its operation's JSON Schema, and what was typed into it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from onceward_relay.console.typed import Typed
from onceward_relay.people.documents import amount_of, json_of
from onceward_relay.people.schemas import Schema, followed, wrong_with

MOST = 40
"""Fields that are shown one by one; of more than these the document is typed as a whole."""
YES, NO = "true", "false"
Shape = Literal["text", "decimal", "number", "integer", "boolean", "choice", "json"]


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the form."""

    name: str
    """Of the input: `result` and the property."""
    property: str
    """Empty: the whole document."""
    label: str
    shape: Shape
    required: bool
    null: bool = False
    """Whether it may be null."""
    choices: tuple[str, ...] = ()
    """As JSON."""
    hint: str = ""


def inputs(schema: Schema, name: str = "result") -> list[Input]:
    """Return the fields of a form for a document of this schema; one for all of it if it has no simple properties."""
    root = followed(schema, schema)
    properties = root.get("properties")
    if not isinstance(properties, Mapping) or not 0 < len(properties) <= MOST:
        needed = ", ".join(map(str, root.get("required", ())))
        return [Input(name, "", "The document", "json", required=True, hint=needed and f"with {needed}")]
    required = [key for key in root.get("required", ()) if key in properties]
    ordered = [*required, *sorted(set(properties) - set(required))]  # the database keeps no order of properties
    return [_input(key, properties[key], schema, name, required=key in required) for key in ordered]


def read(schema: Schema, typed: Typed, name: str = "result") -> dict[str, Any]:
    """Return the document that was typed; what is wrong with it stands in `typed.mistakes`."""
    fields = inputs(schema, name)
    if not fields[0].property:
        document = typed.document(name)
        if document is None:
            typed.mistakes.setdefault(name, "type what the provider would have answered, as a JSON object")
            return {}
    else:
        document = {each.property: value for each in fields for value in _value(each, typed)}
    if not any(each.name in typed.mistakes for each in fields):
        for sentence in wrong_with(document, schema, name):
            path, _, wrong = sentence.partition(": ")
            typed.mistakes.setdefault(_field_of(path, fields), wrong if path == name else f"{path}: {wrong}")
    return document


def typed_of(document: Mapping[str, Any], schema: Schema, name: str = "result") -> dict[str, str]:
    """Return what a form shows for a document that is known already."""
    fields = inputs(schema, name)
    if not fields[0].property:
        return {name: json.dumps(document, indent=2, ensure_ascii=False)}
    return {each.name: _text(document[each.property], each) for each in fields if each.property in document}


def _input(key: str, schema: Schema, root: Schema, name: str, *, required: bool) -> Input:
    found = followed(schema, root)
    choices = [followed(each, root) for word in ("anyOf", "oneOf") for each in found.get(word, ())] or [found]
    types = {kind for each in choices for kind in _types(each)}
    null = "null" in types
    listed = next((each["enum"] for each in choices if each.get("enum")), None)
    if "const" in found:
        listed = [found["const"]]
    shape = _shape(types - {"null"}, listed)
    hints = [str(found.get("description", "")), *(_hint(each) for each in choices)]
    return Input(
        name=f"{name}.{key}",
        property=key,
        label=str(found.get("title") or key),
        shape=shape,
        required=required,
        null=null,
        choices=tuple(json.dumps(each, ensure_ascii=False) for each in listed or ()) if shape == "choice" else (),
        hint="; ".join(each for each in dict.fromkeys(hints) if each),
    )


def _types(schema: Schema) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types) or {"unknown"}


def _shape(types: set[str], listed: list[Any] | None) -> Shape:
    if listed is not None:
        return "choice"
    if types == {"number", "string"}:
        return "decimal"
    known: dict[str, Shape] = {"string": "text", "number": "number", "integer": "integer", "boolean": "boolean"}
    return known.get(next(iter(types)), "json") if len(types) == 1 else "json"


def _hint(schema: Schema) -> str:
    words = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
        "exclusiveMaximum": "less than {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
        "format": "{}",
    }  # fmt: skip
    return ", ".join(text.format(str(schema[word])[:200]) for word, text in words.items() if word in schema)


def _value(field: Input, typed: Typed) -> Iterator[Any]:
    """Yield what was typed, in the type that the field has; nothing if it is left out."""
    text = typed.text(field.name)
    if field.name in typed.mistakes:
        return
    if not text:
        if field.required and field.null:
            yield None
        elif field.required:
            typed.mistakes[field.name] = "is missing"
        return
    try:
        yield _read(field, text)
    except ValueError as error:
        typed.mistakes[field.name] = str(error)


def _read(field: Input, text: str) -> Any:
    match field.shape:
        case "text":
            return text
        case "decimal":
            return f"{_number(text):f}"
        case "integer":
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
                raise ValueError(f"{text[:40]!r} is no whole number")
            return int(text)
        case "number":
            number = _number(text)
            if number == number.to_integral_value():
                return int(number)
            if Decimal(repr(float(number))) != number:
                raise ValueError(f"{text[:40]!r} has more digits than a JSON number keeps")
            return float(number)
        case "boolean":
            if text not in (YES, NO):
                raise ValueError("choose yes or no")
            return text == YES
        case "choice":
            if text not in field.choices:
                raise ValueError(f"choose one of {', '.join(field.choices)}")
            return json.loads(text)
        case "json":
            return json_of(text)


def _number(text: str) -> Decimal:
    negative = text.startswith("-")
    try:
        number = amount_of(text.removeprefix("-"))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number like 12.50") from None
    return -number if negative else number


def _field_of(path: str, fields: list[Input]) -> str:
    """Return the input that a path of the document belongs to."""
    inside = [each.name for each in fields if path == each.name or path.startswith((f"{each.name}.", f"{each.name}["))]
    return max(inside, key=len, default=fields[0].name)


def _text(value: Any, field: Input) -> str:
    return (
        value
        if isinstance(value, str) and field.shape in ("text", "decimal")
        else json.dumps(value, ensure_ascii=False)
    )
