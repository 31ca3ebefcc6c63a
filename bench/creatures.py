"""Creature-steps per second: 8 nodes, 15 muscles, a network 8-16-15 that ticks every step, beside the same bodies in eager torch.

`loom bench creatures` runs it. mixed: every body has a topology of its own. shared: 16 neighbours have the same one.
Rounds alternate between the contenders, so that a busy machine disturbs all alike; rates are medians.
"""

import statistics
import time

import numpy as np

from worldloom.core.keys import fold, run_key
from worldloom.core.rollout import Rollout
from worldloom.worlds.creatures import WORLD

COLUMNS = ("what", "threads", "M creature-steps/s", "times torch", "spread")
NODES, MUSCLES, HIDDEN, STEPS, TORCH_STEPS = 8, 15, 16, 2400, 240
AGREEMENT = 2e-3  # m after 60 steps; trajectories are chaotic, and torch rounds in another order


def population(count, *, shared, seed=0):
    """Genes of connected random bodies; shared: blocks of 16 with one topology."""
    params, sizes = setting(), WORLD.sized({"nodes": NODES, "muscles": MUSCLES, "hidden": HIDDEN})
    genome, draw = WORLD.genome(params, sizes), np.random.default_rng(seed)
    genes = genome.sampled(run_key(seed), count)
    pair = np.empty((count, MUSCLES, 2), np.int8)
    for body in range(count):
        pair[body] = pair[body - 1] if shared and body % 16 else topology(draw)
    position = draw.uniform(-1, 1, (count, NODES, 3)).astype(np.float32)
    rows = np.arange(count)[:, None]
    between = position[rows, pair[..., 0]] - position[rows, pair[..., 1]]
    ones = np.ones((count, NODES), np.float32)
    genes = genes._replace(
        position=position, pair=pair, alive=ones.astype(np.int8), muscle=np.ones((count, MUSCLES), np.int8),
        rest=np.maximum(np.sqrt((between**2).sum(-1)), 0.2).astype(np.float32), size=0.2 * ones, friction=0.8 * ones,
        mass=draw.uniform(0.5, 1.5, (count, NODES)).astype(np.float32),
        stiffness=draw.uniform(50, 200, (count, MUSCLES)).astype(np.float32),
        damping=draw.uniform(1, 4, (count, MUSCLES)).astype(np.float32), amplitude=np.full((count, MUSCLES), 0.3, np.float32),
    )  # fmt: skip
    order = genome.order(genes)
    return type(genes)(*(array[order] for array in genes))


def topology(draw):
    """A random tree over all nodes and further random edges."""
    edges = {(int(draw.integers(0, node)), node) for node in range(1, NODES)}
    while len(edges) < MUSCLES:
        a, b = sorted(draw.choice(NODES, 2, replace=False).tolist())
        edges.add((a, b))
    return np.array(sorted(edges), np.int8)


def setting():
    """Every step a brain tick, no settling."""
    return WORLD.filled("accurate", {"brain": "pure", "settle_steps": 0, "control_every": 1})


def rollout(genes, threads):
    """Our contender."""
    count = len(genes.tempo)
    sizes = WORLD.sized({"nodes": NODES, "muscles": MUSCLES, "hidden": HIDDEN})
    inputs = WORLD.genome(setting(), sizes).express(genes)
    return Rollout(WORLD, setting(), inputs, fold(run_key(0), np.arange(count)), threads=threads), inputs


def seconds(work):
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def torch_bodies(genes, inputs):
    """What the yardstick needs, by name."""
    names = ("pair", "mass", "rest", "amplitude", "stiffness", "damping", "friction", "size", "tempo", "weights_in", "bias_in",
             "weights_out", "bias_out")  # fmt: skip
    return {name: getattr(genes, name) for name in names} | {"born": np.ascontiguousarray(np.swapaxes(inputs.born, 1, 2))}


def check(genes, threads):
    """Largest typical difference to the yardstick after 60 steps, m. Raises SystemExit where it is no longer the same workload."""
    import creatures_torch

    ours, inputs = rollout(genes, threads)
    ours.reset()
    ours.advance(60)
    theirs = creatures_torch.run(torch_bodies(genes, inputs), setting(), 60, threads)
    difference = np.abs(np.swapaxes(ours.state().position, 1, 2) - theirs).max((1, 2))
    typical = float(np.quantile(difference, 0.9))
    if not typical < AGREEMENT:
        raise SystemExit(f"Ours and the yardstick differ by {typical:.2g} m after 60 steps; expected below {AGREEMENT} m.")
    return typical


def measure(count=1008, threads=2, rounds=7):
    """Columns, rows and a note: million creature-steps/s and how many times torch's that is."""
    import creatures_torch

    populations = {name: population(count, shared=name == "shared") for name in ("mixed", "shared")}
    agreement = max(check(genes, threads) for genes in populations.values())
    ours = {(name, n): rollout(genes, n)[0] for name, genes in populations.items() for n in sorted({1, threads})}
    bodies = torch_bodies(populations["mixed"], rollout(populations["mixed"], 1)[1])
    contenders = {key: (lambda r=r: r.run(STEPS), STEPS) for key, r in ours.items()}
    contenders["torch", threads] = (lambda: creatures_torch.run(bodies, setting(), TORCH_STEPS, threads), TORCH_STEPS)
    spent = {key: [] for key in contenders}
    for turn in range(rounds + 1):
        for key, (work, _) in contenders.items():
            taken = seconds(work)
            if turn:  # the first round warms caches
                spent[key].append(taken)
    rates = {key: count * contenders[key][1] / statistics.median(spent[key]) / 1e6 for key in contenders}
    yardstick = rates["torch", threads]
    spread = {key: (max(times) - min(times)) / statistics.median(times) for key, times in spent.items()}
    rows = [(name, n, rate, rate / yardstick, spread[name, n]) for (name, n), rate in rates.items()]
    note = (
        f"{count} creatures, medians of {rounds} rounds; spread is (slowest - fastest) / median. Both contenders computed the same: "
        f"after 60 steps they differ by {agreement:.1g} m."
    )
    return {"columns": COLUMNS, "rows": rows, "note": note}
