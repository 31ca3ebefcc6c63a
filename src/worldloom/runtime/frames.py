"""Frames: replays kept as bytes, a cache and never the truth. Which ones, the run's keep policy says."""

import numpy as np

from worldloom.core.keys import fold, permutation, run_key
from worldloom.core.world import World, counted
from worldloom.runtime.arrays import pack
from worldloom.runtime.record import individual_name, keep_from
from worldloom.runtime.replay import replay
from worldloom.runtime.store import Store

KEPT = 2**63 + 1  # the draw's place among the numbers of individuals, which stay far below


def frames(store: Store, run_id: str, generation: int, individual: int, *, world: World | None = None) -> bytes:
    """The arrays of an individual's replay as one blob in half precision, from the cache or computed.

    They enter the cache where the run's keep policy names the individual: the best, the worst, and some drawn by the run's seed.
    """
    cached = store.frames(run_id, generation, individual)
    if cached is not None:
        return cached
    run, name = store.run(run_id), individual_name(generation, individual)
    blob = pack(replay(store, run_id, name, world=world).arrays, half=True, meta={"world": run.world, "individual": name})
    if individual in kept(store, run_id, generation, seed=run.seed, policy=str(run.config["keep"])):
        store.keep_frames(run_id, generation, individual, blob)
    return blob


def kept(store: Store, run_id: str, generation: int, *, seed: int, policy: str) -> set[int]:
    """The individuals of a generation that a keep policy names."""
    keep, rows = keep_from(policy), store.rows(run_id, generation)
    count = len(rows.keys)
    if keep.everything:
        return set(range(count))
    ranked = np.argsort(-counted(rows.outcome["fitness"], rows.outcome["status"]), kind="stable")
    drawn = permutation(np.uint64(fold(fold(run_key(seed), generation), KEPT)), count)[: keep.random]
    return {*ranked[: keep.top].tolist(), *ranked[max(0, count - keep.bottom) :].tolist(), *drawn.tolist()}
