"""Following a run: its server-sent events as objects, across connections that break and services that start again.

The last event of a generation has its number as id. A service asked to go on from there repeats a generation whose last event did not
come through; what was told of it already is left out.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import orjson

from worldloom.core.errors import BusyError, MachineError, StoreError, WorldloomError
from worldloom.service.calls import Away, Calls, backoff, foreign, place_of

QUIET = 45.0  # s without a word after which a connection counts as broken; the service says something every 15
LONGEST_LINE = 1 << 20  # bytes; a report has a few hundred
SLOWEST = 4  # attempts that the pause grows with: 1.6 s

Kind = Literal["status", "progress", "best", "finished"]
KINDS: dict[str, Kind] = {"status": "status", "progress": "progress", "best": "best", "finished": "finished"}
OF_GENERATIONS = ("progress", "best")


@dataclass(frozen=True)
class Event:
    """What happened to a run. data by kind: status {status, error}; progress: a generation; best {individual, generation, fitness};
    finished: the run's report.
    """

    kind: Kind
    data: dict[str, Any]


@dataclass
class Following:
    """One pass through the events of a run. after: only generations after this one."""

    calls: Calls
    path: str
    after: int
    latest: dict[str, int] = field(default_factory=dict)  # generation that was told, by kind
    acknowledged: int = -1  # generation up to which nothing is missing
    status: dict[str, Any] = field(default_factory=dict)  # that was told last
    heard: bool = False  # whether the service said something since the last connection broke
    since: float | None = None  # when that was, on the clock of time.monotonic; None before the first word
    attempts: int = 0  # since something new was told

    def __post_init__(self) -> None:
        self.acknowledged = self.after

    def events(self) -> Iterator[Event]:
        """Events until the run's end. Raises MachineError where there is no service, or none for longer than its patience."""
        begun = time.monotonic()
        while True:
            lost: Exception | None = None
            try:
                for event in self._connected():
                    if self._fresh(event):
                        self.attempts = 0
                        yield event
                    if event.kind == "finished":
                        return
            except httpx.TransportError as error:
                if self.since is None and not self.heard:
                    raise self.calls.trouble(error) from None
                lost = error
            except (BusyError, StoreError, Away) as error:
                lost = error
            if self.heard:  # counted from here and not from the last word: whoever reads the events may have taken his time
                self.since, self.heard = time.monotonic(), False
            self._wait(begun if self.since is None else self.since, lost)

    def _connected(self) -> Iterator[Event]:
        """Events of one connection, until it ends."""
        headers = {"last-event-id": str(self.acknowledged)} if self.acknowledged >= 0 else {}
        with self.calls.stream(self.path, params={"after": self.after}, headers=headers, quiet=QUIET) as response:
            for kind, number, data in parsed(response.request, response.iter_bytes()):
                self.heard = True
                if kind in KINDS:
                    yield told(response.request, KINDS[kind], data)
                self.acknowledged = self.acknowledged if number is None else number

    def _fresh(self, event: Event) -> bool:
        """Whether an event has not been told; notes that it is now."""
        if event.kind == "status":
            known, self.status = event.data == self.status, event.data
            return not known
        if event.kind in OF_GENERATIONS:
            number = event.data["generation"]
            known, self.latest[event.kind] = number <= self.latest.get(event.kind, self.after), number
            return not known
        return True

    def _wait(self, since: float, lost: Exception | None) -> None:
        pause = max(backoff(min(self.attempts, SLOWEST)), lost.seconds if isinstance(lost, BusyError) else 0.0)
        self.attempts += 1
        if time.monotonic() - since + pause <= self.calls.patience:
            time.sleep(pause)
            return
        if isinstance(lost, WorldloomError):
            raise lost
        raise MachineError(
            f"The events of {self.calls.address}{self.path} broke off, and for {self.calls.patience:g} s nothing more came. "
            "Expected the service to come back. Start it again with `loom serve`; the run is in its store."
        )


def told(request: httpx.Request, kind: Kind, data: bytes) -> Event:
    """An event from its data. Raises MachineError for data that no service of ours sends."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or (kind in OF_GENERATIONS and type(document.get("generation")) is not int):
        raise foreign(place_of(request), "a broken event")
    return Event(kind, document)


def parsed(request: httpx.Request, chunks: Iterable[bytes]) -> Iterator[tuple[str, int | None, bytes]]:
    """(kind, id, data) of each event of a stream; kind '' for a sign of life. What a broken connection leaves unfinished is dropped."""
    kind, number, data = "", None, list[bytes]()
    for line in lines_of(request, chunks):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield kind or "message", number, b"\n".join(data)
            kind, number, data = "", None, []
        elif not name:
            yield "", None, b""
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value.decode("utf-8", "replace")
        elif name == b"id" and value.isdigit() and len(value) < 20:
            number = int(value)


def lines_of(request: httpx.Request, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The whole lines of a stream. Not httpx's own, which end at every sign that Unicode calls a line's end. Raises MachineError."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in whole)
        if len(rest) > LONGEST_LINE:
            raise foreign(place_of(request), f"a line of more than {LONGEST_LINE} bytes")
