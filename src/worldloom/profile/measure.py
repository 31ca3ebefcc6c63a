"""Measuring a scenario: the real server in a fresh process, from its spawn to its warm answers, and where their time goes.

    spawn     until it has printed its address                          cold
    ready     until it answers /readyz: everything is compiled          cold
    request   the first answer, then those that follow                  cold, warm
    physics … phases inside the server, from Server-Timing              cold, warm
    decode    the client's reading of an answer in bytes                warm

Payloads: bytes of the answer as JSON, as the server's own gzip of it (its header is checked), and in bytes.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from worldloom.core.errors import JobError
from worldloom.core.span import Histogram
from worldloom.profile.scenarios import Scenario
from worldloom.runtime.arrays import unpack

TOKEN = "only-for-this-measurement"
BINARY, JSON = "application/vnd.worldloom", "application/json"
PATIENCE = 300.0  # s for a server that compiles everything
TIMING = re.compile(r"([\w.-]+);dur=([\d.]+)")


@dataclass
class Measured:
    """What was measured: durations, s, by phase; bytes of the answer by form."""

    scenario: str
    phases: dict[str, Histogram] = field(default_factory=dict)
    payload: dict[str, int] = field(default_factory=dict)

    def add(self, phase: str, seconds: float, size: int = 0) -> None:
        """One more duration."""
        self.phases.setdefault(phase, Histogram()).add(seconds, 0, size)


class Server:
    """`loom serve` in a process of its own, over a new store."""

    def __init__(self, folder: str, measured: Measured) -> None:
        self.folder, self.measured = Path(folder), measured

    def __enter__(self) -> "Server":
        began = time.perf_counter()
        program = "import sys; from worldloom.cli.main import run; sys.exit(run())"
        words = ["serve", "--port", "0", "--store", str(self.folder / "runs.db"), "--token", TOKEN]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if " at http://" not in line:
            raise JobError(
                f"The server did not start: {(self.folder / 'log').read_text()[-500:]!r}. Expected its address. Try `loom serve`."
            )
        self.measured.add("spawn", time.perf_counter() - began)
        self.http = httpx.Client(
            base_url=line.split()[-1].partition("/?token=")[0], headers={"authorization": f"Bearer {TOKEN}"}, timeout=60
        )
        self.wait_until_ready(began)
        return self

    def wait_until_ready(self, began: float) -> None:
        """Until it has compiled what it needs."""
        while time.perf_counter() - began < PATIENCE:
            try:
                if self.http.get("/readyz").status_code == 200:
                    self.measured.add("ready", time.perf_counter() - began)
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.005)
        raise JobError(f"The server was not ready after {PATIENCE:g} s. Expected it to compile sooner. See `loom warm`.")

    def __exit__(self, *error: object) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        """An answer in JSON. Raises JobError for a refusal."""
        answer = self.http.post(path, json=body)
        checked(answer)
        return dict(answer.json())


def checked(answer: httpx.Response) -> httpx.Response:
    """The same answer. Raises JobError for a refusal."""
    if answer.status_code != 200:
        raise JobError(f"The service answered {answer.status_code}: {answer.text[:300]}. Expected 200. Mend the scenario.")
    return answer


def measure(scenario: Scenario, *, runs: int = 10) -> Measured:
    """One cold request and `runs` warm ones, in bytes; then the other forms of the answer, once each."""
    measured = Measured(scenario.name)
    with started(measured) as server:
        content = orjson.dumps(scenario.body(server.ask))
        headers = {"content-type": JSON, "accept": BINARY, "accept-encoding": "identity"}
        for _ in range(runs + 1):
            began = time.perf_counter()
            answer = checked(server.http.post(scenario.path, content=content, headers=headers))
            measured.add("request", time.perf_counter() - began, len(answer.content))
            for phase, milliseconds in TIMING.findall(answer.headers.get("server-timing", "")):
                measured.add(f"server.{phase}", float(milliseconds) / 1e3)
            began = time.perf_counter()
            unpack(answer.content)
            measured.add("decode", time.perf_counter() - began)
        measured.payload = payloads(server.http, scenario.path, content)
    return measured


@contextmanager
def started(measured: Measured) -> Iterator[Server]:
    """A server over a new store, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="worldloom-profile-") as folder, Server(folder, measured) as server:
        yield server


def payloads(http: httpx.Client, path: str, content: bytes) -> dict[str, int]:
    """Bytes of one answer: raw JSON, gzip as the server sends it, and binary."""
    found = {}
    for name, accept, coding in (("json", JSON, "identity"), ("gzip", JSON, "gzip"), ("binary", BINARY, "identity")):
        headers = {"content-type": JSON, "accept": accept, "accept-encoding": coding}
        with http.stream("POST", path, content=content, headers=headers) as answer:
            size = sum(len(chunk) for chunk in answer.iter_raw())
            if name != "gzip" or answer.headers.get("content-encoding") == "gzip":
                found[name] = size
    return found
