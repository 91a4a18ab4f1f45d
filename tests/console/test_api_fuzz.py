"""The API under schemathesis: whatever is sent, it answers as its description says, and never by a fault of its own."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from onceward_relay.console.api.app import API_ROUTES
from onceward_relay.console.api.routes import PREFIX, ApiRoute
from tests.console.programs import Program, program_of
from tests.console.running import RunningConsole
from tests.people.desk import Desk

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EACH = [pytest.param(6, id="short"), pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(1800)], id="long")]
"""Examples of each route and way."""


@pytest.fixture(scope="module")
def program(console: RunningConsole) -> Iterator[Program]:
    with program_of(console) as program:
        yield program


@pytest.fixture(scope="module")
def schema(program: Program) -> Any:
    return schemathesis.openapi.from_dict(program.http.get(f"{PREFIX}/openapi.json").json())


@pytest.fixture
def known(desk: Desk) -> dict[str, list[UUID]]:
    """What is there to be decided about."""
    call, flow = desk.call(ref="order-1"), desk.flow("blocked")
    return {
        "calls": [call, desk.call("succeeded"), desk.call("failed")],
        "flows": [flow],
        "incidents": [desk.incident(call_id=call)],
        "decisions": [desk.propose("close", flow)["id"]],
    }


@pytest.mark.parametrize("examples", EACH)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("route", API_ROUTES, ids=lambda route: route.endpoint.__name__)
def test_every_route_answers_as_described(
    route: ApiRoute, mode: GenerationMode, examples: int, schema: Any, program: Program, known: dict[str, list[UUID]]
) -> None:
    operation = schema[route.below][route.method]
    # What is wrong in a query may be a list of nothing, or of one thing, which cannot be told from what is right.
    checks = [*CHECKS, negative_data_rejection] if route.method == "POST" else CHECKS
    kind = next((kind for kind in known if f"/{kind}/{{id}}" in route.below), None)

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < 100, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), here=st.booleans(), data=st.data())
    def holds(case: "Case[Any]", here: bool, data: st.DataObject) -> None:
        if here and mode is GenerationMode.POSITIVE and case.path_parameters:
            case.path_parameters["participant"] = "payer"
            if kind is not None:
                case.path_parameters["id"] = str(data.draw(st.sampled_from(known[kind])))
        answer = case.call(base_url=f"{program.address}{PREFIX}", headers={"Authorization": f"Bearer {program.token}"})
        case.validate_response(answer, checks=checks, headers={"Authorization": f"Bearer {program.token}"})

    holds()


@pytest.mark.parametrize("route", API_ROUTES, ids=lambda route: route.endpoint.__name__)
def test_no_route_forgets_to_ask_for_a_token(route: ApiRoute, schema: Any, program: Program) -> None:
    assert schema[route.below][route.method].definition.raw["security"] == [{"HTTPBearer": []}]
