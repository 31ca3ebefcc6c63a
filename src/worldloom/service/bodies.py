"""Bodies of requests: read whole, decoded as their type says, checked against a model; and how OpenAPI tells of them, and of answers."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from worldloom.core.errors import InputError, StoreError, UnknownName
from worldloom.service.forms import BINARY, JSON
from worldloom.service.wire import document_of

M = TypeVar("M", bound=BaseModel)
SHOWN = 80  # letters of a name that an error repeats


def body_of(model: type[M], *, optional: bool = False) -> Callable[[Request], Coroutine[Any, Any, M]]:
    """A dependency that gives the request's body as a model; optional: no body is one without values.

    For bodies that the shield keeps small. The framework's own reading would let JSON of any depth through, and knows no bytes.
    """

    async def read(request: Request) -> M:
        body = await request.body()
        if not body and optional:
            return model()
        document = document_in(request.headers.get("content-type", JSON), body)
        check_names(model, document)
        return model.model_validate(document)

    return read


def check_names(model: type[BaseModel], document: Mapping[str, Any]) -> None:
    """Raises UnknownName, with the nearest, for a name that the model does not have."""
    for name in document:
        if name not in model.model_fields:
            raise UnknownName("name in the body", name[:SHOWN], model.model_fields)


def document_in(content_type: str, body: bytes) -> dict[str, Any]:
    """What a request's body says. Raises InputError for what is no document: arrays of a request that are damaged are its sender's."""
    try:
        return document_of(content_type, body)
    except StoreError as error:
        why = str(error).partition(". ")[0].partition(": ")[2] or str(error)
        raise InputError(f"The body's arrays are damaged: {why}. Expected one block of {BINARY}. Send it again.") from None


def answered(status: int = 200) -> dict[str, Any]:
    """What OpenAPI is told about an answer of wire.py, which may come as bytes, and with 201 says where the new thing is."""
    told: dict[str, Any] = {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
    if status == 201:
        told["headers"] = {"Location": {"description": "its path", "required": True, "schema": {"type": "string"}}}
    return {"status_code": status, "responses": {status: told}}


def described(model: type[BaseModel], *, optional: bool = False) -> dict[str, Any]:
    """What OpenAPI is told about a body: `openapi_extra` of an endpoint."""
    content = {JSON: {"schema": model.model_json_schema()}, BINARY: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": not optional, "content": content}}
