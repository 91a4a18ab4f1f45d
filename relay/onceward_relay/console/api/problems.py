"""Errors as application/problem+json (RFC 9457): what was wrong, the fields, for faults of ours an id in the log."""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from onceward_relay.console.deciding import Refused, Unanswered

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
STATUSES = (400, 401, 403, 404, 409, 413, 422, 500, 503)


class Wrong(BaseModel):
    """A field that is wrong."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    field: str
    """Its path: body.reason, query.limit."""
    message: str


class Problem(BaseModel):
    """Why a request was not answered. Nothing was changed, unless `detail` says that this is not known."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    title: str
    """The status in words."""
    status: int = Field(ge=400, le=599)
    detail: str
    """What is wrong and what to do, in a sentence or two."""
    errors: list[Wrong] = []
    """The fields that are wrong."""
    id: str | None = None
    """Under which the console's log has more, of a fault that is not the caller's."""


RESPONSES: Mapping[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in STATUSES
}
"""How every route may answer beside its own way."""


def told_by(app: FastAPI) -> None:
    """Let all errors of an application be told this way."""
    handlers: Mapping[type[Exception], Any] = {
        RequestValidationError: _invalid,
        HTTPException: _said,
        Refused: _refused,
        Unanswered: _unanswered,
        PoolTimeout: _away,
        psycopg.Error: _failed,
        Exception: _failed,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


def _answer(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    return JSONResponse(problem.model_dump(mode="json", exclude_none=True), status, headers, MEDIA_TYPE)


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    wrong = [Wrong(field=".".join(map(str, each["loc"])), message=each["msg"]) for each in error.errors()[:20]]
    return _answer(422, "; ".join(f"{each.field}: {each.message}" for each in wrong[:3]), errors=wrong)


async def _said(_: Request, error: HTTPException) -> JSONResponse:
    return _answer(error.status_code, error.detail, error.headers)


async def _refused(_: Request, error: Refused) -> JSONResponse:
    wrong = [Wrong(field=error.field, message=error.words)] if error.field else []
    return _answer(error.status, error.words, errors=wrong)


async def _unanswered(_: Request, error: Unanswered) -> JSONResponse:
    return _answer(503, error.words)


async def _away(_: Request, __: PoolTimeout) -> JSONResponse:
    return _answer(503, "the participant does not answer; nothing was changed")


async def _failed(request: Request, error: Exception) -> JSONResponse:
    number = secrets.token_hex(6)
    log.error("error %s at %s", number, request.url.path, exc_info=error)
    detail = f"something went wrong; its id in the console's log is {number}; look whether it was done before you go on"
    return _answer(500, detail, id=number)
