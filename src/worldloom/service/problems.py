"""What went wrong, as an answer: problem documents of RFC 9457, with our one sentence as `detail`."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from worldloom.core.errors import (
    BusyError,
    InputError,
    MachineError,
    StateError,
    StoreError,
    UnknownName,
    WorldloomError,
)
from worldloom.service.forms import PROBLEM
from worldloom.service.wire import json_bytes

LATER = (429, 503)  # statuses that say when to ask again
AGAIN = {"description": "s until to ask again", "required": True, "schema": {"type": "integer", "minimum": 1}}
BEGINNING, END = 600, 600  # characters of a sentence that are told: a name that it repeats may be as long as a request


class Problem(BaseModel):
    """Why a request was not carried out."""

    title: str
    status: int
    detail: str


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    said = {"title": HTTPStatus(status).phrase, "status": status, "detail": shortened(detail)}
    return Response(json_bytes(said), status, dict(headers or {}), media_type=PROBLEM)


def shortened(detail: str) -> str:
    """A sentence without its middle where it is very long: what was wrong stands at its beginning, what to do at its end."""
    return detail if len(detail) <= BEGINNING + END else f"{detail[:BEGINNING]} … {detail[-END:]}"


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI is told about these statuses: `responses` of an endpoint."""
    content = {PROBLEM: {"schema": Problem.model_json_schema()}}
    told = {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
    return {status: one | ({"headers": {"Retry-After": AGAIN}} if status in LATER else {}) for status, one in told.items()}


def status_of(error: WorldloomError, path: Mapping[str, Any]) -> int:
    """The HTTP status of an error. A name that is not there is 404 where the path names it, 422 where the body does."""
    if isinstance(error, UnknownName):
        return 404 if error.name in path.values() else 422
    if isinstance(error, Missing):
        return 404
    by_kind = {StateError: 409, StoreError: 503, InputError: 422, BusyError: 429, MachineError: 501}
    return next((status for kind, status in by_kind.items() if isinstance(error, kind)), 500)


class Missing(InputError):
    """What a path names is not there."""


class TooLarge(InputError):
    """A request asks for more than one request may."""


async def expected(request: Request, error: Exception) -> Response:
    """The answer to an error that Worldloom raises on purpose."""
    assert isinstance(error, WorldloomError)
    status = 413 if isinstance(error, TooLarge) else status_of(error, request.path_params)
    seconds = error.seconds if isinstance(error, BusyError) else 1.0
    return problem(status, str(error), headers={"retry-after": str(math.ceil(seconds))} if status in LATER else None)


async def invalid(request: Request, error: Exception) -> Response:
    """The answer to a query, path or body of another form than the endpoint's."""
    assert isinstance(error, RequestValidationError | ValidationError)
    return problem(422, sentence(error.errors()))


def sentence(errors: Sequence[Any]) -> str:
    """What pydantic found, in one sentence: the first trouble, and how many more there are."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "the body"
    told = str(first["msg"]).removeprefix("Value error, ")
    more = f" {len(errors) - 1} more like it." if len(errors) > 1 else ""
    return f"{place}: {told[:1].lower()}{told[1:]}. Expected what /docs says of it.{more}"


async def foreign(request: Request, error: Exception) -> Response:
    """The answer to what the framework refuses: no such path, another method."""
    assert isinstance(error, HTTPException)
    return problem(
        error.status_code, f"{error.detail} at {request.url.path}. Expected a request that /docs lists.", headers=error.headers
    )


async def unexpected(request: Request, error: Exception) -> Response:
    """The answer to a fault of ours: the log has the details, the answer does not."""
    return problem(500, f"The service failed with {type(error).__name__}. Expected no such error. Its log says where.")


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    app.add_exception_handler(WorldloomError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ValidationError, invalid)
    app.add_exception_handler(HTTPException, foreign)
    app.add_exception_handler(Exception, unexpected)
