"""What OpenAPI tells beyond what FastAPI knows: the token, and examples: requests that were sent and what was answered, from
examples.json. A test sends them again and compares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI

from worldloom.service.forms import JSON

OPEN = ("/healthz", "/readyz")  # want no token
FILE = Path(__file__).with_name("examples.json")


def install(app: FastAPI) -> None:
    """Let the application's OpenAPI document show the examples."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def shown() -> dict[str, Any]:
        if app.openapi_schema is None:
            add(plain(), orjson.loads(FILE.read_bytes()))
            secure(plain())
        return plain()

    app.openapi = shown  # type: ignore[method-assign]


def add(document: dict[str, Any], examples: dict[str, Any]) -> None:
    """Puts examples, by "METHOD path", into an OpenAPI document."""
    for place, example in examples.items():
        method, _, path = place.partition(" ")
        operation = document["paths"][path][method.lower()]
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in example.get("path", {}):
                parameter["example"] = example["path"][parameter["name"]]
        if "request" in example:
            operation["requestBody"]["content"][JSON]["example"] = example["request"]
        operation["responses"][str(example["status"])]["content"][JSON]["example"] = example["response"]


def secure(document: dict[str, Any]) -> None:
    """Says that everything but the probes wants the token."""
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path in OPEN:
        document["paths"][path]["get"]["security"] = []
