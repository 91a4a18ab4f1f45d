"""The API, put together: its routes, how errors are told, and its description."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from pydantic.json_schema import models_json_schema
from starlette.datastructures import State
from starlette.routing import Mount

from onceward_relay.console.api import acting, reading
from onceward_relay.console.api.problems import RESPONSES, Problem, told_by
from onceward_relay.console.api.routes import PREFIX, ApiRoute
from onceward_relay.console.api.who import needs

ABOUT = """What the console shows and decides, for programs.

Send a token: `Authorization: Bearer TOKEN`. Times are ISO 8601 in UTC. Amounts are text, with their currency.
A decision has an id of yours: whatever is sent twice with one id is done once.
A list is read page by page: `next` of one is `after` of the next. `missing` names participants that did not answer.
"""

API_ROUTES: Sequence[ApiRoute] = (
    ApiRoute("GET", "/participants", reading.list_participants, None, "look"),
    ApiRoute("GET", "/incidents", reading.list_incidents, "look", "look"),
    ApiRoute("GET", "/groups", reading.list_groups, "look", "look"),
    ApiRoute("GET", "/search", reading.search, "look", "look"),
    ApiRoute("GET", "/participants/{participant}/calls/{id}", reading.show_call, "look", "look"),
    ApiRoute("GET", "/participants/{participant}/flows/{id}", reading.show_flow, "look", "look"),
    ApiRoute("GET", "/decisions", reading.list_decisions, "look", "look"),
    ApiRoute("GET", "/participants/{participant}/decisions/{id}", reading.show_decision, "look", "look"),
    ApiRoute("GET", "/providers", reading.list_providers, "look", "look"),
    ApiRoute("GET", "/participants/{participant}/audit", reading.list_audit, "look", "look"),
    ApiRoute("POST", "/participants/{participant}/decisions", acting.propose, "act", "decide"),
    ApiRoute("POST", "/participants/{participant}/decisions/{id}/approve", acting.approve, "approve", "decide"),
    ApiRoute("POST", "/participants/{participant}/decisions/{id}/reject", acting.reject, "approve", "decide"),
    ApiRoute("POST", "/participants/{participant}/decisions/{id}/withdraw", acting.withdraw, "act", "decide"),
    ApiRoute("POST", "/participants/{participant}/calls/{id}/ask", acting.ask, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/calls/{id}/evidence", acting.add_evidence, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/calls/{id}/reveal", acting.reveal, "reveal", "act"),
    ApiRoute("POST", "/participants/{participant}/flows/{id}/resume", acting.resume, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/flows/{id}/pause", acting.pause, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/incidents/{id}/claim", acting.claim, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/incidents/{id}/unclaim", acting.unclaim, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/incidents/{id}/close", acting.close, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/incidents/{id}/snooze", acting.snooze, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/notes", acting.note, "act", "act"),
    ApiRoute("POST", "/participants/{participant}/providers/stop", acting.stop_provider, "manage", "manage"),
    ApiRoute("POST", "/participants/{participant}/providers/start", acting.start_provider, "manage", "manage"),
)
"""Everything that the API serves, beside its description at /openapi.json."""


def mounted(state: State) -> Mount:
    """Return the API where the console serves it."""
    mount = Mount(PREFIX, api(state))
    mount.path_regex = re.compile(rf"^{PREFIX}/(?P<path>.*)$", re.DOTALL)  # a line break, too
    return mount


def api(state: State) -> FastAPI:
    """Return the API as an application below `PREFIX`; `state` is the console's, which it shares."""
    app = FastAPI(
        title="onceward console",
        version=version("onceward"),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
        redirect_slashes=False,
    )
    app.state = state
    state.api = app
    told_by(app)
    for route in API_ROUTES:
        app.add_api_route(
            route.below,
            route.endpoint,
            methods=[route.method],
            dependencies=[Depends(needs(route.permission))],
            responses=dict(RESPONSES),
            tags=[route.tag],
            summary=_summary(route),
            operation_id=route.endpoint.__name__,
        )
    generated = app.openapi

    def described() -> dict[str, Any]:
        document = generated()
        _, problem = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= problem["$defs"]
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["parameters"] = [_without_null(each) for each in operation.get("parameters", ())]
        return document

    app.openapi = described  # type: ignore[method-assign]
    return app


def _without_null(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter that can be left out, but never be null: a query has no such value."""
    schema = parameter["schema"]
    if "anyOf" in schema:
        (given,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        schema = given | {name: value for name, value in schema.items() if name != "anyOf"}
    return parameter | {"schema": schema}


def _summary(route: ApiRoute) -> str:
    return (route.endpoint.__doc__ or "").split(".", 1)[0]
