"""Problems with known answers, and the loop that evolves them without a world."""

from typing import Any, NamedTuple

import numpy as np

from worldloom.core.field import Field
from worldloom.core.genome import Genome
from worldloom.core.keys import fold, run_key
from worldloom.evolve.strategies.genetic import GeneticAlgorithm

NAN, INF = float("nan"), float("inf")


def numbers(count: int, low: float = -1.0, high: float = 1.0, dtype: Any = np.float32) -> Genome:
    """A genome of `count` numbers in one array x."""

    class Genes(NamedTuple):
        x: np.ndarray = Field("1", "numbers", (count,), dtype=dtype, low=low, high=high)

    return Genome(genes=Genes)


class Limbs(NamedTuple):
    """Structure and numbers, as a creature has them."""

    length: np.ndarray = Field("m", "lengths", ("limbs",), low=0.1, high=2.0)
    weight: np.ndarray = Field("1", "weights", ("limbs", 3), dtype=np.float64, low=-4.0, high=4.0)
    joint: np.ndarray = Field("1", "where it is fixed", ("limbs",), dtype=np.int32, low=0, high=1_000_000)
    kind: np.ndarray = Field("1", "kind", dtype=np.int8, choices=("worm", "fish", "frog"))


LIMBS = Genome(genes=Limbs, sizes={"limbs": 5})


def sphere(genes: Any) -> np.ndarray:
    """Minus the mean square distance to 0.3."""
    return -((genes.x.astype(np.float64) - 0.3) ** 2).mean(axis=1)


def rastrigin(genes: Any) -> np.ndarray:
    """Minus Rastrigin's function per dimension, its minimum moved to 1."""
    x = genes.x.astype(np.float64) - 1.0
    return -(10 + x**2 - 10 * np.cos(2 * np.pi * x)).mean(axis=1)


def exclusive_or(genes: Any) -> np.ndarray:
    """How many of the four cases of XOR a 2-3-1 net gets right, less its square error / 4."""
    w = genes.x.astype(np.float64)
    cases = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    wanted = np.array([0.0, 1.0, 1.0, 0.0])
    hidden = np.tanh(np.einsum("nhi,ci->nch", w[:, :6].reshape(-1, 3, 2), cases) + w[:, None, 6:9])
    out = 1 / (1 + np.exp(-(np.einsum("nch,nh->nc", hidden, w[:, 9:12]) + w[:, 12:13])))
    return ((out > 0.5) == (wanted > 0.5)).sum(axis=1) - ((out - wanted) ** 2).mean(axis=1)


def two_peaks(genes: Any) -> np.ndarray:
    """Equal peaks of height 1 at -0.6 and 0.6 in every dimension."""
    x = genes.x.astype(np.float64)
    return np.maximum(*(np.exp(-((x - at) ** 2).mean(axis=1) / 0.05) for at in (-0.6, 0.6)))


def evolved(
    strategy: GeneticAlgorithm, problem: Any, generations: int, seed: int = 1
) -> tuple[Any, list[float], dict[str, np.ndarray]]:
    """(genes, best fitness of each generation, state) after so many generations."""
    key = run_key(seed)
    state, best = strategy.start(key), []
    for generation in range(generations):
        genes, state = strategy.ask(fold(key, generation), state)
        fitness = problem(genes)
        state = strategy.tell(state, genes, fitness)
        best.append(float(np.where(np.isfinite(fitness), fitness, -INF).max()))
    return genes, best, state


def same(first: Any, second: Any) -> bool:
    """Whether two records or states hold the same bits."""
    pairs = [(first[k], second[k]) for k in first] if isinstance(first, dict) else list(zip(first, second, strict=True))
    keys_agree = not isinstance(first, dict) or set(first) == set(second)
    return keys_agree and all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)
