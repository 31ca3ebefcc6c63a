"""What a generation costs beside its simulation: 1,000 creatures of 10 s, genetic algorithm and SQLite store included."""

import statistics
import tempfile
from pathlib import Path

from worldloom.core.span import listening
from worldloom.runtime.run import planned, start
from worldloom.runtime.store import open_store
from worldloom.worlds.find import find

COLUMNS = ("workers", "simulation ms", "generation ms", "times simulation", "M creature-steps/s")
GENERATIONS = 20


def measure(threads=2, rounds=3):
    """Medians over the warm generations of `rounds` runs, for one worker and for `threads`."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "bench.db")
        for workers in sorted({1, threads}):
            spent, simulated, steps = [], [], 0
            for seed in range(rounds):
                run = planned(find("creatures"), population=1000, generations=GENERATIONS, seed=seed)
                with listening() as profile:
                    start(run, store, workers=workers)
                summaries = store.generations(run.id)[1:]
                spent += [summary.seconds for summary in summaries]
                simulated.append(profile.spans["physics"].quantile(0.5))
                steps = summaries[0].lane_steps
            whole, physics = statistics.median(spent), statistics.median(simulated)
            rows.append((workers, 1e3 * physics, 1e3 * whole, whole / physics, steps / whole / 1e6))
        store.close()
    return {
        "columns": COLUMNS,
        "rows": rows,
        "note": f"Medians over generations 1 to {GENERATIONS - 1} of {rounds} runs, store in SQLite.",
    }
