"""What a service tells about itself: a line of JSON for each request, `Server-Timing` on its answer, and metrics for Prometheus.

The spans of core/span.py find their request through a context variable. Worker threads see it too, as long as they were started with a
copy of the request's context: asyncio.to_thread, anyio.to_thread and FastAPI's plain `def` endpoints do that; a bare ThreadPoolExecutor
does not, and its spans are in the metrics only.

Nothing that a client sends becomes a label as it is, so that no client can make the metrics grow.
"""

import itertools
import logging
import os
import re
import secrets
import threading
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
from anyio import BrokenResourceError, ClosedResourceError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worldloom.core.span import listen, unlisten

LOG = logging.getLogger("worldloom.requests")
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"))
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # buckets: 30 s is a request's limit
SPAN_SECONDS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)
NAMES = 64  # of spans, and of worlds, that get a label of their own
NONE, OTHER = "none", "other"
LEFT = (BrokenResourceError, ClosedResourceError)  # what a stream that nobody reads ends with
PATH, FAULT = 1000, 16_000  # characters of them in a line
NO_TOKEN = re.compile(r"[^A-Za-z0-9_.-]")  # what may not stand in a name of Server-Timing
START = secrets.token_hex(4)  # of this process, so that numbers of several do not meet
ANSWERS = ("http.response.start", "websocket.http.response.start")
BODIES = ("http.response.body", "websocket.http.response.body")


class Labels:
    """At most NAMES names; any further one is 'other'."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def of(self, name: str) -> str:
        """The label for a name."""
        if name in self.known:
            return name
        if len(self.known) >= NAMES:
            return OTHER
        self.known.add(name)
        return name


class Meters:
    """The numbers of one application, for Prometheus. With PROMETHEUS_MULTIPROC_DIR set, those of all its processes."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.span_names, self.worlds = Labels(), Labels()
        self.requests = Counter("worldloom_requests", "Requests answered.", ("route", "method", "status"), registry=own)
        self.seconds = Histogram(
            "worldloom_request_seconds", "Time to an answer's end, s.", ("route",), buckets=SECONDS, registry=own
        )
        self.spans = Histogram("worldloom_span_seconds", "Time in a phase, s.", ("span",), buckets=SPAN_SECONDS, registry=own)
        self.in_flight = Gauge(
            "worldloom_requests_in_flight", "Requests not yet answered.", multiprocess_mode="livesum", registry=own
        )
        self.steps = Counter("worldloom_lane_steps", "Steps of one lane.", ("world",), registry=own)

    def count_steps(self, world: str, steps: int) -> None:
        """So many more lane steps of an installed world were computed."""
        self.steps.labels(self.worlds.of(world)).inc(steps)

    def count_span(self, name: str, seconds: float) -> None:
        """A span ended."""
        self.spans.labels(self.span_names.of(name)).observe(seconds)

    def count_request(self, route: str | None, method: str, status: int | None, seconds: float) -> None:
        """A request has its answer; status None: it went away before."""
        route, method = route or NONE, method if method in METHODS else OTHER
        self.requests.labels(route, method, str(status or NONE)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return generate_latest(self.registry)
        everywhere = CollectorRegistry()
        MultiProcessCollector(everywhere)  # type: ignore[no-untyped-call]
        return generate_latest(everywhere)


_numbers = itertools.count(1)


class Noted:
    """What happened in one request so far."""

    __slots__ = ("began", "fault", "given", "id", "lock", "method", "spans", "status", "taken", "whole")

    def __init__(self, method: str) -> None:
        self.id = (
            f"{START}-{next(_numbers):x}"  # random signs for each request take 0.3 ms under load: the system is asked for them
        )
        self.method, self.began, self.lock = method, time.perf_counter(), threading.Lock()
        self.spans: dict[str, float] = {}  # s
        self.status: int | None = None
        self.fault: BaseException | None = None
        self.taken = self.given = 0  # bytes
        self.whole = False

    def add(self, name: str, seconds: float) -> None:
        """A span of this request ended, on any thread. Names are bounded: a run that the request started goes on in its context."""
        with self.lock:
            if name in self.spans or len(self.spans) < NAMES:
                self.spans[name] = self.spans.get(name, 0.0) + seconds

    def milliseconds(self) -> dict[str, float]:
        """Time in each span so far."""
        with self.lock:
            return {name: round(1e3 * seconds, 3) for name, seconds in self.spans.items()}

    def seconds(self) -> float:
        """Time since the request began."""
        return time.perf_counter() - self.began


_request: ContextVar[Noted | None] = ContextVar("worldloom_request", default=None)


class Watch:
    """An application whose requests are logged, timed and counted. Belongs around everything else, so that refusals are seen too.

    Spans are heard from the application's start (`lifespan`) to its end.
    """

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app, self.meters = app, meters

    def add(self, name: str, seconds: float, lanes: int, size: int) -> None:
        """A span ended: told by core/span.py, on the span's thread."""
        self.meters.count_span(name, seconds)
        if (noted := _request.get()) is not None:
            noted.add(name, seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            listen(self)
            try:
                return await self.app(scope, receive, send)
            finally:
                unlisten(self)
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        noted = Noted(scope.get("method", "WEBSOCKET"))
        before = _request.set(noted)
        self.meters.in_flight.inc()
        try:
            await self.app(scope, taking(noted, receive), giving(noted, send))
        except LEFT:  # the sender went away in the middle of an answer: no fault of ours
            raise
        except BaseException as error:  # cancelled ones too: they are logged as well, and go on below
            noted.fault = error
            # After a whole answer the log says all there is; before one, the server has to close the connection.
            if not (noted.whole and isinstance(error, Exception)):
                raise
        finally:
            _request.reset(before)
            self.meters.in_flight.dec()
            self.report(scope, noted)

    def report(self, scope: Scope, noted: Noted) -> None:
        """Count a request that is over, and log it: at ERROR where an exception escaped the application, at INFO otherwise."""
        seconds, route = noted.seconds(), getattr(scope.get("route"), "path", None)
        status = 500 if noted.fault is not None and noted.status is None else noted.status
        self.meters.count_request(route, noted.method, status, seconds)
        level = logging.INFO if noted.fault is None else logging.ERROR
        if LOG.isEnabledFor(level):
            LOG.log(level, line(scope, noted, route=route, status=status, seconds=seconds))


def line(scope: Scope, noted: Noted, *, route: str | None, status: int | None, seconds: float) -> str:
    """A request as one line of JSON. Of what the client sent it has the method and the path: no query, header or body."""
    told: dict[str, Any] = {
        "time": datetime.now(UTC), "id": noted.id, "method": plain(noted.method), "path": plain(scope["path"]), "route": route,
        "status": status, "ms": round(1e3 * seconds, 3), "bytes_in": noted.taken, "bytes_out": noted.given,
        "spans": noted.milliseconds(),
    }  # fmt: skip
    if noted.fault is not None:
        told["fault"] = "".join(traceback.format_exception(noted.fault))[-FAULT:].encode(errors="replace").decode()
    return orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()


def plain(text: str) -> str:
    """A text for one line of a log that people read in terminals: JSON leaves line separators and terminal codes above 127 alone."""
    text = text[:PATH]
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def taking(noted: Noted, receive: Receive) -> Receive:
    """A receive that counts bytes."""

    async def counted() -> Message:
        message = await receive()
        noted.taken += len(message.get("body") or message.get("bytes") or (message.get("text") or "").encode())
        return message

    return counted


def giving(noted: Noted, send: Send) -> Send:
    """A send that counts bytes, and puts id and times on the answer as it begins."""

    async def counted(message: Message) -> None:
        kind = message["type"]
        if kind in ANSWERS:
            noted.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", noted.id.encode()), timing(noted)]}
        elif kind in BODIES:
            noted.given += len(message.get("body", b""))
        elif kind == "websocket.accept":
            noted.status = 101
        elif kind == "websocket.close" and noted.status is None:
            noted.status = 403  # what a server makes of it
        elif kind == "websocket.send":
            noted.given += len(message.get("bytes") or (message.get("text") or "").encode())
        await send(message)
        noted.whole = noted.whole or (kind in BODIES and not message.get("more_body", False))

    return counted


def timing(noted: Noted) -> tuple[bytes, bytes]:
    """The Server-Timing header: the spans that have ended, then the time since the request began, in ms."""
    parts = [f"{NO_TOKEN.sub('_', name)};dur={ms}" for name, ms in noted.milliseconds().items()]
    return b"server-timing", ", ".join([*parts, f"total;dur={1e3 * noted.seconds():.3f}"]).encode()
