"""Who may come in: the shield against hosts, tokens, sites and bodies that it must refuse."""

import asyncio
import hmac
import json
import select
import socket
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from live import live

from worldloom.service.settings import Settings
from worldloom.service.shield import PROBES, Shield, check_host, gathered, known_host

TOKEN = "vE6Qb0w-Yk3pR8sT_1uX5zA7cD9fG2hJ4kL6mN8qP0r"
LIMIT = 1000  # bytes of a body
NAMES = ("loom.example", "Box")
JSON = {"content-type": "application/json"}
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Endpoint:
    """An application that takes every request, and notes which it was asked."""

    def __init__(self):
        self.seen = []
        self.app = FastAPI(openapi_url=None)
        self.app.add_api_route("/own", self.own, methods=["GET"])
        self.app.add_api_route("/{path:path}", self.take, methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])

    async def take(self, request: Request) -> dict:
        body = await request.body()
        self.seen.append((request.url.path, body))
        return {"path": request.url.path, "query": request.url.query, "bytes": len(body)}

    async def own(self) -> Response:
        headers = {"content-security-policy": "default-src 'self'", "cache-control": "max-age=60", "referrer-policy": "unsafe-url"}
        return Response(b"{}", headers={**headers, "Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true"})


@pytest.fixture(scope="module")
def endpoint():
    return Endpoint()


@pytest.fixture(scope="module")
def address(endpoint):
    settings = Settings(token=TOKEN, names=NAMES, body_bytes=LIMIT, seconds=0.3)
    with live(Shield(endpoint.app, settings)) as url:
        yield url


@pytest.fixture
def http(address):
    with httpx.Client(base_url=address, timeout=20) as client:
        yield client


@pytest.fixture
def seen(endpoint):
    """What the application was asked since the test began."""
    endpoint.seen.clear()
    return endpoint.seen


def connected(address):
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def rest_of(talk):
    """All that a server sends until it closes."""
    got = b""
    try:
        while piece := talk.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def spoken(address, *lines, body=b""):
    """Status, headers and body of the answer to a request written by hand."""
    with connected(address) as talk:
        talk.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
        return parsed(rest_of(talk))


def parsed(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split(" ")[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


def is_problem(answer, status):
    """Whether an answer is a problem with a sentence in three parts."""
    told = answer.json()
    return (
        (answer.status_code, told["status"], answer.headers["content-type"]) == (status, status, "application/problem+json")
        and told["detail"].count(". ") >= 2
        and "Expected" in told["detail"]
    )


def asked(app, *, messages=(), kind="http", headers=(), **scope):
    """What an application sends when it is called without a server. The sender stays after its last message."""
    sent, waiting = [], list(messages)

    async def receive():
        return waiting.pop(0) if waiting else {"type": f"{kind}.disconnect"}

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    whole = {"type": kind, "path": "/", "query_string": b"", "headers": pairs, "http_version": "1.1", "method": "GET", **scope}
    if kind == "websocket":
        del whole["method"]
    asyncio.run(app(whole, receive, send))
    return sent, waiting


class Called:
    """An application that is asked nothing more than whether it was called, and for its body."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        self.bodies.append((await receive()).get("body"))
        later = await receive()
        assert later["type"].endswith("disconnect")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


# Hosts


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "127.0.0.1", "192.168.7.9:1", "[::1]:8000", "[::1]", "[FE80::1]:9",
     "[::ffff:127.0.0.1]", "loom.example", "LOOM.example:99999", "box", "localhost:"],
)  # fmt: skip
def test_addresses_and_names_of_this_service_may_come_in(address, seen, host):
    status, _, _ = spoken(address, "GET /a HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {TOKEN}")
    assert status == 200 and seen == [("/a", b"")]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil-localhost", "127.0.0.1.nip.io", "127.0.0.1.evil.example:8000", "localhost@evil",
     "user@localhost", "user:pass@127.0.0.1", "localhost evil.example", "evil.example localhost", "localhost,evil.example",
     "localhost:8000:8000", "localhost:-1", "localhost:8000/", "localhost/../evil", "http://localhost", "localhost\tevil", "::1",
     "[::1", "::1]", "[localhost]", "[127.0.0.1]", "[::1]evil", "[::1%25eth0]", "[::g]", "127.1", "0x7f.0.0.1", "2130706433",
     "127.0.0.01", "127.0.0.256", "127.0.0.1.", "localhost.", "loom.example.evil.example", "xloom.example", "", ":8000",
     "localhost:80a", "lоcalhost".encode().decode("latin-1"), "a" * 300],
)  # fmt: skip
def test_any_other_host_is_421_before_anything_else_is_looked_at(address, seen, host):
    status, headers, body = spoken(address, "GET /healthz HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {TOKEN}")
    assert status == 421 and headers["content-type"] == "application/problem+json" and seen == []
    assert "Host header" in json.loads(body)["detail"] and len(json.loads(body)["detail"]) < 300


@pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"], ["evil.example", "localhost"], ["localhost", "localhost"]])
def test_a_missing_or_doubled_host_is_421(address, seen, hosts):
    status, _, _ = spoken(address, "GET /a HTTP/1.1", *(f"Host: {host}" for host in hosts), f"Authorization: Bearer {TOKEN}")
    assert status in (400, 421) and seen == []  # a server may refuse these itself
    app = Called()
    sent, _ = asked(Shield(app, Settings()), headers=[("host", host) for host in hosts])
    assert sent[0]["status"] == 421 and app.bodies == []


def test_a_host_is_no_name_because_it_looks_like_a_pattern():
    assert known_host("loom.example", {"loom.example"}) and not known_host("loomxexample", {"loom.example"})
    with pytest.raises(Exception, match="421"):
        check_host(gathered([(b"host", b"localhost\nevil.example")]), {"localhost"})
    with pytest.raises(Exception, match="421"):
        check_host(gathered([(b"host", b"local\xb2host")]), {"localhost"})


# Tokens


def test_the_token_opens_every_path_and_without_it_only_the_probes_answer(http, seen):
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/api/worlds", "/nothing"):
        assert is_problem(refusal := http.get(path), 401) and refusal.headers["www-authenticate"] == "Bearer"
        assert "loom serve" in refusal.json()["detail"] and TOKEN not in refusal.text
    assert seen == []
    assert [http.get(path).status_code for path in PROBES] == [200, 200] and PROBES == ("/healthz", "/readyz")
    assert http.get("/api/worlds", headers=BEARER).json()["path"] == "/api/worlds"
    assert http.get("/api/worlds", headers={"authorization": f"bEARER   {TOKEN}"}).status_code == 200
    assert "set-cookie" not in http.get("/api/worlds", headers=BEARER).headers


NEAR = [
    TOKEN[:-1], TOKEN + "A", TOKEN[1:], "A" + TOKEN, TOKEN.lower(), TOKEN.upper(), TOKEN[:-1] + "s", TOKEN[::-1], TOKEN * 2, TOKEN + "\0",
    f"{TOKEN} {TOKEN}", f'"{TOKEN}"', "", "*", "None", sha256(TOKEN.encode()).hexdigest(), "é" * 43, "x" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("word", NEAR, ids=lambda word: word[:20])
def test_a_word_near_the_token_opens_nothing_by_header_query_or_cookie(word):
    app = Called()
    shield = Shield(app, Settings(token=TOKEN))
    host, encoded = ("host", "localhost"), word.encode().decode("latin-1")
    for headers, query in (
        ([host, ("authorization", f"Bearer {encoded}")], b""),
        ([host], b"token=" + httpx.QueryParams({"t": word}).__str__()[2:].encode()),
        ([host, ("cookie", f"worldloom={encoded}")], b""),
    ):
        assert asked(shield, headers=headers, query_string=query)[0][0]["status"] == 401
    assert app.bodies == []
    assert asked(shield, headers=[host, ("authorization", f"Bearer {TOKEN}")])[0][0]["status"] == 204  # so the others could have


@pytest.mark.parametrize(
    "said", [f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer{TOKEN}", f"Bearer:{TOKEN}", f"Token {TOKEN}", f"Bearer\t{TOKEN}"]
)
def test_a_token_of_another_kind_opens_nothing(http, said):
    assert http.get("/a", headers={"authorization": said}).status_code == 401


def test_two_tokens_open_nothing_even_if_one_is_right(http, seen):
    both = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x")]
    assert [http.get("/a", headers=order).status_code for order in (both, both[::-1])] == [401, 401]
    assert [http.get(f"/a?{query}").status_code for query in (f"token={TOKEN}&token=x", f"token=x&token={TOKEN}")] == [401, 401]
    assert seen == []


def test_the_first_that_is_offered_decides(http):
    http.get("/", params={"token": TOKEN})
    assert http.get("/a").status_code == 200
    assert http.get("/a", headers={"authorization": "Bearer x"}).status_code == 401
    assert http.get("/a", params={"token": "x"}).status_code == 401
    assert http.get("/a", params={"token": "x"}, headers=BEARER).json()["query"] == "token=x"


@pytest.mark.parametrize(
    "path",
    ["/healthz/", "/healthz/../api/worlds", "//healthz", "/healthz//", "/./healthz", "/x/../healthz", "/HEALTHZ", "/Healthz", "/healthz%20",
     "/healthz%00", "/healthz%0a", "/healthz;a", "/healthz%3F", "/healthz%2F..%2Fapi%2Fworlds", "/healthz%2e", "/%2Fhealthz", "/healthz%23",
     "/healthz%25", "/healthz%5C..%5Capi", "//api/worlds", "/api/worlds/..", "/api/worlds?/healthz", "/api/worlds%3F/healthz",
     "/api/worlds#/healthz", "/healthz%EF%BC%8Fapi", "/readyzz", "/ready", "//127.0.0.1/healthz", "/healthz\\..\\api"],
)  # fmt: skip
def test_no_spelling_of_a_path_goes_around_the_token(address, seen, path):
    status, headers, _ = spoken(address, f"GET {path} HTTP/1.1", "Host: localhost")
    assert status in (400, 401) and seen == [] and (status == 400 or headers["www-authenticate"] == "Bearer")


def test_a_probe_in_other_spelling_is_the_probe_and_nothing_else(address, seen):
    for target in ("/%68ealthz", "/healthz?next=/api/worlds", "http://evil.example/healthz", "/healthz#/api/worlds"):
        assert spoken(address, f"GET {target} HTTP/1.1", "Host: localhost")[0] == 200
    assert {path for path, _ in seen} == {"/healthz"}


def test_a_probe_does_not_open_the_next_request_of_its_connection(address, seen):
    with connected(address) as talk:
        talk.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        answers = rest_of(talk)
    assert answers.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 401" in answers and [path for path, _ in seen] == ["/healthz"]


def test_the_printed_address_opens_the_page_once_and_loses_its_token(http):
    answer = http.get("/docs", params={"token": TOKEN, "q": "a b&c", "tok": "1"})
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, "/docs?q=a+b%26c&tok=1", b"")
    said, *flags = answer.headers["set-cookie"].split("; ")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/"} and said.startswith("worldloom=")
    assert TOKEN not in answer.headers["set-cookie"] and answer.headers["cache-control"] == "no-store"
    assert http.get(answer.headers["location"]).json() == {"path": "/docs", "query": "q=a+b%26c&tok=1", "bytes": 0}


def test_the_cookie_is_a_keyed_hash_that_every_worker_knows_and_no_other_token_gives():
    expected = hmac.new(TOKEN.encode(), b"worldloom cookie", sha256).hexdigest()
    one, other = Shield(Called(), Settings(token=TOKEN)), Shield(Called(), Settings(token=TOKEN + "x"))
    assert one.cookie == expected != other.cookie
    for headers, status in (
        ([("cookie", f"worldloom={expected}")], 204),
        ([("cookie", f"a=1;worldloom={expected}; b=2")], 204),
        ([("cookie", f"worldloom=planted; worldloom={expected}")], 204),  # set by another program on another port
        ([("cookie", "a=1"), ("cookie", f"worldloom={expected}")], 204),
        ([("cookie", f"Worldloom={expected}")], 401),
        ([("cookie", f"worldloom2={expected}")], 401),
        ([("cookie", f"x=worldloom={expected}")], 401),
        ([("cookie", f"worldloom={expected}x")], 401),
        ([("cookie", f"worldloom={other.cookie}")], 401),
        ([("cookie", "worldloom")], 401),
        ([("authorization", f"Bearer {expected}")], 401),  # nor is it the token
    ):
        assert asked(one, headers=[("host", "localhost"), *headers])[0][0]["status"] == status, headers


@pytest.mark.parametrize(
    "target, place",
    [("/?token={}", "/"), ("/a?token={}&b=1&&c", "/a?b=1&c"), ("/a?b=1&tok%65n={}", "/a?b=1"),
     ("//evil.example/x?token={}", "/evil.example/x"),
     ("///evil.example?token={}", "/evil.example"), ("/%2Fevil.example?token={}", "/%2Fevil.example"), ("/\\evil.example?token={}", None),
     ("/a%0d%0aSet-Cookie:x?token={}", "/a%0d%0aSet-Cookie:x"), ("/a?token={}&x=%0d%0aLocation:x", "/a?x=%0d%0aLocation:x"),
     ("/w%C3%BCrfel/%25?token={}", "/w%C3%BCrfel/%25"), ("/?token={}&next=//evil.example", "/?next=//evil.example")],
)  # fmt: skip
def test_the_redirect_stays_here_whatever_the_address_looks_like(address, target, place):
    status, headers, _ = spoken(address, f"GET {target.format(TOKEN)} HTTP/1.1", "Host: localhost")
    if place is None:  # a server may refuse it, or we write it as %5C
        assert status == 400 or headers["location"] == "/%5Cevil.example"
    else:
        assert (status, headers["location"]) == (303, place) and "x" not in headers


def test_a_backslash_or_a_line_end_in_the_path_never_reaches_the_redirect():
    shield = Shield(Called(), Settings(token=TOKEN))
    for path in ("/\\evil.example", "\\\\evil.example", "/a\r\nset-cookie: x"):
        for raw in (None, path.encode()):
            sent, _ = asked(
                shield, headers=[("host", "localhost")], path=path, raw_path=raw, query_string=f"token={TOKEN}&a=\r\nb".encode()
            )
            place = dict(sent[0]["headers"])[b"location"]
            assert place.startswith(b"/") and not place.startswith(b"//") and not set(place) & set(b"\\\r\n")


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "DELETE"])
def test_the_token_in_the_query_counts_for_a_get_only(http, seen, method):
    assert http.request(method, "/a", params={"token": TOKEN}).status_code == 401 and seen == []


def test_a_service_without_a_token_asks_nobody():
    sent, _ = asked(Shield(Called(), Settings()), headers=[("host", "localhost")])
    assert sent[0]["status"] == 204


# Sites


def cookie_of(token=TOKEN):
    return Shield(Called(), Settings(token=token)).cookie


OURS = [
    {}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "HOST"},
    {"origin": "HOST", "sec-fetch-site": "same-origin"},
]  # fmt: skip
THEIRS = [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": ""}, {"sec-fetch-site": "Same-Origin, none"},
    {"sec-fetch-site": "cross-site", "origin": "HOST"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1"}, {"origin": "http://127.0.0.1:1"}, {"origin": "HOST.evil.example"}, {"origin": "HOST/"},
    {"origin": "ftp://127.0.0.1"}, {"origin": "http://localhost:1"},
]  # fmt: skip


def filled(headers, address):
    return {name: value.replace("HOST", address) for name, value in headers.items()}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("headers", OURS, ids=str)
def test_our_own_pages_and_programs_may_change_things_with_the_cookie(http, address, headers, method):
    found = http.request(method, "/a", headers={"cookie": f"worldloom={cookie_of()}", **filled(headers, address)})
    assert found.status_code == 200


@pytest.mark.parametrize("headers", THEIRS, ids=str)
def test_a_page_of_another_origin_changes_nothing_with_our_cookie(http, address, seen, headers):
    theirs = {"cookie": f"worldloom={cookie_of()}", **filled(headers, address)}
    assert is_problem(http.post("/a", headers=theirs), 403) and http.delete("/a", headers=theirs).status_code == 403 and seen == []
    assert http.get("/a", headers=theirs).status_code == 200  # it cannot read the answer: no CORS
    assert http.post("/a", headers={**filled(headers, address), **BEARER}).status_code == 200  # no page can know that


def test_one_good_header_does_not_hide_a_bad_one(http):
    for name, values in (("sec-fetch-site", ("same-origin", "cross-site")), ("origin", ("HOST", "http://evil.example"))):
        both = [(name, value.replace("HOST", str(http.base_url).rstrip("/"))) for value in values]
        assert http.post("/a", headers=[("cookie", f"worldloom={cookie_of()}"), *both]).status_code == 403


def test_a_service_without_a_token_is_no_prey_of_other_pages_either():
    shield, host = Shield(Called(), Settings()), ("host", "localhost:8000")
    for origin, status in (("http://localhost:8000", 204), ("http://evil.example", 403)):
        assert asked(shield, method="POST", headers=[host, ("origin", origin)])[0][0]["status"] == status


SOCKET = {"kind": "websocket", "messages": [{"type": "websocket.connect"}]}


@pytest.mark.parametrize(
    "headers, status",
    [([("host", "evil.example")], 421), ([("host", "localhost")], 401),
     ([("host", "localhost"), ("cookie", "worldloom=COOKIE"), ("origin", "http://evil.example")], 403),
     ([("host", "localhost"), ("cookie", "worldloom=COOKIE"), ("sec-fetch-site", "same-site")], 403)],
)  # fmt: skip
def test_a_websocket_is_refused_as_a_request_is(headers, status):
    app = Called()
    shield = Shield(app, Settings(token=TOKEN))
    pairs = [(name, value.replace("COOKIE", shield.cookie)) for name, value in headers]
    offered, _ = asked(shield, headers=pairs, extensions={"websocket.http.response": {}}, **SOCKET)
    assert (offered[0]["type"], offered[0]["status"]) == ("websocket.http.response.start", status)
    assert (b"x-content-type-options", b"nosniff") in offered[0]["headers"]
    closed, waiting = asked(shield, headers=pairs, **SOCKET)
    assert closed == [{"type": "websocket.close", "code": 1008, "reason": ""}] and waiting == [] and app.bodies == []


@pytest.mark.parametrize("way", ["bearer", "cookie", "cookie and origin"])
def test_a_websocket_of_ours_comes_in(way):
    app = Called()
    shield = Shield(app, Settings(token=TOKEN))
    cookie = ("cookie", f"worldloom={shield.cookie}")
    said = {
        "bearer": [("authorization", f"Bearer {TOKEN}"), ("origin", "http://evil.example")],
        "cookie": [cookie],
        "cookie and origin": [cookie, ("origin", "http://localhost")],
    }
    asked(shield, headers=[("host", "localhost"), *said[way]], **SOCKET)
    assert len(app.bodies) == 1


def test_a_websocket_has_no_token_in_its_query():
    app = Called()
    asked(Shield(app, Settings(token=TOKEN)), headers=[("host", "localhost")], query_string=f"token={TOKEN}".encode(), **SOCKET)
    assert app.bodies == []


# Bodies


@pytest.mark.parametrize(
    "form", ["application/json", "application/JSON; charset=utf-8", "application/vnd.worldloom", "application/json ;a=b"]
)
def test_a_body_of_a_known_type_arrives_whole(http, seen, form):
    body = bytes(range(250)) * 4
    assert http.post("/a", content=body, headers={"content-type": form, **BEARER}).json()["bytes"] == LIMIT
    assert seen == [("/a", body)]


@pytest.mark.parametrize(
    "form",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
     "application/xjson",
     "text/json", "application/json, text/plain", "text/plain; application/json", "application/octet-stream", "application/x-pickle", ";"],
)  # fmt: skip
@pytest.mark.parametrize("pieces", [b"{}", [b"{", b"}"]], ids=["whole", "chunked"])
def test_a_body_of_another_type_is_415(http, seen, form, pieces):
    headers = BEARER if form is None else {"content-type": form, **BEARER}
    content = iter(pieces) if isinstance(pieces, list) else pieces
    assert is_problem(http.put("/a", content=content, headers=headers), 415) and seen == []


def test_two_types_are_415_and_no_body_needs_none(http):
    two = [("content-type", "application/json"), ("content-type", "text/plain"), *BEARER.items()]
    assert http.post("/a", content=b"{}", headers=two).status_code == 415
    assert http.post("/a", headers=BEARER).status_code == 200 and http.delete("/a", headers=BEARER).status_code == 200
    assert http.post("/a", content=iter([]), headers=BEARER).json()["bytes"] == 0


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_rules_for_bodies_hold_for_every_method(http, seen, method):
    assert http.request(method, "/a", content=b"x" * (LIMIT + 1), headers={**JSON, **BEARER}).status_code == 413
    assert http.request(method, "/a", content=b"a=b", headers={"content-type": "text/plain", **BEARER}).status_code == 415
    assert seen == []


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "gzip, identity", "zstd", ""])
def test_a_compressed_body_is_415(http, seen, coding):
    assert is_problem(http.post("/a", content=b"{}", headers={**JSON, **BEARER, "content-encoding": coding}), 415) and seen == []
    assert http.post("/a", content=b"{}", headers={**JSON, **BEARER, "content-encoding": "Identity"}).status_code == 200


OPEN = [("host", "localhost"), *JSON.items()]
PIECE = [{"type": "http.request", "body": b"{}"}]


def test_a_length_above_the_limit_is_413_before_any_of_the_body_came(address, seen):
    for length in (LIMIT + 1, 10**15, 10**30, "9" * 5000):
        status, _, _ = spoken(
            address, "POST /a HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json",
            f"Content-Length: {length}",
        )  # fmt: skip
        assert status in ((413,) if length in (LIMIT + 1, 10**15) else (400, 413))  # beyond 64 bits a server may refuse itself
    assert seen == []
    for length in ("1001", "9" * 5000):
        sent, left = asked(
            Shield(Called(), Settings(body_bytes=LIMIT)), messages=PIECE, headers=[*OPEN, ("content-length", length)]
        )
        assert sent[0]["status"] == 413 and left == PIECE


def test_a_body_of_another_type_is_refused_before_any_of_it_came():
    headers = [("host", "localhost"), ("content-type", "text/plain"), ("content-length", "2")]
    sent, left = asked(Shield(Called(), Settings()), messages=PIECE, headers=headers)
    assert sent[0]["status"] == 415 and left == PIECE


@pytest.mark.parametrize(
    "length", ["-1", "+5", "5 5", "0x5", "five", "", "5,5", "5, 5", "1e3", "5.0", "\xb2", "٣".encode().decode("latin-1")]
)
def test_a_length_that_is_no_number_is_400(address, seen, length):
    app = Called()
    sent, _ = asked(
        Shield(app, Settings()), method="POST", headers=[("host", "localhost"), *JSON.items(), ("content-length", length)]
    )
    assert sent[0]["status"] == 400 and app.bodies == []
    lines = ["Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", f"Content-Length: {length}"]
    assert spoken(address, "POST /a HTTP/1.1", *lines, body=b"{}   ")[0] == 400 and seen == []


@pytest.mark.parametrize(
    "doubled",
    [[("content-length", "2"), ("content-length", "2")], [("content-length", "2"), ("content-length", "200")],
     [("content-length", "2"), ("transfer-encoding", "chunked")]],
)  # fmt: skip
def test_two_lengths_are_400(address, seen, doubled):
    app = Called()
    sent, _ = asked(Shield(app, Settings()), method="POST", headers=[("host", "localhost"), *JSON.items(), *doubled])
    assert sent[0]["status"] == 400 and app.bodies == []
    lines = ["Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
    found, _, _ = spoken(
        address, "POST /a HTTP/1.1", *lines, *(f"{name}: {value}" for name, value in doubled), body=b"2\r\n{}\r\n0\r\n\r\n"
    )
    assert found == 400 and seen == []


def chunked(address, piece, *, until, form="application/json"):
    """The answer to chunks that keep coming until there is one, and how many were sent."""
    with connected(address) as talk:
        lines = ["POST /a HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", "Transfer-Encoding: chunked"]
        talk.sendall("\r\n".join([*lines, f"Content-Type: {form}", "", ""]).encode())
        for sent in range(1, until + 1):
            talk.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            if select.select([talk], [], [], 0.02)[0]:
                return parsed(rest_of(talk)), sent
    return None, until


def test_a_chunked_body_is_counted_and_ends_in_413_with_the_connection(address, seen):
    (status, headers, body), sent = chunked(address, b"x" * 400, until=50)
    assert status == 413 and headers["connection"] == "close" and json.loads(body)["status"] == 413
    assert 3 <= sent < 15 and seen == []  # three of them pass the limit; the answer may take a moment


def test_a_chunked_body_of_just_the_limit_passes(http):
    pieces = [b"x" * (LIMIT // 2)] * 2
    assert http.post("/a", content=iter(pieces), headers={**JSON, **BEARER}).json()["bytes"] == LIMIT
    assert http.post("/a", content=iter([*pieces, b"x"]), headers={**JSON, **BEARER}).status_code == 413


def test_no_more_is_read_than_passes_the_limit():
    pieces = [{"type": "http.request", "body": b"x" * 400, "more_body": True}] * 100
    headers = [("host", "localhost"), *JSON.items()]
    for more in ([("transfer-encoding", "chunked")], [("content-length", "400")]):  # a length that lies
        sent, left = asked(Shield(Called(), Settings(body_bytes=LIMIT)), method="POST", headers=[*headers, *more], messages=pieces)
        assert sent[0]["status"] == 413 and len(left) == 97
    sent, left = asked(
        Shield(Called(), Settings(body_bytes=LIMIT)), method="POST", headers=headers, http_version="2", messages=pieces
    )
    assert sent[0]["status"] == 413 and len(left) == 97  # HTTP/2 needs neither header


def test_a_body_that_stops_coming_is_408(address, seen):
    with connected(address) as talk:
        lines = ["POST /a HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
        talk.sendall("\r\n".join([*lines, "Content-Length: 10", "", "{}"]).encode())
        status, headers, body = parsed(rest_of(talk))
    assert status == 408 and headers["connection"] == "close" and "0.3 s" in json.loads(body)["detail"] and seen == []


def test_a_body_that_drips_is_408_however_lively_it_is(address, seen):
    (status, _, _), sent = chunked(address, b"x", until=200)
    assert status == 408 and sent > 3 and seen == []


def test_a_sender_that_leaves_gets_no_answer_and_asks_no_endpoint():
    app = Called()
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    headers = [("host", "localhost"), *JSON.items(), ("content-length", "2")]
    assert asked(Shield(app, Settings()), method="POST", headers=headers, messages=messages) == ([], []) and app.bodies == []


def test_an_endpoint_gets_the_body_in_one_piece_and_then_hears_of_the_end():
    app = Called()
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
    headers = [("host", "localhost"), *JSON.items(), ("content-length", "2")]
    sent, _ = asked(Shield(app, Settings()), method="POST", headers=headers, messages=messages)
    assert app.bodies == [b"{}"] and sent[0]["status"] == 204  # Called has waited for the disconnect


# Headers

ALWAYS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin"}
USUAL = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'", "cache-control": "no-store"}


def test_every_answer_carries_our_headers(http):
    for answer in (
        http.get("/a", headers=BEARER), http.get("/a"), http.get("/healthz", headers={"host": "evil.example"}), http.get("/healthz"),
        http.get("/", params={"token": TOKEN}), http.post("/a", content=b"x", headers=BEARER), http.patch("/a", headers=BEARER),
    ):  # fmt: skip
        assert {name: answer.headers.get(name) for name in {**ALWAYS, **USUAL}} == {**ALWAYS, **USUAL}, answer.status_code


def test_an_answer_keeps_its_own_policy_and_caching_but_opens_itself_to_no_origin(http):
    answer = http.get("/own", headers={**BEARER, "origin": "http://evil.example"})
    assert answer.headers["content-security-policy"] == "default-src 'self'" and answer.headers["cache-control"] == "max-age=60"
    assert {name: answer.headers.get_list(name) for name in ALWAYS} == {name: [value] for name, value in ALWAYS.items()}
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_preflight_gets_no_permission(http):
    asked_for = {
        "origin": "http://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = http.options("/a", headers=asked_for)
    assert answer.status_code == 401 and not [name for name in answer.headers if name.startswith("access-control")]


def test_other_scopes_pass():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    asyncio.run(Shield(app, Settings(token=TOKEN))({"type": "lifespan"}, None, None))
    assert scopes == [{"type": "lifespan"}]


def test_only_bodies_of_arrays_may_be_large():
    for path, status in (("/api/runs", 413), ("/api/simulation/batch", 204)):
        app = Called()
        headers = [*OPEN, ("content-length", "300000")]
        sent, _ = asked(Shield(app, Settings()), method="POST", path=path, messages=PIECE, headers=headers)
        assert sent[0]["status"] == status and bool(app.bodies) == (status == 204)
