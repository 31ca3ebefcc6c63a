"""The inner product of a network row: the one operation that is written out for the compiler, not looped.

Both lengths are known from the types, so all products stand in line with constant addresses, and the cells of a layer stay in
registers from row to row. A loop costs a third of the speed of a brain: every product would load its cell from memory again.
"""

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature

from worldloom.core.elements import element_pointer, moved
from worldloom.core.field import BLOCK
from worldloom.core.lane_types import Block, Index, Lane, Scratch, define, llvm_type, stored_bytes
from worldloom.core.lanes import rounded

CHAINS = 4  # a row of 16 products in one chain of additions would wait for itself


def dot(i, weights, row, cells, start):
    """start + weights[i, row] . cells, for all columns of the weights [row, column]; cells is scratch of at least as many.

    Summed in four chains, column n in chain n % 4 and start at the head of the first; then (0 + 1) + (2 + 3). The order depends on
    the column alone.
    """
    sums = [start]
    for n in range(weights.shape[2]):
        product = weights[i, row, n] * cells[n]
        if n and len(sums) < CHAINS:
            sums.append(product)
        else:
            sums[n % CHAINS] = sums[n % CHAINS] + product
    while len(sums) > 1:
        sums = [sums[k] + sums[k + 1] if k + 1 < len(sums) else sums[k] for k in range(0, len(sums), 2)]
    return sums[0]


def _type_dot(i, weights, row, cells, start):
    if not (isinstance(i, Index) and isinstance(weights, Block) and isinstance(cells, Scratch) and isinstance(row, types.Integer)):
        return None
    lane = Lane(weights.element, i.width)
    fits = weights.per == "lane" and len(weights.shape) == 2 and len(cells.shape) == 1 and 0 < weights.shape[1] <= cells.shape[0]
    return signature(lane, i, weights, types.int64, cells, lane) if fits and cells.lane == lane and start == lane else None


def _emit_dot(context, builder, sig, args):
    i, weights, row, cells, start = args
    lane, kind = sig.return_type, sig.args[1]
    zero = ir.Constant(ir.IntType(64), 0)
    place = types.Tuple((sig.args[0], types.int64, types.int64))
    first = element_pointer(context, builder, kind, weights, place, context.make_tuple(builder, place, [i, row, zero]))
    sums = [start]
    for n in range(kind.shape[1]):
        step = ir.Constant(ir.IntType(64), n * BLOCK * stored_bytes(kind.element))
        weight = moved(builder, lane, builder.gep(first, [step], inbounds=True))
        cell = builder.load(builder.gep(cells, [ir.Constant(ir.IntType(64), n)], inbounds=True), typ=llvm_type(lane))
        product = rounded(context, builder, lane, "mul", weight, cell)
        if n and len(sums) < CHAINS:
            sums.append(product)
        else:
            sums[n % CHAINS] = rounded(context, builder, lane, "add", sums[n % CHAINS], product)
    while len(sums) > 1:
        pairs = [sums[k : k + 2] for k in range(0, len(sums), 2)]
        sums = [rounded(context, builder, lane, "add", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return sums[0]


define(dot, _type_dot, _emit_dot, Index, Block, types.Integer, Scratch, Lane)
