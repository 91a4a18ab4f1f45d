"""The description of the API for people: made of the same document that programs read."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from onceward_relay.console.api.app import API_ROUTES
from onceward_relay.console.api.routes import PREFIX
from onceward_relay.console.rendering import render
from onceward_relay.console.routes import Route

Schema = Mapping[str, Any]


async def describe(request: Request) -> Response:
    """Show what the API offers."""
    document = request.app.state.api.openapi()
    schemas = document["components"]["schemas"]
    return render(
        request,
        "api.html",
        about=document["info"]["description"].strip().split("\n\n"),
        prefix=PREFIX,
        routes=[
            (route, _described(document["paths"][route.below][route.method.lower()], schemas)) for route in API_ROUTES
        ],
        parts=[
            (name, schemas[name].get("description", ""), list(fields(schemas[name], schemas)))
            for name in sorted(schemas)
        ],
    )


def fields(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[tuple[str, str, bool, str]]:
    """Return the fields of an object: name, type in words, whether it is needed, what it is."""
    needed = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield name, type_of(each, schemas), name in needed, each.get("description", "")


def type_of(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if "anyOf" in schema:
        return " | ".join(type_of(each, schemas) for each in schema["anyOf"] if each.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'], schemas)}"
    if schema.get("additionalProperties") and isinstance(schema["additionalProperties"], Mapping):
        return f"{type_of(schema['additionalProperties'], schemas)} by name"
    return str(schema.get("format") or schema.get("type") or "any")


def _described(operation: Mapping[str, Any], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return {
        "summary": operation["description"],
        "parameters": [
            (each["name"], type_of(each["schema"], schemas), each["required"], each.get("description", ""))
            for each in operation.get("parameters", ())
        ],
        "body": body and type_of(body, schemas),
        "answer": type_of(answer, schemas),
    }


ROUTES = (Route("GET", "/api", describe, None),)
