"""Examples in OpenAPI: requests that were sent and what was answered, from examples.json. A test sends them again and compares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI

from worldloom.service.wire import JSON

FILE = Path(__file__).with_name("examples.json")


def install(app: FastAPI) -> None:
    """Let the application's OpenAPI document show the examples."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def shown() -> dict[str, Any]:
        if app.openapi_schema is None:
            add(plain(), orjson.loads(FILE.read_bytes()))
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
