"""Requests written by hand, byte for byte: what clients and generators will not send."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import orjson
from fuzz_ground import IDS, QUICK, TOKEN, Ground
from fuzz_judge import Judge

from worldloom.service.wire import BINARY, JSON, packed

DIGITS = "9" * 5000
NUMBERS = [
    "0", "-0", "-1", "+1", "1.0", "1e2", "1e400", "-1e400", "NaN", "Infinity", "0x10", "1_000", "", " ", "%2B1", "true", "null",
    "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615",
    "18446744073709551616", "9" * 40, "9" * 400, DIGITS, "-" + DIGITS, "%D9%A3", "%C2%B2", "%00", "1%00", "[1]", "1,2",
]  # fmt: skip
TEXTS = [
    "%00", "a%00b", "%ED%A0%80", "%FF%FE", "%C3%28", "%F0%9F%A6%8E", "%E2%80%A8", "%0A", "%0D%0Ax:%20y", "%1B%5B31m", "%25", "%2e%2e",
    "..%2f..%2fetc%2fpasswd", "%2F", "a%2Fb", "%5C", "'%20OR%201=1--", "%22", "<script>", "{run}", "%7Brun%7D", "$(id)", "x" * 300,
    "x" * 4000, "9" * 300, "%F4%8F%BF%BF", "%EF%BF%BF", "aaaa", "bbbb", "twins", "%20walkers", "WALKERS", "null", "None", "-", ".",
    "a" + "%CC%81" * 200, "%25s%25d",
]  # fmt: skip
CURSORS = ["", ".", "0.0", "1.3", "2.5", "2.6", "2.7", "9.0", "-1.0", "0.-1", "a.b", "0.0.0", f"0.{DIGITS}", f"{DIGITS}.0"]
CURSORS += [f"0.{number}" for number in NUMBERS] + [f"{number}.0" for number in NUMBERS]
INDIVIDUALS = ["0-0", "2-5", "2-6", "3-0", "0--1", "-1-0", "0", "0-", "-0", "0-0-0", "%D9%A3-1", "%C2%B2-1"]
INDIVIDUALS += [f"0-{number}" for number in NUMBERS] + [f"{number}-0" for number in NUMBERS] + TEXTS
QUERIES = {
    "runs": ["limit", "cursor"],
    "runs/walkers/generations": ["after"],
    "runs/walkers/individuals": ["generation", "limit", "order", "cursor"],
    "runs/walkers/events": ["after"],
}
HEADERS = {
    "Accept": ["", "*/*", "text/html", BINARY, "application/xml", ";q=1", ",,,", "x" * 4000, "text/html;q=0," + JSON, "\xff"],
    "If-None-Match": ["*", '"', "W/", 'W/"x"', '"a","b', "\xff\xfe", "x" * 4000, "", ","],
    "If-Match": ["*", '"nothing"'],
    "If-Modified-Since": ["yesterday", "Thu, 01 Jan 1970 00:00:00 GMT"],
    "Range": ["bytes=0-1", "bytes=5-1", "bytes=-", "bytes=99999999999999999999-", "lines=1-2", "x"],
    "Last-Event-ID": ["", "-1", "0", "2", "99", "2147483648", "9223372036854775808", "9" * 40, DIGITS, "\xb2", "x", "1.5", "\xff"],
    "Accept-Encoding": ["gzip", "gzip;q=0", "br", "*", "x" * 4000, "identity;q=0, *;q=0"],
    "Content-Type": ["text/plain", "", "application/json;charset=utf-16", "\xff"],
    "Cookie": ["worldloom=x", "=", ";;;", "x" * 4000, "\xff"],
    "Origin": ["http://evil.example", "null", ""],
    "Sec-Fetch-Site": ["cross-site", ""],
    "X-Forwarded-For": ["1.2.3.4"],
    "Expect": ["100-continue", "x"],
    "Upgrade": ["websocket", "h2c"],
    "Transfer-Encoding": ["gzip"],
}
PATHS = ["runs/walkers/individuals/2-0/replay", "runs/walkers/individuals", "runs/walkers/events", "worlds/creatures", "runs"]
METHODS = ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "FROB", "get", "CONNECT"]
GENERATED = {"world": "creatures", "population": 2, "seed": 1, "settings": QUICK}
ORDER = {"world": "creatures", "population": 2, "generations": 1, "settings": QUICK, "name": "n"}
VALUES = [
    "1e400", "-1e400", "1e-400", "-0", "-0.0", "1.0", "1.5", "NaN", "Infinity", "-Infinity", "9" * 19, "9" * 20, "9" * 40, DIGITS,
    "18446744073709551615", "18446744073709551616", "9223372036854775808", "2147483648", "-1", "0", "null", "true", "[]", "{}", '""',
    '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\n"', '"\\u2028"', '"1"', '"x"', '"' + "x" * 201 + '"',
    '"' + "x" * 100_000 + '"', '"\U0001f98e"', '["a"]', '{"a": 1}', '{"a\\u0000": 1}', "1" + "0" * 308, "2e308", "0x10", "01", "+1",
]  # fmt: skip
BODIES = [
    b"", b" ", b"{", b"}", b"[]", b"null", b"1", b'"x"', b"{}", b'{"world"}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"world": "\xff"}',
    b'{"world": "\xed\xa0\x80"}', b"\x00", b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 100_000, b'{"a":' * 50_000, b"]" * 100,
    b'{"world": "creatures", "world": "nobody"}', b'{"world": "nobody", "world": "creatures", "population": 1, "population": 2}',
    b'{"": 1}', b'{"\\u0000": 1}', b'{"\\ud800": 1}', b'{"' + b"x" * 100_000 + b'": 1}', b"{'world': 'creatures'}",
    b'{"world": "creatures",}',
    b'{"world": "creatures"} {}', b"{" + b",".join(b'"a%d": 1' % k for k in range(5000)) + b"}", json.dumps(ORDER).encode("utf-16"),
    json.dumps(ORDER).encode("utf-32"),
]  # fmt: skip
LARGE = [  # a megabyte or two of what has to be refused without much thought
    b'{"world": "' + b"x" * 2_000_000 + b'"}', json.dumps({f"s{k}": 1 for k in range(100_000)}).encode(),
    *(json.dumps({**ORDER, "settings": {f"s{k}": value for k in range(100_000)}}).encode() for value in (1, [])),
]  # fmt: skip
METAS = [
    b'"\\ud800"',
    b'"\xff\xfe"',
    b"1e999",
    b"NaN",
    b"9" * 40,
    b'"a\\u0000b"',
    b"[" * 2000,
    b"{}",
]  # what bytes may say besides arrays
POSTS = {  # a body that is right, and what may stand in it
    "genetics/generate": GENERATED,
    "genetics/evolve": {"world": "creatures", "genomes": {}, "fitness": [], "seed": 1, "generation": 0, "strategy": "genetic", "state": ""},
    "simulation/batch": {"world": "creatures", "genomes": {"position": [[[1, 2, 3]]]}, "keep": "none", "steps": 1, "settings": QUICK},
    "runs": ORDER,
    "runs/walkers/fork": {"generation": 0, "seed": 1, "name": "n"},
    "runs/halted/resume": {"generations": 2},
    "runs/busy/pause": {},
    "runs/waiting/cancel": {},
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request as it goes out. what: the endpoint, for people."""

    what: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def sent(self, address: str) -> bytes:
        """Its bytes."""
        given = {name.lower() for name, _ in self.headers}
        ours = [("Host", address), ("Authorization", f"Bearer {TOKEN}"), ("Connection", "close")]
        if self.body is not None:
            ours += [("Content-Length", str(len(self.body))), ("Content-Type", JSON)]
        told = [*((name, value) for name, value in ours if name.lower() not in given), *self.headers]
        head = "".join(f"{name}: {value}\r\n" for name, value in told)
        return f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (self.body or b"")


def attacks() -> Iterator[Asked]:
    """Every request written by hand."""
    yield from about_paths()
    yield from about_queries()
    yield from about_headers()
    yield from about_bodies()


def beyond_integers() -> Iterator[Asked]:
    """The few of them that databases stumble over: numbers that their columns do not hold, and NUL."""
    for number in ("2147483648", "9223372036854775807", "9223372036854775808", "9" * 40, DIGITS):
        for path in (
            f"individuals/0-{number}",
            f"individuals/{number}-0/replay",
            f"individuals?cursor=0.{number}",
            f"generations?after={number}",
        ):
            yield Asked("GET beyond integers", "GET", f"/api/runs/walkers/{path}")
        yield Asked("GET beyond integers", "GET", "/api/runs/walkers/events", (("Last-Event-ID", number),))
        for path, name in (("fork", "generation"), ("resume", "generations")):
            yield Asked(f"POST beyond integers {path}", "POST", f"/api/runs/halted/{path}", body=f'{{"{name}": {number}}}'.encode())
        yield Asked(
            "POST beyond integers", "POST", "/api/runs", body=json.dumps(ORDER)[:-1].encode() + f', "seed": {number}}}'.encode()
        )
    for path in (
        "%00",
        "a%00b/pause",
        "%00/generations",
        "walkers/individuals?cursor=%00",
        "walkers/individuals/%00",
        "?cursor=%00",
    ):
        yield Asked("NUL", "POST" if path.endswith("pause") else "GET", f"/api/runs/{path}".replace("/?", "?"))
    for path, document in (("", ORDER), ("/walkers/fork", {"generation": 0})):
        yield Asked("POST NUL", "POST", f"/api/runs{path}", body=json.dumps({**document, "name": "a\0b"}).encode())


def about_paths() -> Iterator[Asked]:
    """Names that no run, world or individual has."""
    for text in TEXTS:
        yield Asked("GET worlds/*", "GET", f"/api/worlds/{text}")
        yield Asked("GET runs/*", "GET", f"/api/runs/{text}")
        yield Asked("GET anything", "GET", f"/{text}")
        for kind in ("pause", "resume", "cancel"):
            yield Asked(f"POST runs/*/{kind}", "POST", f"/api/runs/{text}/{kind}", body=b"")
        yield Asked("POST runs/*/fork", "POST", f"/api/runs/{text}/fork", body=b'{"generation": 0}')
        for kind in ("generations", "individuals", "individuals/0-0", "individuals/0-0/replay", "events"):
            if not (kind == "events" and text == "twins"):
                yield Asked(f"GET runs/*/{kind}", "GET", f"/api/runs/{text}/{kind}")
    for text in INDIVIDUALS:
        yield Asked("GET individuals/*", "GET", f"/api/runs/walkers/individuals/{text}")
        yield Asked("GET individuals/*/replay", "GET", f"/api/runs/walkers/individuals/{text}/replay")
    for target in (
        "//",
        "/api//runs",
        "/api/runs/",
        "/api/runs//events",
        "/../",
        "/api/../healthz",
        "*",
        "http://evil.example/",
        "/%",
        "/%zz",
    ):
        yield Asked("GET anything", "GET", target)
    for method in METHODS:
        for path in (*PATHS, *POSTS):
            yield Asked(f"other method {path}", method, f"/api/{path}")
        for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/nowhere"):
            yield Asked(f"other method {path}", method, path)


def about_queries() -> Iterator[Asked]:
    """Numbers that are none, said twice, or beyond what anybody counts to."""
    for path, names in QUERIES.items():
        for name in names:
            for value in [*NUMBERS, *TEXTS, *CURSORS, *IDS.values()]:
                yield Asked(f"GET {path}?{name}", "GET", f"/api/{path}?{name}={value}")
            for query in (
                f"{name}",
                f"{name}=1&{name}=x",
                f"{name}=x&{name}=1",
                f"{name}[]=1",
                f"%00{name}=1",
                f"{name}=1&&=&=1",
                "&" * 999,
            ):
                yield Asked(f"GET {path}?{name}", "GET", f"/api/{path}?{query}")


def about_headers() -> Iterator[Asked]:
    """Headers with anything in them."""
    for name, values in HEADERS.items():
        for value in values:
            for path in PATHS:
                yield Asked(f"{name} at {path}", "GET", f"/api/{path}", ((name, value),))
            yield Asked(f"{name} at a POST", "POST", "/api/genetics/generate", ((name, value),), json.dumps(GENERATED).encode())


def about_bodies() -> Iterator[Asked]:
    """Bodies that are no JSON, no arrays, or say what cannot be."""
    for path, document in POSTS.items():
        target = f"/api/{path}"
        for body in (*BODIES, *LARGE):
            yield Asked(f"POST {path}", "POST", target, body=body)
        for name in [*document, "unknown"]:
            for value in VALUES:
                texts = {**{key: json.dumps(one) for key, one in document.items()}, name: value}
                body = ", ".join(f'"{key}": {text}' for key, text in texts.items())
                yield Asked(f"POST {path} {name}", "POST", target, body=f"{{{body}}}".encode())
        for value in VALUES if "settings" in document else ():
            for setting in ("life", "nodes", "dt", "mutation_rate", "nobody"):
                body = json.dumps({**document, "settings": {**QUICK, setting: "@"}}).replace('"@"', value)
                yield Asked(f"POST {path} settings", "POST", target, body=body.encode())
        for meta in METAS:
            body = packed({**document, "world": orjson.Fragment(meta)})
            yield Asked(f"POST {path} bytes", "POST", target, (("Content-Type", BINARY),), body)
        for body in (b"", b"\x00", packed(document), packed(document)[:-1], packed(document)[:20], b"\xff" * 5000):
            yield Asked(f"POST {path} bytes", "POST", target, (("Content-Type", BINARY),), body)
        for form in ("text/plain", "", "application/xml", f"{JSON}, {BINARY}", "multipart/form-data", JSON.upper(), "a" * 3000):
            yield Asked(f"POST {path} {form[:20]}", "POST", target, (("Content-Type", form),), json.dumps(document).encode())


def declared(openapi: dict[str, Any], method: str, target: str) -> set[int] | None:
    """The statuses that OpenAPI declares for a request; None where it has no such endpoint."""
    path = unquote(target.partition("?")[0])
    for template, item in openapi["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if method.lower() in item and method.isupper() and re.fullmatch(pattern, path, re.S):
            return {int(status) for status in item[method.lower()]["responses"]}
    return None


def attack(ground: Ground, judge: Judge, asked: Asked, openapi: dict[str, Any]) -> int:
    """Sends one, and lets the answer be judged. Its status."""
    host = ground.address.removeprefix("http://")
    name, _, port = host.partition(":")
    began = time.perf_counter()
    with socket.create_connection((name, int(port)), timeout=20) as line:
        line.sendall(asked.sent(host))
        status, headers, body = answer(line, asked.method)
    request = f"{asked.method} {asked.target[:300]} {[(k, v[:80]) for k, v in asked.headers]} {(asked.body or b'')[:300]!r}"
    if headers.get("server-timing") is None and body == b"Invalid HTTP request received.":
        judge.answers[f"{asked.what} (no HTTP)", status] += 1  # the server's own word: the application saw nothing
        return status
    seconds = time.perf_counter() - began
    judge.hear(asked.what, status, headers, body, seconds=seconds, request=request)
    known = declared(openapi, asked.method, asked.target)
    if known is not None and status not in known:
        judge.blame(asked.what, f"status {status} is not declared", request)
    return status


def answer(line: socket.socket, method: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of what comes back; of a stream, what comes until its first whole event."""
    response = http.client.HTTPResponse(line, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    if headers.get("content-type", "").startswith("text/event-stream"):
        return response.status, headers, first_events(response)
    return response.status, headers, response.read()


def first_events(response: http.client.HTTPResponse) -> bytes:
    """What a stream says until its first event is whole: that of a run that goes on has no end."""
    said = BytesIO()
    while b"\n\n" not in said.getvalue() and (part := response.read1(65536)):
        said.write(part)
    return said.getvalue()
