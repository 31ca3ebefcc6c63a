"""Selection: who survives and who becomes a parent.

Everything works on `ranks`: the indices of the individuals whose fitness is finite, best first, ties by index. So none of these can
choose an individual without a finite fitness, and only the order of fitness matters (except for the shares of species).
Sums over genes are sums of whole numbers, so that no machine's order of summation can change who is whose neighbour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import each
from worldloom.core.genome import Genes, bounds, rows
from worldloom.core.keys import fold, integers, permutation, uniforms

Indices = NDArray[np.intp]
Selection = Callable[[np.uint64, Indices, int], Indices]  # (key, ranks, count) -> count parents

START, ORDER = range(2)  # random slots of stochastic universal sampling


def ranked(fitness: NDArray[Any]) -> Indices:
    """Indices of the individuals with a finite fitness, best first; equal ones by index."""
    order = np.argsort(-np.where(np.isfinite(fitness), fitness, -np.inf), kind="stable")
    return order[: np.count_nonzero(np.isfinite(fitness))]


def elites(ranks: Indices, count: int) -> Indices:
    """The best `count`, or as many as there are."""
    return ranks[:count]


def truncation(key: np.uint64, ranks: Indices, count: int, *, share: float) -> Indices:
    """Parents drawn evenly from the best share, at least one individual.

    Source: Mühlenbein and Schlierkamp-Voosen 1993, the breeder genetic algorithm.
    """
    best = max(1, int(np.ceil(share * len(ranks))))
    chosen: Indices = ranks[integers(key, best, count)]
    return chosen


def tournament(key: np.uint64, ranks: Indices, count: int, *, size: int) -> Indices:
    """Parents that are each the best of `size` drawn with replacement.

    Source: Goldberg and Deb 1991.
    """
    chosen: Indices = ranks[integers(key, len(ranks), size, count).min(axis=0)]
    return chosen


def ranking(key: np.uint64, ranks: Indices, count: int, *, pressure: float) -> Indices:
    """Parents by linear rank: the best is expected `pressure` times as often as the average, the worst 2 - pressure times.

    Drawn with one spin of evenly spaced pointers, so that nobody is chosen a whole time more or less than expected; order shuffled.
    Source: Baker 1985 (linear ranking), Baker 1987 (stochastic universal sampling).
    """
    if not count:
        return ranks[:0]
    places = len(ranks)
    expected = pressure - (2 * pressure - 2) * np.arange(places) / max(1, places - 1)
    ends = np.cumsum(expected if places > 1 else np.ones(1))
    pointers = (np.arange(count) + float(uniforms(fold(key, START), 1)[0])) * (ends[-1] / count)
    spun = np.minimum(np.searchsorted(ends, pointers, side="right"), places - 1)
    chosen: Indices = ranks[spun[permutation(fold(key, ORDER), count)]]
    return chosen


@dataclass(frozen=True, slots=True)
class Species:
    """Species among the ranked.

    seeds [species]: the best of each, as indices of individuals. of [rank]: the species of each of the ranked.
    """

    seeds: Indices
    of: Indices


@dataclass(frozen=True, slots=True)
class Places:
    """Where individuals are in gene space, in parts of each gene's range.

    numbers [individual, float gene]: whole numbers of 0 to `fine`, kept as float32; structure [individual, whole-number gene].
    """

    numbers: NDArray[np.float32]
    structure: NDArray[np.int64]
    fine: int


def places(genes: Genes) -> Places:
    """Genes as places, as fine as sums over all genes allow that float32 adds without rounding: those below 2**24."""
    width = sum(int(np.prod(array.shape[1:], dtype=np.int64)) for array in genes)
    fine = max(1, 2 ** (24 - max(8, int(width).bit_length())))
    numbers, structure = [np.empty((len(genes[0]), 0), np.float32)], [np.empty((len(genes[0]), 0), np.int64)]
    for name, gene, array in each(genes):
        low, high = bounds(name, gene)
        flat = array.reshape(len(array), -1)
        if np.issubdtype(array.dtype, np.floating):
            numbers.append(np.rint((flat - low) * (fine / (high - low) if high > low else 0.0)).astype(np.float32, copy=False))
        else:
            structure.append(flat.astype(np.int64))
    return Places(np.concatenate(numbers, axis=1), np.concatenate(structure, axis=1), fine)


def distances(places: Places, individual: int) -> NDArray[np.float64]:
    """Mean difference of everyone to one, 0 to 1 [individual]: share of a float gene's range; 1 where structure differs."""
    apart = places.numbers - places.numbers[individual]
    np.abs(apart, out=apart)
    other = np.count_nonzero(places.structure != places.structure[individual], axis=1)
    width = max(1, apart.shape[1] + places.structure.shape[1])
    mean: NDArray[np.float64] = (apart.sum(axis=1).astype(np.float64) / places.fine + other) / width
    return mean


def speciated(genes: Genes, ranks: Indices, *, reach: float, limit: int) -> Species:
    """Species around seeds: the best individual is the first seed; the next one is the best that is further than `reach` from all.

    Everyone joins the nearest seed; with `limit` seeds found, however far it is.
    Source: Li, Balazs, Parks and Clarkson 2002, species conserving genetic algorithm.
    """
    able = places(rows(genes, ranks))
    nearest = np.full(len(ranks), np.inf)
    of = np.zeros(len(ranks), np.intp)
    seeds: list[int] = []
    further = np.zeros(1, np.intp)
    while len(further) and len(seeds) < limit:
        apart = distances(able, int(further[0]))
        of[apart < nearest] = len(seeds)
        nearest = np.minimum(nearest, apart)
        seeds.append(int(further[0]))
        further = np.flatnonzero(nearest > reach)
    return Species(ranks[np.array(seeds)], of)


def shared(fitness: NDArray[Any], ranks: Indices, species: Species) -> NDArray[np.float64]:
    """Share of the offspring for each species: its members' fitness, each divided by how many they are, summed.

    Fitness counts from just below the worst, so that it may be negative and even the worst species keeps a small share.
    Source: Goldberg and Richardson 1987 (sharing); Stanley and Miikkulainen 2002 (sharing within species).
    """
    able = fitness[ranks]
    span = able[0] / 2 - able[-1] / 2  # halves: the difference of two finite numbers may not be finite
    worth = 0.05 + ((able / 2 - able[-1] / 2) / span if span > 0 else np.ones(len(able)))
    sizes = np.bincount(species.of, minlength=len(species.seeds))
    mean = np.bincount(species.of, weights=worth, minlength=len(species.seeds)) / sizes
    shares: NDArray[np.float64] = mean / np.cumsum(mean)[-1]
    return shares


def allotted(shares: NDArray[np.float64], count: int) -> Indices:
    """`count` places given out by shares that sum to 1: whole parts first, the rest to the largest remainders, ties by index."""
    exact = shares * count
    whole = np.floor(exact).astype(np.intp)
    rest = np.argsort(whole - exact, kind="stable")[: max(0, count - int(whole.sum()))]
    whole[rest] += 1
    return whole


def within(keys: tuple[np.uint64, np.uint64], fitness: NDArray[Any], ranks: Indices, species: Species, count: int, *,
           size: int) -> tuple[Indices, Indices]:  # fmt: skip
    """Two parents of the same species for each child, by tournament among its members; children by shared fitness."""
    members = np.argsort(species.of, kind="stable")  # species after species, best first in each
    sizes = np.bincount(species.of, minlength=len(species.seeds))
    starts = np.cumsum(sizes) - sizes
    room = allotted(shared(fitness, ranks, species), count)
    own = np.repeat(np.arange(len(room)), room)[:count]

    def parents(key: np.uint64) -> Indices:
        place = uniforms(key, size, count).min(axis=0).astype(np.float64) * sizes[own]
        chosen: Indices = ranks[members[starts[own] + place.astype(np.intp)]]
        return chosen

    return parents(keys[0]), parents(keys[1])
