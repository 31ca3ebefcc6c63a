"""Planetary systems: many at once, one dense request, and the outer planets for 100,000 years. `loom bench orbits` runs it.

A row only counts while its accuracy holds: the energy error stands beside the time. Times are the fastest of the rounds, and rounds
alternate between the rows, so that a busy machine disturbs all alike. reach: milliseconds that the specification asks for.
"""

import math
import time

import numpy as np

from worldloom.core.rollout import Rollout
from worldloom.worlds.orbits import WORLD
from worldloom.worlds.orbits.leapfrog import leapfrog
from worldloom.worlds.orbits.presets import preset
from worldloom.worlds.orbits.spec import Inputs
from worldloom.worlds.orbits.system import GAME_G, GAME_STAR, System
from worldloom.worlds.orbits.wisdom_holman import wisdom_holman

COLUMNS = ("what", "threads", "ms", "reach ms", "energy error", "ns each")
SYSTEMS, STEPS, PLANETS = 1024, 400, 10


def request(planets, *, heavy=1e-3):
    """A request's system in game units: planets a golden angle apart, masses times `heavy`, so that nothing scatters."""
    a, turn = 0.35 + 0.18 * np.arange(planets), math.pi * (3 - math.sqrt(5)) * np.arange(planets)
    out = np.stack([np.cos(turn), np.sin(turn), np.zeros(planets)], axis=1)
    along = np.stack([-np.sin(turn), np.cos(turn), np.zeros(planets)], axis=1)
    return System(
        G=GAME_G, units="game", names=("star", *(f"planet {k}" for k in range(planets))), kinds=("star", *["rocky"] * planets),
        colours=("#ffffff",) * (planets + 1), mass=np.array([GAME_STAR, *(heavy * (0.05 + 0.08 * np.arange(planets)))]),
        position=np.vstack([np.zeros(3), a[:, None] * out]), velocity=np.vstack([np.zeros(3), along / np.sqrt(a)[:, None]]),
        radius=np.ones(planets + 1),
    ).centred()  # fmt: skip


def batch(threads):
    """1,024 systems of a star and 10 planets, one a lane: leapfrog, no looks in between."""
    system = request(PLANETS)
    stretch = 1 + 0.2 * np.random.default_rng(1).uniform(size=(SYSTEMS, 1, 1))
    inputs = Inputs(
        gm=np.repeat(system.gm[None], SYSTEMS, axis=0),
        position=system.position.T * stretch,
        velocity=system.velocity.T / np.sqrt(stretch),
    )
    params = WORLD.filled(None, {"scheme": "leapfrog", "dt": 0.05, "watch_every": STEPS})
    return Rollout(WORLD, params, inputs, np.zeros(SYSTEMS, np.uint64), threads=threads)


def measure(threads=2, rounds=7):
    """Columns, rows and a note."""
    batches = {count: batch(count) for count in sorted({1, threads})}
    dense, outer, ends = request(18), preset("outer-solar-system"), {}

    def row(name, reach, each, work):
        return {"name": name, "reach": reach, "each": each, "work": work, "best": math.inf}

    rows = [
        row(("1,024 systems of 11 x 400 leapfrogs", n), 13.0 if n == 2 else None, SYSTEMS * STEPS * 55,
            lambda made=made: np.median(made.run(STEPS).energy_error)) for n, made in batches.items()
    ] + [
        row((f"18 planets, 1,200 steps, order {order}", 1), 1.0 if order == 2 else None, 1200 * 171,
            lambda order=order: leapfrog(dense, 60.0, 0.05, order=order).energy_error.max()) for order in (2, 4, 6)
    ] + [
        row(("outer planets, 1e5 yr, steps of 0.4 yr", 1), 120.0, 250_000,
            lambda: wisdom_holman(outer, 1e5, 0.4, every=250).energy_error.max())
    ]  # fmt: skip
    for _ in range(rounds + 1):  # the first round compiles
        for entry in rows:
            started = time.perf_counter()
            ends[entry["name"]] = float(entry["work"]())
            entry["best"] = min(entry["best"], time.perf_counter() - started)
    listed = [
        (*entry["name"], 1e3 * entry["best"], entry["reach"] or "", ends[entry["name"]], 1e9 * entry["best"] / entry["each"])
        for entry in rows
    ]
    note = f"Fastest of {rounds} rounds. each: a pair of bodies and a step, however many forces that takes; of the outer planets a step."
    return {"columns": COLUMNS, "rows": listed, "note": note}
