"""Samples: runs and generations with the values that are hardest to keep, for tests of stores."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from worldloom.runtime.record import Rows, Run


def sample_run(**changes: Any) -> Run:
    """A run to test with, with the values that are hardest to keep."""
    versions = {"worldloom": "0.1", "cpu": ["avx2", "avx512"]}
    config = {"mode": "reference", "population": 8, "strategy": {"name": "ga", "rate": 0.1}, "label": "größer ✓", "none": None}
    run = Run(name="walkers", world="creatures", world_version=3, seed=2**64 - 1, config=config, versions=versions)
    return replace(run, **changes)


def sample_rows(generation: int, *, count: int = 8, floats: int = 4, salt: int = 0) -> Rows:
    """A generation that depends on its arguments only. Fitness of 1 is NaN, of 2 infinite; 3 and 5 are equal."""
    numbers = np.arange(count * floats, dtype=np.uint64) + np.uint64(1 + generation * 7919 + salt * 104729)
    mixed = (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    weights = (mixed.astype(np.float32) / np.float32(2**24)).reshape(count, floats)
    fitness = weights[:, 0].copy()
    for index, value in ((1, np.nan), (2, np.inf), (5, fitness[3] if count > 3 else 0)):
        if index < count:
            fitness[index] = value
    status = np.where(np.isfinite(fitness), 0, 1).astype(np.int8)
    parents = np.stack([np.arange(count) % 3, np.arange(count) % 2], axis=1) if generation else np.full((count, 2), -1)
    outcome = {"fitness": fitness, "status": status, "path": weights.reshape(count, floats // 2, 2)}
    digest = sha256(b"".join(array.tobytes() for array in outcome.values())).hexdigest()
    genomes = {"weights": weights, "kind": mixed.astype(np.uint8).reshape(count, floats), "small": weights.astype(np.float16)}
    memory = {"best": np.array(0.25), "innovations": np.zeros((0, 3), np.int64), "flags": np.array([True, False])}
    return Rows(
        generation=generation, digest=digest, keys=mixed[:count], genomes=genomes, outcome=outcome, memory=memory,
        parents=parents.astype(np.int32), streak=np.full(count, generation, np.int32), seconds=0.125, lane_steps=10**12,
    )  # fmt: skip


def assert_same_rows(found: Rows, expected: Rows) -> None:
    """Fails unless two generations are equal bit for bit, types and shapes included."""
    for name in ("generation", "digest", "seconds", "lane_steps"):
        assert getattr(found, name) == getattr(expected, name), name
    pairs = {name: (getattr(found, name), getattr(expected, name)) for name in ("keys", "parents", "streak")}
    for group in ("genomes", "outcome", "memory"):
        assert list(getattr(found, group)) == list(getattr(expected, group)), group
        pairs |= {f"{group}/{name}": (array, getattr(expected, group)[name]) for name, array in getattr(found, group).items()}
    for name, (one, other) in pairs.items():
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), name
