"""Load: requests that are prepared once and sent over plain connections, so that little of a client's own work is measured.

Line       one request at a time, from the process that calls
at_rate    requests at moments fixed in advance, however long the answers take
in_turn    so many connections, each asks again as soon as it has its answer: how the most is found that can be done

The latter two are meant for `apart`, a process of their own. A latency of at_rate counts from the moment fixed in advance, whether or not
a connection was free by then: a service that answers late cannot hide it by being asked less. Nobody honours Retry-After, and whoever
is refused is replaced by the next one: the worst crowd there is.
"""

import asyncio
import re
import socket
import time
from collections import Counter, defaultdict, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np

from worldloom.core.span import Histogram

BINARY, JSON = "application/vnd.worldloom", "application/json"
LINES = 256  # connections of at_rate: below the 512 from which on uvicorn itself refuses, above the 32 requests that the service takes in
PATIENCE = 10.0  # s that late answers are waited for
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def message(method, path, token, *, body=b"", kind=BINARY, accept=BINARY):
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {token}", f"accept: {accept}"]
    lines += [f"content-type: {kind}", f"content-length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def whole(buffer):
    """(status, head in small letters, body) of an answer that has come in to its end; None before."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    size = int(LENGTH.search(head)[1])
    if len(buffer) < end + 4 + size:
        return None
    return int(head[9:12]), head, bytes(buffer[end + 4 : end + 4 + size])


class Line:
    """A connection that is kept, for one request at a time. address: (host, port)."""

    def __init__(self, address, *, timeout=60.0):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def ask(self, request):
        """(status, head, body, s until all of it was there)."""
        began, buffer = time.perf_counter(), bytearray()
        self.socket.sendall(request)
        while (answer := whole(buffer)) is None:
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise ConnectionError(f"The service closed the connection after {len(buffer)} bytes of an answer.")
            buffer += piece
        return *answer, time.perf_counter() - began


@dataclass
class Tally:
    """What came of some load. good: answers of 200 in each second of it. cpu: share of one core that the generator itself took.

    late: the generator's own delay in sending, s. broken: connections that ended with a request under way.
    """

    seconds: float
    statuses: Counter = field(default_factory=Counter)
    good: Counter = field(default_factory=Counter)
    latencies: dict = field(default_factory=lambda: defaultdict(Histogram))
    late: Histogram = field(default_factory=Histogram)
    broken: int = 0
    unanswered: int = 0
    cpu: float = 0.0

    @property
    def goodput(self):
        """Answers of 200 a second, of those that came before the end."""
        return sum(count for second, count in self.good.items() if second < self.seconds) / self.seconds

    @property
    def answered(self):
        """Requests that have an answer of whatever status."""
        return sum(self.statuses.values())

    def share(self, status):
        """Of the answers, the share of one status."""
        return self.statuses[status] / max(1, self.answered)

    def quantiles(self, status):
        """Latencies of answers of one status by name, s; None without any."""
        found = self.latencies[status]
        return {name: found.quantile(share) if found.count else None for name, share in QUANTILES.items()}


class Caller(asyncio.Protocol):
    """A connection with at most one request under way. due: when it was to be sent."""

    def __init__(self, crowd):
        self.crowd, self.buffer, self.due, self.transport = crowd, bytearray(), None, None

    def connection_made(self, transport):
        """The connection stands."""
        self.transport = transport
        self.crowd.free(self)

    def ask(self, due):
        """Send the request."""
        self.due = due
        self.transport.write(self.crowd.request)

    def data_received(self, data):
        """Some of an answer came."""
        self.buffer += data
        if (answer := whole(self.buffer)) is not None:
            due, self.due = self.due, None
            self.buffer.clear()
            self.crowd.note(answer[0], due)
            if not self.transport.is_closing():
                self.crowd.free(self)

    def connection_lost(self, error):
        """The connection ended."""
        self.crowd.lost(self)


class Crowd:
    """Callers that send the same request to one address. begin: on the clock of time.perf_counter, which all processes share."""

    def __init__(self, address, request, *, begin, seconds):
        self.address, self.request, self.begin, self.end = address, request, begin, begin + seconds
        self.tally, self.idle, self.waiting = Tally(seconds), deque(), deque()
        self.callers, self.opening = set(), None

    async def connect(self):
        """One more connection."""
        _, caller = await asyncio.get_running_loop().create_connection(lambda: Caller(self), *self.address)
        self.callers.add(caller)

    async def close(self):
        """End all connections."""
        for caller in self.callers:
            caller.transport.close()
        await asyncio.sleep(0)

    def free(self, caller):
        """A connection can take a request: the one that has waited longest, if any."""
        if self.waiting:
            caller.ask(self.waiting.popleft())
        else:
            self.idle.append(caller)

    def note(self, status, due):
        """An answer came."""
        now = time.perf_counter()
        self.tally.statuses[status] += 1
        self.tally.latencies[status].add(now - due, 0, 0)
        if status == 200:
            self.tally.good[int(now - self.begin)] += 1

    def lost(self, caller):
        """A connection ended; another one takes its place as long as there is load."""
        self.tally.broken += caller.due is not None
        self.callers.discard(caller)
        with suppress(ValueError):
            self.idle.remove(caller)
        if time.perf_counter() < self.end:
            self.opening = asyncio.ensure_future(self.connect())

    async def arrive(self, moments):
        """A request at each of the moments, s after the beginning."""
        for moment in moments:
            due = self.begin + moment
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            self.tally.late.add(max(0.0, time.perf_counter() - due), 0, 0)
            if self.idle:
                self.idle.popleft().ask(due)  # the longest idle: servers close what is idle for long
            else:
                self.waiting.append(due)

    async def settle(self):
        """Wait until all that was sent has its answer, or nobody should wait any longer."""
        until = time.perf_counter() + PATIENCE
        while (left := self.under_way()) and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.tally.unanswered = left

    def under_way(self):
        """Requests that wait for an answer, or to be sent."""
        return len(self.waiting) + sum(caller.due is not None for caller in self.callers)


class Ring(Crowd):
    """Callers of which each asks again when it has its answer."""

    def free(self, caller):
        """A connection can take a request: it gets one until the end."""
        if (now := time.perf_counter()) < self.end:
            caller.ask(now)


def at_rate(address, request, *, rate, begin, seconds, seed=1):
    """The Tally of `rate` requests a second from `begin` on, at random moments: a crowd has no metronome."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds * 1.2) + 100)
    moments = np.cumsum(gaps)
    moments = moments[moments < seconds].tolist()

    async def load():
        crowd = Crowd(address, request, begin=begin, seconds=seconds)
        await asyncio.gather(*(crowd.connect() for _ in range(LINES)))
        await asyncio.sleep(begin - time.perf_counter())
        began = time.process_time()
        await crowd.arrive(moments)
        crowd.tally.cpu = (time.process_time() - began) / seconds
        await crowd.settle()
        await crowd.close()
        return crowd.tally

    return run(load())


def in_turn(address, request, *, callers, seconds):
    """The Tally of so many callers who ask without a pause."""

    async def load():
        began, crowd = time.process_time(), Ring(address, request, begin=time.perf_counter(), seconds=seconds)
        await asyncio.gather(*(crowd.connect() for _ in range(callers)))
        await asyncio.sleep(crowd.end - time.perf_counter())
        crowd.tally.cpu = (time.process_time() - began) / seconds
        await crowd.settle()
        await crowd.close()
        return crowd.tally

    return run(load())


def run(work):
    """What a coroutine gives, on the fastest loop there is."""
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for Windows
        return asyncio.run(work)
    return uvloop.run(work)


def apart():
    """A process of its own for the generator; use it in a `with`, and submit at_rate or in_turn."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))
