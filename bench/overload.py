"""Four times more work than the service can do: what still gets done, what the rest is told, and what is left of it afterwards.

`loom bench overload` runs it, on a `loom serve` of its own; --threads is unused, a batch there has cores - 1. A round is ten seconds of
overload; rounds follow each other without a pause, so that --rounds 6 is a minute.

    peak       callers who ask in turn, at the number of them that gets most done; measured before and after, and their mean taken,
               because a shared machine is not the same a minute later
    overload   4x the first of the two, at random moments fixed in advance
    recovery   from the last arrival until three requests in a row took at most twice an idle one's time

A request is 256 creatures of default life, 370 kB in bytes: it takes some 15 ms of a core to answer, and less than 1 to send and to
refuse, so that where two cores are shared with the generator it is not the generator that is measured. Health and memory are looked at
from this process, which has nothing else to do.
"""

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from load import Line, Tally, apart, at_rate, in_turn, message
from service import BATCH, SEED, TOKEN, serving

import worldloom
from worldloom.core.errors import MachineError
from worldloom.service.forms import packed

COLUMNS = ("what", "measured", "unit", "goal")
CREATURES = 256
TIMES = 4.0  # capacity
ROUND = 10.0  # s of overload
CALLERS = (2, 3, 4, 6, 8)  # numbers of them tried for the peak
TRIAL, PEAK = 2.0, 6.0  # s that each of them is tried, and the best one measured
LEAD = 1.0  # s for the generator to connect
PROBE = 0.05  # s between two looks at health and memory
SETTLED = 10.0  # s of overload after which memory should grow no more
IDLE = 30  # requests one after the other
ROW, WITHIN, LONGEST = 3, 2.0, 30.0  # requests in a row, times an idle one's time, s until recovery counts as never


@dataclass
class Figures:
    """What one trial found. seconds of overload; peaks in batches/s, before and after; health, idle in s; memory: (s, bytes)."""

    seconds: float
    peaks: list[float] = field(default_factory=list)
    callers: int = 0
    load: Tally | None = None
    idle: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    recovery: float = float("inf")
    peak_cpu: float = 0.0

    @property
    def peak(self):
        """The most that gets done, batches/s."""
        return statistics.mean(self.peaks)

    @property
    def goodput(self):
        """Of the peak, the share that gets done under overload."""
        return self.load.goodput / self.peak

    @property
    def worst_round(self):
        """As `goodput`, of the worst whole round of ten seconds, or of all where there is none."""
        rounds = range(int(self.seconds / ROUND))
        counts = [sum(self.load.good[int(ROUND * k) + second] for second in range(int(ROUND))) for k in rounds]
        return min(counts) / ROUND / self.peak if counts else self.goodput

    @property
    def growth(self):
        """Memory at the end beside that after SETTLED, or at the beginning of a shorter trial: 0.1 is a tenth more. None unknown."""
        start = min(SETTLED, self.seconds / 2)
        early = [size for when, size in self.memory if start <= when < start + 1]
        late = [size for when, size in self.memory if when >= self.seconds - 1]
        return statistics.median(late) / statistics.median(early) - 1 if early and late and early[0] else None


def batch_request(url):
    """The request of which there are too many, as bytes."""
    with worldloom.Client(url, token=TOKEN) as client:
        genomes = client.generate("creatures", CREATURES, seed=SEED).genomes
    body = packed({"world": "creatures", "seed": SEED, "genomes": genomes})
    return message("POST", BATCH, TOKEN, body=body)


def resident(process):
    """Memory of a process that is in use, bytes; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def trial(seconds, *, callers=CALLERS, peak=PEAK):
    """The Figures of so many seconds of overload. callers: numbers of them tried for the peak; peak: s of measuring it."""
    figures = Figures(seconds)
    with serving() as served, apart() as generator:
        request = batch_request(served.url)

        def most(count, lasting):
            return generator.submit(in_turn, served.address, request, callers=count, seconds=lasting).result()

        with Line(served.address) as line:
            figures.idle = [answered(line, request)[1] for _ in range(IDLE)]
        figures.callers = max(callers, key=lambda count: most(count, min(TRIAL, peak)).goodput) if len(callers) > 1 else callers[0]
        before = most(figures.callers, peak)
        begin = time.perf_counter() + LEAD
        loading = generator.submit(at_rate, served.address, request, rate=TIMES * before.goodput, begin=begin, seconds=seconds)
        watch(figures, served, begin)
        figures.recovery = recovered(figures, served, request, begin + seconds)
        figures.load = loading.result()
        after = most(figures.callers, peak)
        figures.peaks, figures.peak_cpu = [before.goodput, after.goodput], before.cpu
    return figures


def answered(line, request):
    """(status, s) of one request."""
    status, _, _, taken = line.ask(request)
    return status, taken


def watch(figures, served, begin):
    """Note health and memory until the load has ended. Raises MachineError where the service does not say that it lives."""
    probe = message("GET", "/healthz", TOKEN)
    with Line(served.address) as line:
        time.sleep(max(0.0, begin - time.perf_counter()))
        while (now := time.perf_counter() - begin) < figures.seconds:
            status, taken = answered(line, probe)
            if status != 200:
                raise MachineError(f"/healthz was answered with {status}. Expected 200 under any load.")
            figures.health.append(taken)
            figures.memory.append((now, resident(served.process)))
            time.sleep(max(0.0, PROBE - taken))


def recovered(figures, served, request, end):
    """Seconds after the end of the load until requests take what they take an idle service, at most twice."""
    allowed, swift, first = WITHIN * statistics.median(figures.idle), 0, 0.0
    with Line(served.address) as line:
        while (now := time.perf_counter() - end) < LONGEST:
            status, taken = answered(line, request)
            if status != 200 or taken > allowed:
                swift = 0
                continue
            first, swift = (now + taken, 1) if swift == 0 else (first, swift + 1)
            if swift == ROW:
                return first
    return float("inf")


def measure(threads=2, rounds=7):
    """Columns, rows and a note. rounds: of ten seconds of overload; threads: unused, see above."""
    figures = trial(ROUND * rounds)
    return {"columns": COLUMNS, "rows": rows_of(figures), "note": note_of(figures)}


def rows_of(figures):
    """The lines of the table."""
    load, others = figures.load, figures.load.answered - figures.load.statuses[200] - figures.load.statuses[429]
    accepted, refused = load.quantiles(200), load.quantiles(429)
    health = statistics.quantiles(figures.health, n=100)
    sizes = [size / 2**20 for _, size in figures.memory]
    return [
        ("peak goodput", figures.peak, "batches/s", ""),
        ("asked for", load.answered / figures.seconds, "batches/s", "4x the peak"),
        ("goodput", 100 * figures.goodput, "% of peak", ">= 80"),
        ("goodput, worst ten seconds", 100 * figures.worst_round, "% of peak", ""),
        ("answered 429", 100 * load.share(429), "% of answers", "the rest"),
        ("answered otherwise, or not at all", others + load.broken + load.unanswered, "requests", "0"),
        ("accepted, p50", 1e3 * accepted["p50"], "ms", ""),
        ("accepted, p99", 1e3 * accepted["p99"], "ms", "bounded"),
        ("refused, p99", 1e3 * (refused["p99"] or 0.0), "ms", ""),
        ("/healthz, p50", 1e3 * health[49], "ms", ""),
        ("/healthz, p99", 1e3 * health[98], "ms", ""),
        ("memory at the start", sizes[0], "MiB", ""),
        ("memory at the end", sizes[-1], "MiB", ""),
        ("memory growth from second 10 on", None if figures.growth is None else 100 * figures.growth, "%", "< 10"),
        ("recovery", figures.recovery, "s", "< 5"),
        ("an idle batch, p50", 1e3 * statistics.median(figures.idle), "ms", ""),
        ("the generator itself", 100 * load.cpu, "% of a core", ""),
        ("the generator's delay, p99", 1e3 * load.late.quantile(0.99), "ms", ""),
    ]  # fmt: skip


def note_of(figures):
    """What the figures mean."""
    before, after = figures.peaks
    return (
        f"{figures.seconds:g} s at {TIMES:g}x. A batch is {CREATURES} creatures of default life. Peak at {figures.callers} callers: "
        f"{before:.4g} batches/s before, {after:.4g} after, with {100 * figures.peak_cpu:.2g} % of a core for the generator. Latencies "
        "count from the moment fixed in advance."
    )
