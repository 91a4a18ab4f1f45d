"""The form of a result follows its operation's schema, whatever that is."""

from typing import Any

import pytest
from pydantic import BaseModel

from onceward_relay.console.result_form import inputs, read, typed_of
from onceward_relay.console.typed import Typed


class Money(BaseModel):
    amount: int
    currency: str


class Answer(BaseModel):
    """A result as teams write them."""

    reference: str
    money: Money
    tags: list[str] = []
    fee: float | None = None
    hint: str | None


SCHEMA = Answer.model_json_schema()
GOOD = {"result.reference": "r", "result.money": '{"amount": 5, "currency": "EUR"}', "result.hint": ""}


def test_what_is_needed_comes_first() -> None:
    assert [each.property for each in inputs(SCHEMA)] == ["reference", "money", "hint", "fee", "tags"]


def test_each_property_has_its_input() -> None:
    shapes = {each.property: (each.shape, each.required, each.null) for each in inputs(SCHEMA)}
    assert shapes == {
        "reference": ("text", True, False),
        "money": ("json", True, False),
        "tags": ("json", False, False),
        "fee": ("number", False, True),
        "hint": ("text", True, True),
    }


@pytest.mark.parametrize(
    ("typed", "document"),
    [
        ({}, {"reference": "r", "money": {"amount": 5, "currency": "EUR"}, "hint": None}),
        (
            {"result.fee": "0.25", "result.tags": '["a"]', "result.hint": "late"},
            {"reference": "r", "money": {"amount": 5, "currency": "EUR"}, "tags": ["a"], "fee": 0.25, "hint": "late"},
        ),
    ],
)
def test_what_was_typed_becomes_a_document(typed: dict[str, str], document: dict[str, Any]) -> None:
    given = Typed(GOOD | typed)
    assert read(SCHEMA, given) == document
    assert given.mistakes == {}
    assert read(SCHEMA, Typed(typed_of(document, SCHEMA) | {"result.hint": document["hint"] or ""})) == document


@pytest.mark.parametrize(
    ("field", "text", "mistake"),
    [
        ("result.money", '{"amount": "5", "currency": "EUR"}', "result.money.amount: must be of type integer"),
        ("result.money", "5", "must be of type object"),
        ("result.money", "{", "is no JSON that could be read"),
        ("result.tags", "[1]", "result.tags[0]: must be of type string"),
        ("result.fee", "0.1234567890123456789", "has more digits than a JSON number keeps"),
        ("result.fee", "1e400", "is no number like 12.50"),
        ("result.fee", "-inf", "is no number like 12.50"),
    ],
)
def test_what_is_wrong_stands_at_its_field(field: str, text: str, mistake: str) -> None:
    typed = Typed(GOOD | {field: text})
    read(SCHEMA, typed)
    assert set(typed.mistakes) == {field}
    assert mistake in f"{field}: {typed.mistakes[field]}" or mistake in typed.mistakes[field]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": {}}, {"$ref": "#/$defs/none"}])
def test_a_schema_that_says_nothing_takes_a_document(schema: dict[str, Any]) -> None:
    (field,) = inputs(schema)
    assert (field.shape, field.name) == ("json", "result")
    assert read(schema, Typed({"result": '{"a": 1}'})) == {"a": 1}
    typed = Typed({"result": ""})
    read(schema, typed)
    assert "as a JSON object" in typed.mistakes["result"]
