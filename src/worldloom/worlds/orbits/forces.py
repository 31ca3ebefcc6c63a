"""Pairs of bodies in SIMD lanes without gather or scatter: each pair once, in rows of equal distance between body numbers.

Row d = 1 … bodies // 2 holds the pairs (i, i + d modulo bodies) for i = 0, 1, …, so the lanes of a group of WIDTH neighbouring pairs read
two runs of neighbouring bodies: i and i + d, from arrays that repeat their beginning behind their end. Lanes that stand for no pair (the
end of a row, half of the last row of an even number, two bodies without mass) have weights of zero and a guard of one, which is added to
the squared distance, so that nothing is divided by zero.

The order of every sum is that of the rows; a lane adds to its own body only. WIDTH is the same on every machine. Measured: 4 against 8
lanes take the same time on AVX-512 at 19 bodies, and 4 waste fewer lanes below.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from worldloom.core.field import aligned
from worldloom.core.lane_types import Lane, llvm_type

WIDTH = 4
LANES = Lane(types.float64, WIDTH)

Array = NDArray[np.float64]


@intrinsic  # type: ignore[untyped-decorator]
def lanes_from(typingctx, array, start):
    """array[start : start + WIDTH] of a flat array as one Lane; start need not be a multiple of the width. No bounds check."""

    def lowering(context, builder, sig, args):
        return builder.load(_place(context, builder, sig, args), typ=llvm_type(LANES), align=8)

    return LANES(array, types.int64), lowering


@intrinsic  # type: ignore[untyped-decorator]
def put(typingctx, array, start, lanes):
    """Store one Lane at array[start : start + WIDTH]."""

    def lowering(context, builder, sig, args):
        builder.store(args[2], _place(context, builder, sig, args), align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, LANES), lowering


def _place(context, builder, sig, args):
    view = context.make_array(sig.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(view.data, [args[1]], inbounds=True), ir.PointerType(llvm_type(LANES)))


class Pairs(NamedTuple):
    """All pairs of some bodies, in groups of WIDTH.

    first, second [group]: the bodies of the first lane, second counted without modulo. by_first, by_second [group * WIDTH]: gm of the
    first and of the second body, what the other one feels. guard: 1 where a lane is no pair, else 0. length: of a row of bodies, with its
    repeats.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    by_first: Array
    by_second: Array
    guard: Array
    length: int


def pairs_of(gm: Array) -> Pairs:
    """The pairs of bodies with these gm [body]."""
    bodies = len(gm)
    row = -(-bodies // WIDTH) * WIDTH
    distance, first = (x.reshape(-1) for x in np.meshgrid(np.arange(1, bodies // 2 + 1), np.arange(row), indexing="ij"))
    last = np.where(2 * distance < bodies, bodies, bodies // 2)  # the last row of an even number has each pair twice
    one, other = gm[first % bodies], gm[(first + distance) % bodies]
    real = (first < last) & (one + other > 0)
    by_first, by_second, guard = (aligned((len(first),), np.float64) for _ in range(3))
    by_first[:], by_second[:], guard[:] = np.where(real, one, 0), np.where(real, other, 0), np.where(real, 0, 1)
    return Pairs(first[::WIDTH].copy(), (first + distance)[::WIDTH].copy(), by_first, by_second, guard, 2 * row)
