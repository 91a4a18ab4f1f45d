"""Results made from cells."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from onceward_relay.people.schemas import wrong_with
from onceward_relay.people.statements.results import Unfit, parts, result_of


class Money(BaseModel):
    amount: Decimal
    currency: str = Field(pattern="^[A-Z]{3}$")


class Result(BaseModel):
    reference: str = Field(min_length=1, max_length=20)
    state: Literal["done"] = "done"
    kind: Literal["transfer"]
    fee: Money
    count: int | None = None
    share: float | None = Field(default=None, ge=0, le=1)
    final: bool = False
    at: datetime | None = None
    other: UUID | None = None


SCHEMA = Result.model_json_schema()
GIVEN = {"reference": "r-1", "fee.amount": "1.234,50", "fee.currency": "EUR"}


def test_the_fields_of_a_result_are_found_in_all_its_parts() -> None:
    found = parts(SCHEMA)
    assert list(found) == [
        "reference",
        "state",
        "kind",
        "fee.amount",
        "fee.currency",
        "count",
        "share",
        "final",
        "at",
        "other",
    ]
    assert [path for path, part in found.items() if part.required] == [
        "reference",
        "kind",
        "fee.amount",
        "fee.currency",
    ]


def test_cells_become_a_result_that_the_model_takes() -> None:
    made = result_of(SCHEMA, {**GIVEN, "count": "3", "share": "0,1", "final": "Yes", "at": "2026-05-31T12:00:00Z"}, ",")
    assert made == {
        "reference": "r-1", "kind": "transfer", "fee": {"amount": "1234.50", "currency": "EUR"}, "count": 3, "share": 0.1, "final": True,
        "at": "2026-05-31T12:00:00Z",
    }  # fmt: skip
    taken = Result.model_validate(made)
    assert (taken.fee.amount, taken.at) == (Decimal("1234.50"), datetime(2026, 5, 31, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reference": ""}, "result.reference: is missing"),
        ({"reference": "r" * 21}, "result.reference: must have at most 20"),
        ({"kind": "gift"}, "result.kind: must be 'transfer'"),
        ({"fee.amount": "much"}, "result.fee.amount: 'much' is no amount"),
        ({"fee.currency": "euro"}, "result.fee.currency: must look like"),
        ({"count": "1,5"}, "result.count: '1,5' is no whole number"),
        ({"share": "2"}, "result.share: must be at most 1"),
        ({"share": "0,12345678901234567890"}, "result.share: "),
        ({"final": "maybe"}, "result.final: 'maybe' is neither"),
        ({"at": "yesterday"}, "result.at: is no date-time"),
        ({"other": "x"}, "result.other: is no uuid"),
    ],
)
def test_a_row_that_holds_no_result_is_refused_with_the_field(changed: dict[str, str], said: str) -> None:
    with pytest.raises(Unfit, match=said):
        result_of(SCHEMA, {**GIVEN, **changed}, ",")


def test_a_schema_that_names_only_what_is_required_is_enough() -> None:
    assert result_of({"required": ["reference"]}, {"reference": "r-1"}, ".") == {"reference": "r-1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["reference", "kind", "fee", "amount", "currency", "x"]), inner, max_size=4)
    ),
)


@given(JSON)
def test_whatever_the_model_takes_fits_its_schema_and_any_document_is_judged(document: object) -> None:
    wrong = wrong_with(document, SCHEMA, "result")
    try:
        Result.model_validate(document, strict=True)
    except ValueError:
        return
    assert wrong == []


def test_a_schema_that_means_itself_ends() -> None:
    class Tree(BaseModel):
        name: str
        under: list["Tree"] = []

    schema = Tree.model_json_schema()
    assert wrong_with({"name": "a", "under": [{"name": "b"}]}, schema, "tree") == []
    assert wrong_with({"name": "a", "under": [{"name": 1}]}, schema, "tree") == [
        "tree.under[0].name: must be of type string"
    ]
    assert set(parts(schema)) == {"name", "under"}
