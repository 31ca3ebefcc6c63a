"""Pages for people: /docs, every endpoint on one page, written on the server from OpenAPI. No script, nothing from elsewhere.

`element` escapes whatever is not HTML made here, so that no name or docstring can become markup.
"""

import base64
import json
import shlex
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from worldloom.service.forms import BINARY, JSON, PROBLEM
from worldloom.service.settings import MIB, Settings
from worldloom.service.wire import DEPTH

STYLE = Path(__file__).with_name("docs.css").read_text(encoding="utf-8")
STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
LIMITS = {  # of JSON schema, as they are read
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}", "multipleOf": "a multiple of {}",
    "minLength": "≥ {} characters", "maxLength": "≤ {} characters", "pattern": "like {}",
    "minItems": "≥ {} items", "maxItems": "≤ {} items",
}  # fmt: skip
VALUES = 400  # characters of a default that are shown

Schema = Mapping[str, Any]

router = APIRouter(include_in_schema=False)


@router.get("/")
async def front() -> RedirectResponse:
    """The first page."""
    return RedirectResponse("/docs", 307)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Every endpoint on one page."""
    settings = getattr(getattr(request.app.state, "service", None), "settings", Settings())
    whole = page(request.app.openapi(), settings, str(request.base_url).rstrip("/"))
    return HTMLResponse(whole, headers={"content-security-policy": POLICY})


class Html(str):
    """Text that is HTML already."""


def element(kind: str, *inside: str, **attributes: str) -> Html:
    """An HTML element. What is inside is escaped unless it is Html; attributes always are.

    In names of attributes a last underscore is dropped, any other is a hyphen: class_, aria_label.
    """
    said = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return Html(f"<{kind}{said}>{joined(*inside)}</{kind}>")


def joined(*parts: str) -> Html:
    """Parts one after the other, each escaped unless it is Html."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def page(openapi: Schema, settings: Settings, address: str) -> Html:
    """The whole page. address: where the service was asked, for the examples."""
    info, operations = openapi["info"], list(operations_of(openapi))
    schemas = openapi.get("components", {}).get("schemas", {})
    title = f"{info['title']} {info['version']}"
    head = [
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{title}: endpoints"),
        element("style", Html(STYLE)),
    ]
    main = [
        element("h1", title), *paragraphs(info.get("description", "")), introduction(settings, address), contents(operations),
        *(endpoint(path, method, operation, schemas, address) for path, method, operation in operations),
        element("h2", "Documents", id="documents"), *(model(name, schema) for name, schema in sorted(schemas.items())),
    ]  # fmt: skip
    body = element("body", element("main", *main))
    return Html(f'<!doctype html><html lang="en">{element("head", *head)}{body}</html>')


def operations_of(openapi: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Path, method and operation, in the order of the application's routes."""
    for path, item in openapi.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def introduction(settings: Settings, address: str) -> Html:
    """What holds for every endpoint."""
    asks = element("code", "Authorization: Bearer TOKEN")
    parts = {
        "Token": joined(
            "Every path but /healthz and /readyz wants the token that ", element("code", "loom serve"), " printed when it started. "
            "Programs send the header ", asks, "; a browser gets a cookie by opening the printed address once.",
        ),
        "Formats": joined(
            "Documents are JSON (", element("code", JSON), ") or, for arrays without loss or parsing, named arrays as bytes (",
            element("code", BINARY), "): say in ", element("code", "Content-Type"), " what you send, and in ",
            element("code", "Accept"), " what you want. worldloom.Client speaks both.",
        ),
        "Limits": joined(
            f"A body has at most {settings.body_bytes / MIB:g} MiB and {settings.items} lanes, without arrays "
            f"{settings.order_bytes / 1024:g} KiB; JSON has at most {DEPTH} levels. It arrives within {settings.seconds:g} s, "
            "uncompressed. Above that: 413, 422, 408, 415. A service with enough to do answers 429 and says in Retry-After when to ask "
            "again.",
        ),
        "Errors": joined("Anything else than success is a problem document: title, status, and a sentence in detail."),
        "Machine-readable": joined("This page as OpenAPI: ", element("a", "/openapi.json", href="/openapi.json"), f", at {address}."),
    }  # fmt: skip
    return element("dl", *(joined(element("dt", name), element("dd", text)) for name, text in parts.items()))


def contents(operations: list[tuple[str, str, Schema]]) -> Html:
    """The table of contents."""
    lines = [
        element("li", element("a", badge(method), " ", breakable(path), href=f"#{anchor(method, path)}"))
        for path, method, _ in operations
    ]
    last = element("li", element("a", "Documents", href="#documents"))
    return element("nav", element("h2", "Contents"), element("ul", *lines, last), aria_label="Contents")


def anchor(method: str, path: str) -> str:
    """The id of an endpoint on the page."""
    return f"{method}-{path}"


def badge(method: str) -> Html:
    """A method."""
    return element("b", method.upper(), class_=f"method {method}")


def breakable(path: str) -> Html:
    """A path that may break after each slash."""
    return Html(escape(path).replace("/", "/<wbr>"))


def endpoint(path: str, method: str, operation: Schema, schemas: Schema, address: str) -> Html:
    """A section about one endpoint."""
    parts: list[Html] = [element("h2", badge(method), " ", breakable(path), id=anchor(method, path))]
    parts += paragraphs(operation.get("description") or operation.get("summary", ""))
    if parameters := operation.get("parameters"):
        parts += [element("h3", "Parameters"), rows(parameter(found) for found in parameters)]
    for form, media in operation.get("requestBody", {}).get("content", {}).items():
        parts += [element("h3", "Body, ", element("code", form)), body(media.get("schema", {}), schemas)]
    parts += [element("h3", "Answers"), rows(answers(operation.get("responses", {})))]
    if line := curl(path, method, operation, schemas, address):
        parts += [element("h3", "Example"), element("pre", element("code", line), tabindex="0")]
    return element("section", *parts)


def answers(responses: Schema) -> Iterator[tuple[Html, Html, str]]:
    """A line about each answer; one about all that are problem documents."""
    problems = [status for status, found in responses.items() if list(found.get("content", {})) == [PROBLEM]]
    yield from (answer(status, found) for status, found in responses.items() if status not in problems)
    if problems:
        yield (
            joined(element("code", " ".join(sorted(problems)))),
            joined("as ", element("code", PROBLEM)),
            "refused: `detail` says why",
        )


def paragraphs(text: str) -> list[Html]:
    """A docstring: paragraphs between empty lines, code between backticks."""
    return [element("p", *coded(part)) for part in text.split("\n\n") if part.strip()]


def coded(text: str) -> list[str]:
    """A text whose every second piece between backticks is code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # one of them is no bracket
        return [text]
    return [element("code", piece) if k % 2 else piece for k, piece in enumerate(pieces)]


def rows(lines: Iterator[tuple[Html, Html, str]]) -> Html:
    """Name, type and meaning, a line each; below each other where the page is narrow."""
    return element(
        "div",
        *(
            element("div", element("div", name), element("div", kind), element("div", *coded(meaning)), class_="row")
            for name, kind, meaning in lines
        ),
        class_="rows",
    )


def parameter(found: Schema) -> tuple[Html, Html, str]:
    """A line about a parameter."""
    schema = found.get("schema", {})
    name = joined(element("code", found["name"]), f" in {found['in']}", ", required" if found.get("required") else "")
    return name, joined(typed(schema), default(schema)), found.get("description") or schema.get("description", "")


def body(schema: Schema, schemas: Schema) -> Html:
    """The fields of a body, or its type where it has no fields."""
    whole = schemas.get(reference(schema), schema)
    if "properties" not in whole:
        return element("p", typed(schema), default(schema))
    link = [element("p", typed(schema))] if reference(schema) else []
    return joined(*link, rows(fields(whole)))


def fields(schema: Schema) -> Iterator[tuple[Html, Html, str]]:
    """A line about each field of an object."""
    for name, field in schema.get("properties", {}).items():
        needed = ", required" if name in schema.get("required", ()) else ""
        yield joined(element("code", name), needed), joined(typed(field), default(field)), field.get("description", "")


def answer(status: str, found: Schema) -> tuple[Html, Html, str]:
    """A line about an answer."""
    forms = [
        joined(typed(media.get("schema", {})), " as ", element("code", form)) for form, media in found.get("content", {}).items()
    ]
    kinds = joined(*(joined(Html("<br>") if k else "", form) for k, form in enumerate(forms)))
    return element("code", status), kinds, found.get("description", "")


def model(name: str, schema: Schema) -> Html:
    """A section about a document that endpoints refer to."""
    inside = rows(fields(schema)) if "properties" in schema else element("p", typed(schema))
    return element("section", element("h3", name, id=f"document-{name}"), *paragraphs(schema.get("description", "")), inside)


def reference(schema: Schema) -> str:
    """The name of the document that a schema refers to, or ''."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def typed(schema: Schema | bool) -> Html:
    """What a value may be: its type with its limits, or a link to the document that tells it."""
    if isinstance(schema, bool):  # additionalProperties, items
        return joined("anything" if schema else "nothing")
    if name := reference(schema):
        return element("a", name, href=f"#document-{name}")
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return separated(" or " if several != "allOf" else " and ", [typed(one) for one in schema[several]])
    if "enum" in schema or "const" in schema:
        return separated(" or ", [element("code", json.dumps(value)) for value in schema.get("enum", [schema.get("const")])])
    limits = [words.format(number(schema[limit])) for limit, words in LIMITS.items() if limit in schema]
    return joined(shape(schema), f" ({', '.join(limits)})" if limits else "")


def number(limit: Any) -> Any:
    """A limit as people write it: OpenAPI makes some whole numbers 1.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def shape(schema: Schema) -> Html:
    """A type without its limits."""
    kind = schema.get("type", "anything")
    if kind == "array":
        return joined("list of ", typed(schema.get("items", True)))
    if kind == "object" and "additionalProperties" in schema:
        return joined("object by name of ", typed(schema["additionalProperties"]))
    if isinstance(kind, list):
        return joined(" or ".join(kind))
    return joined(f"{kind} ({schema['format']})" if "format" in schema else kind)


def separated(between: str, parts: list[Html]) -> Html:
    """Parts with a word between them."""
    return joined(*(joined(between if k else "", part) for k, part in enumerate(parts)))


def default(schema: Schema) -> Html:
    """What a value is when nothing is said."""
    return joined(", else ", element("code", json.dumps(schema["default"])[:VALUES])) if "default" in schema else Html("")


def curl(path: str, method: str, operation: Schema, schemas: Schema, address: str) -> str:
    """A line for a shell that calls the endpoint with its examples, or '' where something it needs has none."""
    query = []
    for found in operation.get("parameters", ()):
        value = example(found, schemas)
        if found["in"] == "path" and value is not None:
            path = path.replace(f"{{{found['name']}}}", quote(str(value)))
        elif found["in"] == "query" and value is not None:
            query.append(f"{quote(found['name'])}={quote(str(value))}")
        elif found.get("required"):
            return ""
    words = ["curl", "-H", "Authorization: Bearer $TOKEN", *([] if method == "get" else ["-X", method.upper()])]
    form, media = next(iter(operation.get("requestBody", {}).get("content", {}).items()), ("", {}))
    if form:
        if (value := example(media, schemas)) is None:
            return ""
        words += ["-H", f"Content-Type: {form}", "-d", json.dumps(value, ensure_ascii=False)]
    words.append(f"{address}{path}{'?' if query else ''}{'&'.join(query)}")
    return " ".join(f'"{word}"' if word.endswith("$TOKEN") else shlex.quote(word) for word in words)


def example(found: Schema, schemas: Schema) -> Any:
    """The first example of a parameter, a body or the document it refers to; None without one."""
    for holder in (found, found.get("schema", {}), schemas.get(reference(found.get("schema", {})), {})):
        if "example" in holder:
            return holder["example"]
        if examples := holder.get("examples"):  # OpenAPI has them by name, JSON schema in a list
            return next(iter(examples.values()))["value"] if isinstance(examples, Mapping) else examples[0]
    return None
