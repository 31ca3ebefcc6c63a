"""What stands before the endpoints: who may come in, with what, and which headers every answer carries.

A browser on this machine can be made to send requests here by any page it shows, so an address of 127.0.0.1 protects nothing:

    rebinding    a page's own name is made to point at 127.0.0.1: the Host header gives it away            421
    token        every path but the probes wants the token that `loom serve` printed                       401
    cross-site   a page elsewhere sends a request and the browser adds our cookie: its headers tell        403
    bodies       too large, too slow, compressed, of another type: refused before an endpoint sees them    413 408 415 400

A body is read here to its end, so that whatever is wrong with it is answered before any endpoint has begun.
"""

import asyncio
import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import quote, unquote_plus

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worldloom.service.forms import BINARY, JSON
from worldloom.service.problems import problem
from worldloom.service.settings import Settings

PROBES = ("/healthz", "/readyz")  # exactly these: whoever asks whether we live has no token
COOKIE = "worldloom"
SAFE = ("GET", "HEAD", "OPTIONS")  # change nothing
TYPES = tuple(form.encode() for form in (JSON, BINARY))
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(?::[0-9]{0,5})?")
DIGITS = 18  # of a length that is worth converting: more are too many bytes for any limit
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
UNLESS_ITS_OWN = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

Headers: TypeAlias = dict[bytes, list[bytes]]


class Answered(Exception):
    """A request has its answer before the application is asked."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def refused(status: int, detail: str, **headers: str) -> Answered:
    """A problem as the answer; an underscore in a header's name is a hyphen."""
    return Answered(problem(status, detail, headers={name.replace("_", "-"): value for name, value in headers.items()}))


class Shield:
    """An application that answers only requests which may come in. token '' asks nobody for a token: tests only."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.names = {"localhost", *(name.lower() for name in settings.names)}
        self.token = digest(settings.token.encode())
        # Not the token: cookies of one address go to every port of it, so another program on this machine may be shown ours.
        # From a keyed hash nobody gets the token back, and every worker knows it without a common secret of its own.
        self.cookie = hmac.new(settings.token.encode(), b"worldloom cookie", sha256).hexdigest()
        self.cookie_hash = digest(self.cookie.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        send = dressed(send)
        try:
            headers = gathered(scope["headers"])
            check_host(headers, self.names)
            self.check_caller(scope, headers)
            if scope["type"] == "http":
                receive = await self.with_body(scope, headers, receive)
        except Answered as settled:
            return await reply(settled.answer, scope, receive, send)
        except Gone:  # nobody waits for an answer
            return None
        return await self.app(scope, receive, send)

    def check_caller(self, scope: Scope, headers: Headers) -> None:
        """Raises Answered for whoever has no token, or sends what only our own pages may.

        Of header, query and cookie the first that is there decides. Who says the token in a header is no page that a browser shows.
        """
        if self.settings.token and scope["path"] not in PROBES:
            if (said := headers.get(b"authorization")) is not None:
                return self.check_token(bearer(said))
            if (words := token_in_query(scope)) is not None:
                self.check_token(words[0] if len(words) == 1 else b"")
                raise Answered(self.opened(scope))
            self.check_cookie(cookies(headers))
        return check_site(scope, headers)

    def check_token(self, word: bytes) -> None:
        """Raises Answered unless the word is the token. Compares hashes: the time tells neither a beginning nor a length."""
        if not hmac.compare_digest(digest(word), self.token):
            raise unauthorized("a token that is not this service's")

    def check_cookie(self, values: list[bytes]) -> None:
        """Raises Answered unless one of the values is our cookie's."""
        if not any(hmac.compare_digest(digest(value), self.cookie_hash) for value in values):
            raise unauthorized("a cookie of another start" if values else "no token")

    def opened(self, scope: Scope) -> Response:
        """The answer to the address printed at start: the same page without the token, which the browser now has in its cookie."""
        rest = b"&".join(part for part in scope["query_string"].split(b"&") if part and not names_token(part))
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        # More than one slash or backslash at the start would be the address of another host.
        path = "/" + quote(raw.partition(b"?")[0], safe="/%:@!$&'()*+,;=~").lstrip("/")
        place = f"{path}?{quote(rest, safe='/?%:@!$&()*+,;=~')}" if rest else path
        return Response(
            status_code=303,
            headers={"location": place, "set-cookie": f"{COOKIE}={self.cookie}; HttpOnly; SameSite=Strict; Path=/"},
        )

    async def with_body(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """A receive that gives the request's body in one piece. Raises Answered for one that is refused, Gone without a sender."""
        most = self.settings.body_bytes
        if not scope["path"].startswith(self.settings.arrays):
            most = min(most, self.settings.order_bytes)
        size = length(headers, most)
        check_coding(headers)
        if size == 0 or (size is None and b"transfer-encoding" not in headers and scope["http_version"] in ("1.0", "1.1")):
            return receive
        if size:
            check_type(headers)
        try:
            async with asyncio.timeout(self.settings.seconds):
                body = await read(receive, most)
        except TimeoutError:
            message = f"The body did not arrive within {self.settings.seconds:g} s. Expected all of it by then. Send less at once."
            raise refused(408, message, connection="close") from None
        if body:
            check_type(headers)
        return given(body, receive)


class Gone(Exception):
    """The sender left before the request's end."""


def digest(word: bytes) -> bytes:
    """The hash that is compared instead of a word."""
    return sha256(word).digest()


def gathered(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Values of headers by name."""
    found: Headers = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append(value)
    return found


def check_host(headers: Headers, names: set[str]) -> None:
    """Raises Answered unless the Host header is an IP address, which no rebinding can pretend to be, or one of the names."""
    said = headers.get(b"host", [])
    match = HOST.fullmatch(said[0].strip()) if len(said) == 1 else None
    if match is None or not known_host(match[1].decode("ascii").lower(), names):
        shown = " and ".join(shortened(value) for value in said) or "missing"
        raise refused(
            421, f"The Host header is {shown}. Expected localhost, an IP address or a name this service was started for. Use one."
        )


def known_host(host: str, names: set[str]) -> bool:
    """Whether a host, in small letters and without its port, is an IP address or one of the names."""
    if host in names:
        return True
    try:
        return bool(IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host))
    except ValueError:
        return False


def shortened(value: bytes) -> str:
    """A header's value for a sentence."""
    return repr(value[:80].decode("latin-1"))


def unauthorized(offered: str) -> Answered:
    """The answer to whoever has no token or another one."""
    return refused(
        401, f"The request came with {offered}. Expected the token printed when `loom serve` started. Open the address it printed, "
        "or send the header 'Authorization: Bearer TOKEN'.", www_authenticate="Bearer",
    )  # fmt: skip


def bearer(said: list[bytes]) -> bytes:
    """The token in an Authorization header; b'' where there are several, or it is of another kind."""
    kind, _, word = said[0].partition(b" ")
    return word.strip() if len(said) == 1 and kind.lower() == b"bearer" else b""


def names_token(part: bytes) -> bool:
    """Whether a piece of a query string is the parameter `token`, however it is written."""
    return unquote_plus(part.partition(b"=")[0].decode("latin-1")) == "token"


def token_in_query(scope: Scope) -> list[bytes] | None:
    """What a GET gives as `token` in its query string; None where it does not."""
    query = scope.get("query_string", b"")
    if not query or scope.get("method") != "GET":
        return None
    values = [part.partition(b"=")[2].decode("latin-1") for part in query.split(b"&") if names_token(part)]
    return [unquote_plus(value).encode() for value in values] or None


def cookies(headers: Headers) -> list[bytes]:
    """Values of our cookie: several where other programs on this machine set one for another path."""
    pairs = (pair.strip().partition(b"=") for value in headers.get(b"cookie", ()) for pair in value.split(b";"))
    return [value for name, _, value in pairs if name == COOKIE.encode()]


def check_site(scope: Scope, headers: Headers) -> None:
    """Raises Answered for a change or a socket that a page of another origin asks for.

    Old browsers, and all of them over plain HTTP to another machine, send no Sec-Fetch-Site; they send Origin with everything that counts.
    Programs that are no browsers send neither, and nobody can make them send a cookie.
    """
    if scope["type"] == "http" and scope["method"] in SAFE:
        return
    sites = headers.get(b"sec-fetch-site")
    own = {b"http://" + headers[b"host"][0].lower(), b"https://" + headers[b"host"][0].lower()}
    origins = [origin.lower() for origin in headers.get(b"origin", ())]
    if not ({*sites} <= {b"same-origin", b"none"} if sites is not None else {*origins} <= own):
        raise refused(403, "The request was sent by a page of another origin. Expected a page of this service. Open it here.")


def length(headers: Headers, limit: int) -> int | None:
    """The Content-Length; None without one. Raises Answered where it is no number, said twice, or above the limit in bytes."""
    said = headers.get(b"content-length")
    if said is None:
        return None
    if len(said) > 1 or not said[0].isdigit() or b"transfer-encoding" in headers:
        raise refused(400, f"The Content-Length is {shortened(b', '.join(said))}. Expected one number of bytes. Send it once.")
    if len(said[0]) > DIGITS or int(said[0]) > limit:
        raise too_large(limit)
    return int(said[0])


def too_large(limit: int, **headers: str) -> Answered:
    """The answer to a body above the limit in bytes."""
    return refused(413, f"The body is larger than {limit} bytes. Expected at most that. Leave out what is not needed.", **headers)


def check_coding(headers: Headers) -> None:
    """Raises Answered for a compressed body: what it would become has no limit."""
    for coding in headers.get(b"content-encoding", ()):
        if coding.strip().lower() != b"identity":
            raise refused(415, f"The body is encoded as {shortened(coding)}. Expected it plain. Send it uncompressed.")


def check_type(headers: Headers) -> None:
    """Raises Answered for a body that is neither JSON nor arrays; forms and plain text are what pages elsewhere can send."""
    said = headers.get(b"content-type", [])
    if len(said) != 1 or said[0].partition(b";")[0].strip().lower() not in TYPES:
        shown = " and ".join(shortened(value) for value in said) or "missing"
        raise refused(415, f"The Content-Type is {shown}. Expected {JSON} or {BINARY}. Say which of them the body is.")


async def read(receive: Receive, limit: int) -> bytearray:
    """The body of a request. Raises Answered above the limit in bytes, Gone where it breaks off."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > limit:  # its end may never come: the connection is of no more use
            raise too_large(limit, connection="close")
        more = message.get("more_body", False)
    return body


def given(body: bytearray, receive: Receive) -> Receive:
    """A receive that gives a body that was read already, then whatever else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def dressed(send: Send) -> Send:
    """A send that puts our headers on the answer, and lets none through that opens it to other origins."""

    async def with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message = {**message, "headers": clothes(message.get("headers", ()))}
        await send(message)

    return with_headers


def clothes(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with ours."""
    ours = {name for name, _ in ALWAYS}
    kept = [(k, v) for k, v in headers if (name := k.lower()) not in ours and not name.startswith(b"access-control-")]
    own = {name.lower() for name, _ in kept}
    return [*kept, *ALWAYS, *(pair for pair in UNLESS_ITS_OWN if pair[0] not in own)]


async def reply(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer of ours; to a websocket as what the server offers: the whole answer, or a close that becomes 403."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await receive()  # websocket.connect
        return await send({"type": "websocket.close", "code": 1008, "reason": ""})
    return await answer(scope, receive, send)
