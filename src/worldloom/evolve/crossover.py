"""Crossover of float genes: the genes of two parents become one child's.

Only + - * / and square root touch genes, so that every machine gives the same bits: NumPy's power and libm's cube root do not.
Work goes piece by piece through a child's array: with whole arrays in between, most of the time went into fresh memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import each
from worldloom.core.genome import Genes
from worldloom.core.keys import fold, uniforms

Array = NDArray[Any]

ONE = np.int32(0x3F800000)  # the bits of 1.0 in float32
BITS = 16  # fair coins taken from one draw, of the 24 bits that it has
PIECE = 16384  # numbers worked on at once: 64 KiB of float32, so that a handful of arrays stays in the second-level cache
SMALLEST = np.float32(2.0**-24)  # stands for 0, whose root would divide 0 by 0


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crossover operator in two parts.

    draw(key, children, genes) -> random numbers [child, gene] or [child, 1].
    mix(draws, first, second) -> children; arrays [child, gene], any number of rows. Equal parents give their like, bit for bit.
    """

    draw: Callable[[np.uint64, int, int], Array]
    mix: Callable[[Array, Array, Array], Array]


def coins(key: np.uint64, *shape: int) -> NDArray[np.bool_]:
    """Fair coins. Sixteen come from one draw: tossing them singly would cost as much as the rest of a crossover."""
    count = int(np.prod(shape, dtype=np.int64))
    draws = (uniforms(key, -(-count // BITS)) * np.float32(2**BITS)).astype("<u2")
    return np.unpackbits(draws.view(np.uint8), count=count).view(np.bool_).reshape(shape)


def either(second_wins: NDArray[np.bool_], first: Array, second: Array) -> Array:
    """Each number from second where the mask is set, otherwise from first, bit for bit.

    With bit operations, as np.where takes six times as long when the mask is random.
    """
    bits = np.dtype(f"i{first.itemsize}")
    cover = second_wins.astype(bits)
    np.negative(cover, out=cover)  # all bits set where second wins
    cover &= first.view(bits) ^ second.view(bits)
    cover ^= first.view(bits)
    return cover.view(first.dtype)


def root(values: NDArray[np.float32], degree: int) -> NDArray[np.float32]:
    """values ** (1 / degree) for float32 numbers from 2**-24 to 1 and a degree of 1 to 64, within 4e-7 relatively.

    The first guess divides the exponent, as the bits of a float are nearly its logarithm; each Halley step then cubes the error.
    """
    guess = ((values.view(np.int32) - ONE) // np.int32(degree) + ONE).view(np.float32)
    more, less = np.float32(degree + 1), np.float32(degree - 1)
    for _ in range(0 if degree == 1 else 2 if degree <= 4 else 4 if degree <= 24 else 6):
        powered = power(guess, degree)
        above = more * values + less * powered
        guess *= np.divide(above, more * powered + less * values, out=above)
    return guess


def power(values: Array, degree: int) -> Array:
    """values ** degree for a whole degree of 1 and more, by repeated squaring; always a new array."""
    if degree == 1:
        return values.copy()
    half = power(values, degree // 2)
    half *= half
    if degree % 2:
        half *= values
    return half


def part_of_way(share: Array, first: Array, second: Array) -> Array:
    """The point that lies `share` [child, 1] of the way from first to second."""
    child = second - first
    child *= share
    child += first
    return child


def spread(draws: NDArray[np.float32], *, eta: int) -> NDArray[np.float32]:
    """Spread factors of simulated binary crossover: distance of the children over that of their parents, with a fair sign.

    draws: uniform numbers; the first bit of each is the sign, the second chooses between below and above 1, the other 22 how far.
    Source: Deb and Agrawal 1995, equations 8 to 10.
    """
    draws = draws * 4
    quarter = draws.astype(np.int32)
    draws -= quarter
    factor = root(np.maximum(draws, SMALLEST), eta + 1)
    factor = either((quarter & 1).astype(np.bool_), factor, 1 / factor)
    factor.view(np.int32)[...] ^= (quarter >> 1) << 31
    return factor


def beside(draws: NDArray[np.float32], first: Array, second: Array, *, eta: int) -> Array:
    """One of the two children of simulated binary crossover, gene by gene at random, so that its mean is the parents' mean."""
    child = first - second
    child *= spread(draws, eta=eta)
    child += first
    child += second
    child *= first.dtype.type(0.5)
    return child


UNIFORM = Crossing(coins, either)
"""Each gene from one parent or the other, by a fair coin. Source: Syswerda 1989."""

INTERPOLATION = Crossing(lambda key, children, genes: uniforms(key, children, 1), part_of_way)
"""A point on the line between the parents, one share for all of a child's genes. Source: Michalewicz 1992, whole arithmetical."""


def simulated_binary(eta: int) -> Crossing:
    """Children spread about both parents as one-point crossover of binary numbers spreads them; a higher eta keeps them nearer.

    Source: Deb and Agrawal 1995, who use eta 2.
    """
    return Crossing(uniforms, partial(beside, eta=eta))


def mixed(key: np.uint64, first: Array, second: Array, crossing: Crossing) -> None:
    """Turn first [child, gene] into children of first and second, in place."""
    draws = crossing.draw(key, *first.shape)
    rows = max(1, PIECE // max(1, first.shape[1]))
    for start in range(0, len(first), rows):
        piece = slice(start, start + rows)
        first[piece] = crossing.mix(draws[piece], first[piece], second[piece])


def crossed(key: np.uint64, genes: Genes, parents: NDArray[np.integer[Any]], crossing: Crossing) -> Genes:
    """Children of parents [child, 2]; -1 as second parent copies the first. Whole-number genes come from the first parent.

    The arrays are new: the caller may change them.
    """
    mates = np.where(parents[:, 1] < 0, parents[:, 0], parents[:, 1])
    arrays = []
    for own, (_, _, array) in zip(fold(key, np.arange(len(genes))), each(genes), strict=True):
        child = array[parents[:, 0]]
        if np.issubdtype(array.dtype, np.floating) and child.size:
            flat = child.reshape(len(child), -1)
            mixed(own, flat, array.reshape(len(array), -1)[mates], crossing)
        arrays.append(child)
    return type(genes)(*arrays)
