"""Mutation of float genes: how large a step is, how often, and how both change over a run.

Steps are in standard deviations; `scale` says what one is, as a share of the gene's own spread. So it means the same for all.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import each, fields, shape_of
from worldloom.core.genome import Genes, Genome, spread
from worldloom.core.keys import fold, integers, normals, uniforms
from worldloom.evolve.crossover import SMALLEST, root

Steps = Callable[[np.uint64, int], NDArray[np.float32]]  # (key, count) -> steps with mean 0 and standard deviation 1

CHOICE, STEP = range(2)  # random slots of one array


def gaussian(key: np.uint64, count: int) -> NDArray[np.float32]:
    """Normal steps."""
    return normals(key, count)


def polynomial(key: np.uint64, count: int, *, eta: int) -> NDArray[np.float32]:
    """Polynomial steps, scaled to standard deviation 1: many small ones, and none larger than `largest(eta)`.

    Source: Deb and Goyal 1996, with their largest perturbation chosen to give that deviation.
    """
    draw = uniforms(key, count)
    draw *= 2
    sign = draw >= 1
    draw -= sign
    step = (1 - root(np.maximum(draw, SMALLEST), eta + 1)) * np.float32(largest(eta))
    np.negative(step, out=step, where=sign)
    return step


def largest(eta: int) -> float:
    """The largest polynomial step in standard deviations: the mean square of a step in -1 to 1 is 2 / ((eta + 2) (eta + 3))."""
    return sqrt((eta + 2) * (eta + 3) / 2)


def mutate(key: np.uint64, genes: Genes, *, rate: float, scale: NDArray[np.float32], steps: Steps) -> None:
    """Add steps to float genes, in place: each with probability `rate`, scale [individual] x its spread.

    Arrays are contiguous; nothing is clipped here. Draws one number for every gene and a step only for the chosen.
    """
    keys = fold(fold(key, np.arange(len(genes)))[:, None], np.arange(2))
    for own, (name, gene, array) in zip(keys, each(genes), strict=True):
        if rate <= 0 or not np.issubdtype(array.dtype, np.floating) or not array.size:
            continue
        width = np.float32(spread(name, gene))
        chosen = np.flatnonzero(uniforms(own[CHOICE], *array.shape) < np.float32(rate))
        step = steps(own[STEP], len(chosen))
        step *= (scale * width)[chosen // (array.size // len(array))]
        array.reshape(-1)[chosen] += step


def scales(key: np.uint64, count: int, *, scale: float, octaves: int) -> NDArray[np.float32]:
    """A scale for each child: `scale`, or a half, a quarter … of it, `octaves` of them equally likely.

    A generation so tries coarse and fine steps at once, and selection keeps those that help: no schedule has to guess.
    """
    return np.ldexp(np.float32(scale), -integers(key, octaves, count).astype(np.int32)).astype(np.float32)


def enough(genome: Genome, rate: float, *, least: float = 2.0) -> float:
    """The rate, raised where a child of a small genome would have fewer than `least` mutated genes on average; 0 stays 0."""
    width = sum(
        int(np.prod(shape_of(gene, genome.sizes), dtype=np.int64))
        for gene in fields(genome.genes).values()
        if np.issubdtype(np.dtype(gene.dtype), np.floating)
    )
    return min(1.0, max(rate, least / max(1, width))) if rate > 0 else 0.0


def decayed(decay: str, generation: int, *, horizon: int, floor: float) -> float:
    """A factor that falls from 1 to `floor` at generation `horizon` and stays there: linearly, exponentially, or "none": 1."""
    done = min(1.0, generation / horizon)
    if decay == "linear":
        return 1 - (1 - floor) * done
    return fraction_of_power(floor, done) if decay == "exponential" else 1.0


def fraction_of_power(base: float, exponent: float) -> float:
    """base ** exponent for a base above 0 and an exponent of 0 to 1, from square roots alone: the same on every machine."""
    if exponent >= 1:
        return base
    value = 1.0
    for _ in range(40):
        base, exponent = sqrt(base), exponent * 2
        if exponent >= 1:
            value, exponent = value * base, exponent - 1
    return value


def boosted(stagnant: int, *, patience: int, boost: float) -> float:
    """A factor: `boost` after `patience` generations without a new best, for as many generations; then 1 for as many, and so on.

    A new best sets `stagnant` to 0 and so ends it. In turns, because a stuck search may need finer steps as well as larger ones.
    """
    return boost if stagnant // patience % 2 else 1.0
