"""The page that says what every endpoint takes and gives."""

import base64
import json
import re
import shlex
import subprocess
from hashlib import sha256
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI, Path, Query
from live import live
from pydantic import BaseModel, Field

from worldloom.service.app import ROUTERS
from worldloom.service.routes import pages
from worldloom.service.settings import Settings
from worldloom.service.shield import Shield

VOID = {"meta", "wbr", "br"}
HOSTILE = """<script>alert(1)</script>"onload='x'</style></code><img src=http://evil.example>"""


class Read(HTMLParser):
    """A page as a browser reads it: its elements, ids, links, and text by element. Fails where elements are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.ids, self.links, self.text = [], [], [], [], {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if name in ("href", "src", "action", "srcset", "data", "poster")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in {*self.open}:
            self.text[tag] = self.text.get(tag, "") + data


@pytest.fixture(scope="module")
def whole():
    """All endpoints of the service; nobody calls those that need a store."""
    app = FastAPI(title="Worldloom", docs_url=None, redoc_url=None)
    app.state.service = SimpleNamespace(settings=Settings(items=777, body_bytes=3 << 20))
    for router in ROUTERS:
        app.include_router(router)
    return app


@pytest.fixture(scope="module")
def address(whole):
    with live(Shield(whole, Settings())) as url:
        yield url


@pytest.fixture(scope="module")
def answer(http):
    return http.get("/docs")


@pytest.fixture(scope="module")
def page(answer):
    return Read(answer.text)


class Order(BaseModel):
    """What to make.

    A second paragraph with `code`."""

    model_config = {"json_schema_extra": {"examples": [{"name": "it's", "count": 3}]}}

    name: str = Field(max_length=9, description="what it is `called`")
    count: int | None = Field(7, ge=1, le=4095)
    kinds: list[Literal["a", "b"]] = []
    table: dict[str, float] = {}


def read(*routers, title="Site", **more):
    """The page of an application with these routers."""
    app = FastAPI(title=title, docs_url=None, **more)
    for router in (*routers, pages.router):
        app.include_router(router)
    with live(app) as url:
        return httpx.get(f"{url}/docs").text


def making():
    router = APIRouter()

    @router.post("/makers/{maker}/things")
    def make(
        maker: Annotated[str, Path(examples=["a b"])], order: Order, limit: Annotated[int, Query(ge=1, le=50, description="at most")] = 10,
        since: Annotated[str, Query(examples=["x&y"])] = "",
    ) -> list[Order]:  # fmt: skip
        """Make `things`.

        Of any kind."""
        return [order]

    @router.put("/plain")
    def plain(number: Annotated[float, Body(gt=0.5)]) -> None: ...

    return router


def test_the_page_has_every_endpoint_of_the_schema_and_a_link_to_each(page, whole):
    operations = [(path, method) for path, item in whole.openapi()["paths"].items() for method in item]
    assert len(operations) >= 5 and ("/healthz", "get") in operations
    for path, method in operations:
        assert f"{method}-{path}" in page.ids and f"#{method}-{path}" in page.links and path in page.text["section"]
    for name in whole.openapi()["components"]["schemas"]:
        assert f"document-{name}" in page.ids


def test_every_link_leads_somewhere_on_the_page_or_to_the_schema(page, http):
    inside, outside = (
        {link for link in page.links if link.startswith("#")},
        {link for link in page.links if not link.startswith("#")},
    )
    assert {link[1:] for link in inside} <= {*page.ids} and outside == {"/openapi.json"}
    assert http.get("/openapi.json").json()["paths"]
    assert len(page.ids) == len({*page.ids})


def test_the_page_loads_nothing_and_runs_nothing(answer, page):
    kinds = {tag for tag, _ in page.elements}
    assert not kinds & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg", "video", "audio"}
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on") or a == "style"]
    assert not re.search(r"""(src|href|action)=["']?\s*(https?:|//|data:|javascript:)|@import|url\(""", answer.text, re.I)


def test_the_policy_of_the_page_allows_its_style_and_nothing_else(answer, page):
    digest = base64.b64encode(sha256(page.text["style"].encode()).digest()).decode()
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "style-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'",
    }  # fmt: skip
    assert answer.headers["content-type"] == "text/html; charset=utf-8" and len(page.text["style"]) > 500


def test_the_page_is_made_for_narrow_windows_and_dark_rooms(page):
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.elements
    assert ("html", {"lang": "en"}) in page.elements and "prefers-color-scheme: dark" in page.text["style"]
    assert not re.search(r"(?<!-)(?<!min-)\bwidth:\s*\d{3,}px", page.text["style"])


def test_the_page_says_how_to_come_in_what_to_send_and_how_much(page):
    told = page.text["dl"]
    for words in (
        "Authorization: Bearer",
        "loom serve",
        "application/json",
        "application/vnd.worldloom",
        "3 MiB",
        "777 lanes",
        "30 s",
    ):
        assert words in told


def test_an_endpoint_tells_parameters_fields_limits_defaults_and_answers():
    section = Read(read(making())).text["section"]
    for words in (
        "Make things.", "Of any kind.", "maker in path, required", "limit in query", "integer (≥ 1, ≤ 50), else 10", "at most",
        "name, required", "string (≤ 9 characters)", "what it is called", "integer (≥ 1, ≤ 4095) or null, else 7",
        'list of "a" or "b"', "object by name of number", "list of Order as application/json", "422", "200", "number (> 0.5)",
        "A second paragraph with code.",
    ):  # fmt: skip
        assert words in section, words


def test_an_example_is_a_line_that_a_shell_understands(tmp_path):
    (line,) = re.findall(r"curl [^\n]*", Read(read(making())).text["pre"])
    script = "curl() { printf '%s\\0' \"$@\"; }\nTOKEN=secret\n" + line
    words = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split("\0")[:-1]
    assert words[:4] == ["-H", "Authorization: Bearer secret", "-X", "POST"] and words[4:6] == [
        "-H",
        "Content-Type: application/json",
    ]
    assert json.loads(words[7]) == {"name": "it's", "count": 3}
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/makers/a%20b/things\?since=x%26y", words[8])
    assert shlex.split(line)[0] == "curl"


def test_an_endpoint_whose_needs_have_no_example_has_no_line():
    assert pages.curl("/a/{b}", "get", {"parameters": [{"name": "b", "in": "path", "required": True}]}, {}, "http://x") == ""
    assert pages.curl("/a", "put", {"requestBody": {"content": {"application/json": {"schema": {}}}}}, {}, "http://x") == ""
    assert pages.curl("/a", "get", {}, {}, "http://x").endswith(" http://x/a")


def test_nothing_that_a_schema_says_becomes_markup():
    hostile = APIRouter()

    class Thing(BaseModel):
        name: str = Field(HOSTILE, description=HOSTILE, pattern=".*", json_schema_extra={"examples": [HOSTILE]})

    Thing.__doc__ = HOSTILE

    def endpoint(thing: Thing, q: str = Query(HOSTILE, description=HOSTILE, alias=HOSTILE, examples=[HOSTILE])) -> Thing:
        return thing

    endpoint.__doc__ = f"{HOSTILE}\n\n`{HOSTILE}`"
    answers = {418: {"description": HOSTILE, "content": {HOSTILE: {"schema": {"enum": [HOSTILE], "title": HOSTILE}}}}}
    hostile.add_api_route("/" + HOSTILE, endpoint, methods=["POST"], responses=answers, openapi_extra={"summary": HOSTILE})
    text = read(hostile, title=HOSTILE, description=HOSTILE)
    page = Read(text)
    assert text.count("&lt;script&gt;") >= 10 and "<script" not in text and "<img" not in text
    assert {tag for tag, _ in page.elements} <= {
        "html", "head", "meta", "title", "style", "body", "main", "nav", "h1", "h2", "h3", "dl", "dt", "dd", "p", "ul", "li", "a", "b",
        "code", "pre", "div", "section", "wbr", "br",
    }  # fmt: skip
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert HOSTILE in page.text["h1"] and page.text["title"].startswith(HOSTILE)


def test_a_schema_of_any_shape_is_written():
    for schema, text in (
        (True, "anything"), (False, "nothing"), ({}, "anything"), ({"type": ["string", "null"]}, "string or null"),
        ({"const": None}, "null"), ({"allOf": [{"type": "string"}, {"minLength": 2}]}, "string and anything (≥ 2 characters)"),
        ({"type": "string", "format": "uuid"}, "string (uuid)"), ({"type": "array"}, "list of anything"), ({"type": "object"}, "object"),
        ({"type": "object", "additionalProperties": True}, "object by name of anything"),
    ):  # fmt: skip
        assert re.sub("<[^>]+>", "", pages.typed(schema)) == text


def test_a_document_that_refers_to_itself_ends():
    class Tree(BaseModel):
        children: list["Tree"]

    router = APIRouter()
    router.add_api_route("/tree", lambda: None, methods=["GET"], response_model=Tree)
    assert "list of Tree" in Read(read(router)).text["section"]


def test_the_first_page_leads_to_it_and_neither_is_an_endpoint(http, whole):
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert not {"/", "/docs"} & {*whole.openapi()["paths"]}


def test_an_address_in_the_host_header_is_only_text():
    app = FastAPI(docs_url=None)
    app.include_router(pages.router)
    with live(app) as url:
        text = httpx.get(f"{url}/docs", headers={"host": 'a"><script>'}).text
    assert "<script" not in text
