"""Bodies of requests: read whole, decoded as their type says, checked against a model; and how OpenAPI tells of them."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from worldloom.service.wire import BINARY, JSON, document_of

M = TypeVar("M", bound=BaseModel)


def body_of(model: type[M], *, optional: bool = False) -> Callable[[Request], Coroutine[Any, Any, M]]:
    """A dependency that gives the request's body as a model; optional: no body is one without values.

    For bodies that are small. The framework's own reading would let JSON of any depth through, and knows no bytes.
    """

    async def read(request: Request) -> M:
        body = await request.body()
        if not body and optional:
            return model()
        return model.model_validate(document_of(request.headers.get("content-type", JSON), body))

    return read


def described(model: type[BaseModel], *, optional: bool = False) -> dict[str, Any]:
    """What OpenAPI is told about a body: `openapi_extra` of an endpoint."""
    content = {JSON: {"schema": model.model_json_schema()}, BINARY: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": not optional, "content": content}}
