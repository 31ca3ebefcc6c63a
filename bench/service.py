"""What the service adds: an empty request, and a batch of 1,000 creatures beside the same call in this process.

`loom bench service` runs it, on a `loom serve` of its own over a SQLite store that is thrown away. A batch there has cores - 1 threads
whatever --threads says, and the call in this process gets as many. Rounds alternate between the contenders. Empty requests and JSON are
sent over plain sockets that are kept open, so that the client's own work is next to nothing; binary batches go through
worldloom.Client, as a program would send them, with its packing and checking. worldloom.simulate looks its world up and allocates its lanes
each time, as a program that calls it does; the service keeps both, which can make it the faster of the two.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
from load import BINARY, JSON, Line, message

import worldloom
from worldloom.core.errors import MachineError
from worldloom.service.forms import packed

COLUMNS = ("what", "p50 ms", "p95 ms", "p99 ms", "most ms", "times Python", "goal")
TOKEN = "correct-horse-battery"
CREATURES, SEED = 1000, 7
EMPTY = {"GET /healthz": "p50 <= 0.5, p99 <= 2", "GET /api/worlds": ""}
REQUESTS = 3000  # empty ones of each kind, at least
CALLS = 5  # batches of each kind in a round
START = 120.0  # s that a service may take to be ready: it compiles where no cache is
BATCH = "/api/simulation/batch"


@dataclass(frozen=True)
class Serving:
    """A service that runs. address: (host, port); process: the number of the one that answers."""

    url: str
    address: tuple[str, int]
    process: int


@contextmanager
def serving(*words):
    """A `loom serve` that is ready, on a free port, over a SQLite store that goes away with it. words: further ones of the command."""
    with tempfile.TemporaryDirectory(prefix="worldloom-bench-") as folder:
        log = Path(folder) / "serve.log"
        command = [Path(sys.executable).parent / "loom", "serve", "--store", str(Path(folder) / "bench.db"), "--port", "0"]
        with log.open("w") as lines:
            process = subprocess.Popen(
                [*command, "--token", TOKEN, *words], stdout=subprocess.PIPE, stderr=lines, stdin=subprocess.DEVNULL, text=True
            )
        try:
            told = process.stdout.readline().split()
            if not told:
                raise MachineError(f"The service did not start: {log.read_text()[-2000:]}")
            url = httpx.URL(told[-1])
            wait_ready(str(url.copy_with(query=None)), process, log)
            yield Serving(str(url.copy_with(query=None)), (url.host, url.port), process.pid)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def wait_ready(url, process, log):
    """Returns when the service has compiled what it needs. Raises MachineError where it does not come to that."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url.rstrip('/')}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise MachineError(f"The service is not ready after {START:g} s: {log.read_text()[-2000:]}")


def seconds(work):
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def asked(line, request):
    """(head, body, s) of an answer that must be 200."""
    status, head, body, taken = line.ask(request)
    if status != 200:
        raise MachineError(f"Status {status} instead of 200: {body[:500].decode(errors='replace')}")
    return head, body, taken


def phases(head):
    """ms of an answer by phase, as its Server-Timing says."""
    said = next(part for part in head.split(b"\r\n") if part.startswith(b"server-timing:"))
    pairs = (entry.strip().split(b";dur=") for entry in said.partition(b":")[2].split(b","))
    return {name.decode(): float(ms) for name, ms in pairs}


def contenders(client, line, genomes, threads):
    """What each contender for a batch does, by name; `line` also gives phases."""
    body = packed({"world": "creatures", "seed": SEED, "genomes": genomes})
    request = message("POST", BATCH, TOKEN, body=body)

    def by_json():
        document = orjson.dumps({"world": "creatures", "seed": SEED, "genomes": genomes}, option=orjson.OPT_SERIALIZE_NUMPY)
        return orjson.loads(asked(line, message("POST", BATCH, TOKEN, body=document, kind=JSON, accept=JSON))[1])

    return {
        "simulate": lambda: worldloom.simulate("creatures", genomes, seed=SEED, workers=threads),
        "Client": lambda: client.simulate("creatures", genomes, seed=SEED),
        "JSON": by_json,
        "socket": lambda: asked(line, request),
    }


def check(works):
    """Raises MachineError unless all contenders compute the same bits."""
    ours, theirs = works["simulate"](), works["Client"]()
    if not all(np.array_equal(ours[name], array, equal_nan=True) for name, array in theirs.outcomes.items()):
        raise MachineError("The service and worldloom.simulate differ. Expected the same bits.")
    if works["JSON"]()["digest"] != theirs.digest:
        raise MachineError("JSON and bytes differ. Expected the same digest.")


def row(name, times, beside=None, goal=""):
    """A line of the table. times: s; beside: those of the call in Python."""
    quantiles = [1e3 * float(np.quantile(times, share)) for share in (0.5, 0.95, 0.99, 1.0)]
    return (name, *quantiles, statistics.median(times) / statistics.median(beside) if beside else None, goal)


def measure(threads=2, rounds=7):
    """Columns, rows and a note. threads: unused, see above."""
    threads, spent, spans = max(1, (os.cpu_count() or 2) - 1), defaultdict(list), defaultdict(list)
    with serving() as served, worldloom.Client(served.url, token=TOKEN) as client, Line(served.address) as line:
        works = contenders(client, line, client.generate("creatures", CREATURES, seed=SEED).genomes, threads)
        check(works)
        for _ in range(rounds):
            for what in EMPTY:
                request = message(*what.split(), TOKEN, accept=JSON)
                spent[what] += [asked(line, request)[2] for _ in range(-(-REQUESTS // rounds))]
            for _ in range(CALLS):
                for name in ("simulate", "Client", "JSON"):
                    spent[name].append(seconds(works[name]))
                head, _, taken = works["socket"]()
                spent["socket"].append(taken)
                for span, ms in phases(head).items():
                    spans[span].append(ms)
    return {"columns": COLUMNS, "rows": rows_of(spent), "note": note_of(spent, spans, threads, rounds)}


def rows_of(spent):
    """The lines of the table."""
    batch, threads = f"{CREATURES:,} creatures", spent["simulate"]
    return [
        *(row(f"{what} over a socket", spent[what], goal=goal) for what, goal in EMPTY.items()),
        row(f"{batch}, worldloom.simulate", spent["simulate"], threads),
        row(f"{batch}, worldloom.Client", spent["Client"], threads, "times Python <= 1.3"),
        row(f"{batch}, bytes over a socket", spent["socket"], threads),
        row(f"{batch}, JSON over a socket", spent["JSON"], threads),
    ]


def note_of(spent, spans, threads, rounds):
    """What the figures mean, and where the time of a batch went."""
    told = ", ".join(f"{name} {statistics.median(times):.3g}" for name, times in spans.items())
    return (
        f"{rounds} rounds, {len(spent['simulate'])} batches and {len(spent['GET /healthz'])} empty requests of each kind, {threads} "
        f"threads in a batch on both sides. Medians of Server-Timing of a batch in bytes, ms: {told}. Accept: {BINARY}."
    )
