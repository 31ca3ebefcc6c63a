"""Where the time goes: `with span("physics", lanes=n):`. Free when nobody listens; a listener keeps bounded histograms.

with listening() as profile:
    ...
for row in profile.rows(): print(row)

Whoever wants the spans as they end, instead of histograms of them, gives `listen` an object with an `add`.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

BUCKETS_PER_DOUBLING = 16  # a quantile is known to 4.4 %
SMALLEST = 1e-9  # s


@dataclass
class Histogram:
    """Durations in logarithmic buckets: constant memory however many there are."""

    buckets: dict[int, int] = field(default_factory=dict)
    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = 0.0
    first: float = 0.0  # the cold one, kept apart
    bytes: int = 0
    lanes: int = 0

    def add(self, seconds: float, lanes: int, size: int) -> None:
        """One more duration; the first is the cold one and is in no quantile unless it stays alone."""
        self.bytes, self.lanes = self.bytes + size, self.lanes + lanes
        if self.count == 0:
            self.first = seconds
        else:
            place = round(math.log2(max(seconds, SMALLEST) / SMALLEST) * BUCKETS_PER_DOUBLING)
            self.buckets[place] = self.buckets.get(place, 0) + 1
            self.total, self.least, self.most = self.total + seconds, min(self.least, seconds), max(self.most, seconds)
        self.count += 1

    def quantile(self, share: float) -> float:
        """The duration below which a share of the warm ones lies, to one bucket."""
        wanted, seen = share * (self.count - 1), 0
        for place in sorted(self.buckets):
            seen += self.buckets[place]
            if seen >= wanted:
                return min(max(SMALLEST * float(2.0 ** (place / BUCKETS_PER_DOUBLING)), self.least), self.most)
        return self.first


class Listener(Protocol):
    """Whoever is told of each span that ends, on the thread where it ends."""

    def add(self, name: str, seconds: float, lanes: int, size: int) -> None:
        """A span ended. The thread waits meanwhile, and what this raises reaches the timed code: be quick, and raise nothing."""


class Profile:
    """A listener: one Histogram for each span name."""

    def __init__(self) -> None:
        self.spans: dict[str, Histogram] = {}
        self._lock = threading.Lock()

    def add(self, name: str, seconds: float, lanes: int, size: int) -> None:
        """Called by each span that ends."""
        with self._lock:
            self.spans.setdefault(name, Histogram()).add(seconds, lanes, size)

    def rows(self) -> list[dict[str, Any]]:
        """name, cold or warm, count, min, mean, p50, p95, p99, max (s), bytes."""
        found = []
        for name, h in sorted(self.spans.items()):
            cold = dict.fromkeys(("min", "mean", "p50", "p95", "p99", "max"), h.first)
            found.append({"name": name, "state": "cold", "count": 1, **cold, "bytes": h.bytes if h.count == 1 else 0})
            if h.count > 1:
                quantiles = {f"p{round(100 * q)}": h.quantile(q) for q in (0.5, 0.95, 0.99)}
                warm = {"min": h.least, "mean": h.total / (h.count - 1), **quantiles, "max": h.most}
                found.append({"name": name, "state": "warm", "count": h.count - 1, **warm, "bytes": h.bytes})
        return found


_listeners: tuple[Listener, ...] = ()  # never changed in place, so that spans read it without the lock
_changing = threading.Lock()


class span:
    """Times a block for whoever listens. lanes and bytes are added up."""

    __slots__ = ("bytes", "lanes", "name", "start")

    def __init__(self, name: str, *, lanes: int = 0, bytes: int = 0) -> None:
        self.name, self.lanes, self.bytes, self.start = name, lanes, bytes, 0.0

    def __enter__(self) -> "span":
        if _listeners:
            self.start = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.start:
            seconds = time.perf_counter() - self.start
            for listener in _listeners:
                listener.add(self.name, seconds, self.lanes, self.bytes)


def listen(listener: Listener) -> None:
    """Tell a listener of every span, on any thread, until `unlisten`."""
    global _listeners
    with _changing:
        _listeners = (*_listeners, listener)


def unlisten(listener: Listener) -> None:
    """Tell a listener no more. One that does not listen stays so."""
    global _listeners
    with _changing:
        _listeners = tuple(other for other in _listeners if other is not listener)


@contextmanager
def listening() -> Iterator[Profile]:
    """A Profile of every span, on any thread, until the block ends."""
    profile = Profile()
    listen(profile)
    try:
        yield profile
    finally:
        unlisten(profile)
