"""Memory of lane code: indexing block-form arrays by an Index, private scratch arrays, and how a driver hands records to kernels.

`a[i, k]` with i an Index(width) loads or stores the numbers of `width` neighbouring lanes. Shapes are part of the type, so an address is
the lane's block, times a constant, plus a constant where k is one. No bounds checks, no negative indices, no slices: debug by calling
the step uncompiled, on [lane, *shape] arrays with a plain i.

A driver receives one array of 64-bit words, the table: the address of each record, then the bits of each parameter. Handing over NumPy
arrays instead costs about half a microsecond each.
"""

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from worldloom.core.field import BLOCK, LINE, Record, fields, layout, shape_of
from worldloom.core.lane_types import (
    Block,
    Index,
    Lane,
    Scratch,
    accepts,
    define,
    element_of,
    kind_of,
    llvm_type,
    splat,
    stored_bytes,
)

_INT64 = ir.IntType(64)


# ---- lanes by number -----------------------------------------------------------------------------------------------------------


def lanes_at(lane, width):
    """The Index of `width` neighbouring lanes (a literal) that starts at number `lane`. Drivers call it, worlds do not."""
    return lane


def lane_number(i):
    """The number of the first lane of an Index, as a plain integer. Drivers and tests call it; a world that does is not lane-free."""
    return i


def _type_lanes_at(lane, width):
    fits = isinstance(lane, types.Integer) and isinstance(width, types.IntegerLiteral)
    return signature(Index(width.literal_value), types.int64, width) if fits else None


def _type_lane_number(i):
    return signature(types.int64, i) if isinstance(i, Index) else None


define(lanes_at, _type_lanes_at, lambda context, builder, sig, args: args[0], types.Integer, types.Integer)
define(lane_number, _type_lane_number, lambda context, builder, sig, args: args[0], Index)


# ---- block-form arrays -----------------------------------------------------------------------------------------------------------


def _position(indices):
    """(Index, how many plain integers follow it) of `a[i]` or `a[i, k, n]`, or None."""
    if isinstance(indices, Index):
        return indices, 0
    if isinstance(indices, types.BaseTuple) and len(indices) and isinstance(indices[0], Index):
        plain = all(isinstance(k, types.Integer) for k in indices.types[1:])
        return (indices[0], len(indices) - 1) if plain else None
    return None


def _type_element(block, indices):
    """What a[i, k] is: a Lane; from an array that is per block a plain integer or truth value, but floats as Lanes, like parameters."""
    place = _position(indices) if isinstance(block, Block) else None
    if not place or place[1] != len(block.shape):
        return None
    if block.per == "lane" or isinstance(block.element, types.Float):
        return Lane(block.element, place[0].width)
    return types.int64 if isinstance(block.element, types.Integer) else block.element


def _parts(context, builder, index_type, indices):
    """(lane number, the plain indices) as 64-bit integers."""
    if isinstance(index_type, Index):
        return indices, []
    parts = cgutils.unpack_tuple(builder, indices)
    return parts[0], [context.cast(builder, p, k, types.int64) for p, k in zip(parts[1:], index_type.types[1:], strict=True)]


def _steps(builder, pointer, parts, shape, size):
    """pointer[k, n] in an array of that shape whose elements are `size` units apart: an address each, so that equal parts are shared."""
    for part, inner in zip(parts, (shape[n + 1 :] for n in range(len(shape))), strict=True):
        pointer = builder.gep(pointer, [builder.mul(part, ir.Constant(_INT64, math.prod(inner) * size))], inbounds=True)
    return pointer


def element_pointer(context, builder, block, base, index_type, indices):
    """Pointer to the element of the first lane: base + number of the block * stride + offset + place inside."""
    lane, parts = _parts(context, builder, index_type, indices)
    width, size = _position(index_type)[0].width, stored_bytes(block.element)
    number = builder.lshr(lane, ir.Constant(_INT64, BLOCK.bit_length() - 1))
    start = builder.gep(base, [builder.mul(number, ir.Constant(_INT64, block.stride))], inbounds=True)
    if block.per == "lane" and width < BLOCK:
        inside = builder.and_(lane, ir.Constant(_INT64, BLOCK - 1))
        start = builder.gep(start, [builder.mul(inside, ir.Constant(_INT64, size))], inbounds=True)
    start = builder.gep(start, [ir.Constant(_INT64, block.offset)], inbounds=True)
    return _steps(builder, start, parts, block.shape, size * (BLOCK if block.per == "lane" else 1))


def moved(builder, lane, pointer, value=None):
    """Load a Lane from memory, or store one. Masks are bytes in memory, as NumPy has them."""
    mask = kind_of(lane) == "b"
    stored = Lane(types.uint8, lane.width) if mask else lane
    pointer = builder.bitcast(pointer, llvm_type(stored).as_pointer())
    align = min(LINE, lane.width * (1 if mask else lane.element.bitwidth // 8))  # blocks start on a line, an Index on its width
    if value is None:
        loaded = builder.load(pointer, typ=llvm_type(stored), align=align)
        return builder.trunc(loaded, llvm_type(lane)) if mask else loaded
    builder.store(builder.zext(value, llvm_type(stored)) if mask else value, pointer, align=align)
    return None


def _type_getitem(block, indices):
    element = _type_element(block, indices)
    return signature(element, block, indices) if element else None


def _emit_getitem(context, builder, sig, args):
    block, result = sig.args[0], sig.return_type
    pointer = element_pointer(context, builder, block, args[0], sig.args[1], args[1])
    if block.per == "lane":
        return moved(builder, result, pointer)
    number = moved(builder, Lane(block.element, 1), pointer)
    return splat(builder, number, result) if isinstance(result, Lane) else context.cast(builder, number, block.element, result)


def _type_setitem(block, indices, value):
    lane = _type_element(block, indices)
    if not isinstance(lane, Lane) or block.per != "lane":
        return None
    fits = value == lane or (not isinstance(value, Lane) and accepts(lane.element, value))
    return signature(types.void, block, indices, lane) if fits else None


def _emit_setitem(context, builder, sig, args):
    pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
    moved(builder, sig.args[2], pointer, args[2])
    return context.get_dummy_value()


for _kind_of_index in (Index, types.BaseTuple):
    define(operator.getitem, _type_getitem, _emit_getitem, Block, _kind_of_index)
    define(operator.setitem, _type_setitem, _emit_setitem, Block, _kind_of_index, Lane)


# ---- scratch ----------------------------------------------------------------------------------------------------------------------


def scratch(i, element, *shape):
    """Private memory of this lane, not initialised: `force = scratch(i, np.float32, 3, 8)`, then `force[axis, node]`."""
    return np.empty(shape, element)


def scratch_like(i, array, element):
    """Private memory of this lane with the shape of one lane of `array`."""
    return np.empty(array.shape[1:], element)


def _type_scratch(i, number_class, *shape):
    element = element_of(number_class)
    if not isinstance(i, Index) or element is None or not all(isinstance(n, types.IntegerLiteral) for n in shape):
        return None
    return signature(Scratch(element, i.width, tuple(n.literal_value for n in shape)), i, number_class, *shape)


def _type_scratch_like(i, block, number_class):
    element = element_of(number_class)
    fits = isinstance(i, Index) and isinstance(block, Block) and element is not None
    return signature(Scratch(element, i.width, block.shape), i, block, number_class) if fits else None


def _emit_scratch(context, builder, sig, args):
    kind = sig.return_type
    memory = cgutils.alloca_once(builder, ir.ArrayType(llvm_type(kind.lane), math.prod(kind.shape)))
    memory.align = LINE
    return builder.bitcast(memory, llvm_type(kind.lane).as_pointer())


def extent(array, axis):
    """How many numbers one lane has along an axis of `array`; a constant in compiled code."""
    return array.shape[1 + axis]


def _type_extent(block, axis):
    fits = isinstance(block, Block) and isinstance(axis, types.IntegerLiteral)
    return signature(types.int64, block, axis) if fits else None


def _emit_extent(context, builder, sig, args):
    return ir.Constant(_INT64, sig.args[0].shape[sig.args[1].literal_value])


define(extent, _type_extent, _emit_extent, Block, types.Integer)
define(scratch, _type_scratch, _emit_scratch, Index, types.NumberClass, types.VarArg(types.Any))
define(scratch_like, _type_scratch_like, _emit_scratch, Index, Block, types.NumberClass)


def slot_pointer(context, builder, kind, memory, index_type, indices):
    several = isinstance(index_type, types.BaseTuple)
    parts = cgutils.unpack_tuple(builder, indices) if several else [indices]
    kinds = index_type.types if several else [index_type]
    whole = [context.cast(builder, p, k, types.int64) for p, k in zip(parts, kinds, strict=True)]
    return _steps(builder, memory, whole, kind.shape, 1)


def _addresses(memory, indices):
    rank = len(indices) if isinstance(indices, types.BaseTuple) else 1
    return isinstance(memory, Scratch) and rank == len(memory.shape)


def _type_scratch_load(memory, indices):
    return signature(memory.lane, memory, indices) if _addresses(memory, indices) else None


def _type_scratch_store(memory, indices, value):
    return signature(types.void, memory, indices, memory.lane) if _addresses(memory, indices) else None


def _emit_scratch_load(context, builder, sig, args):
    return builder.load(slot_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1]), typ=llvm_type(sig.return_type))


def _emit_scratch_store(context, builder, sig, args):
    builder.store(args[2], slot_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1]))
    return context.get_dummy_value()


for _kind_of_index in (types.Integer, types.BaseTuple):
    define(operator.getitem, _type_scratch_load, _emit_scratch_load, Scratch, _kind_of_index)
    define(operator.setitem, _type_scratch_store, _emit_scratch_store, Scratch, _kind_of_index, Lane)


# ---- the table ------------------------------------------------------------------------------------------------------------------


def record_in_table(record: type, sizes: Mapping[str, int]) -> Any:
    """A function (table, place) for compiled code: the record whose memory begins at the address table[place]."""
    found, where = fields(record), layout(record, sizes)
    kinds = [
        Block(from_dtype(np.dtype(field.dtype)), shape_of(field, sizes), field.per, where.offsets[name], where.stride)
        for name, field in found.items()
    ]
    kind = types.NamedTuple(kinds, record)

    def lowering(context, builder, sig, args):
        (word,) = _words(context, builder, sig.args[0], args[0], args[1], 1)
        return context.make_tuple(builder, kind, [_global_pointer(context, builder, word)] * len(kinds))

    @intrinsic  # type: ignore[untyped-decorator]
    def at(typingctx, table, place):
        return (kind(table, types.int64), lowering) if isinstance(place, types.Integer) else None

    return at


def arrays_in_table(record: type, sizes: Mapping[str, int]) -> Any:
    """A function (table, start) for compiled code: a record whose fields are arrays of their own, at table[start], table[start + 1] …"""
    kinds = []
    for field in fields(record).values():
        element, shape = from_dtype(np.dtype(field.dtype)), shape_of(field, sizes)
        size = math.prod(shape) * (BLOCK if field.per == "lane" else 1) * stored_bytes(element)
        kinds.append(Block(element, shape, field.per, 0, size))
    kind = types.NamedTuple(kinds, record)

    def lowering(context, builder, sig, args):
        words = _words(context, builder, sig.args[0], args[0], args[1], len(kinds))
        return context.make_tuple(builder, kind, [_global_pointer(context, builder, word) for word in words])

    @intrinsic  # type: ignore[untyped-decorator]
    def at(typingctx, table, start):
        return (kind(table, types.int64), lowering) if isinstance(start, types.Integer) else None

    return at


def parameters_in_table(record: type) -> Any:
    """A function (table, start, i) for compiled code: the Params record, floats as Lanes, whole numbers plain.

    Two plain floats would follow Numba's rules instead of ours: float64, or a product that NVVM may fuse.
    """
    elements = [from_dtype(np.dtype(field.dtype)) for field in fields(record).values()]

    def lowering(context, builder, sig, args):
        words = _words(context, builder, sig.args[0], args[0], args[1], len(elements))
        kinds = sig.return_type.types
        values = [_parameter(builder, word, element, kind) for word, element, kind in zip(words, elements, kinds, strict=True)]
        return context.make_tuple(builder, sig.return_type, values)

    @intrinsic  # type: ignore[untyped-decorator]
    def parameters(typingctx, table, start, i):
        kind = types.NamedTuple([Lane(e, i.width) if isinstance(e, types.Float) else types.int64 for e in elements], record)
        return kind(table, types.int64, i), lowering

    return parameters


def _words(context, builder, table_type, table, start, count):
    view = context.make_array(table_type)(context, builder, table)
    base = builder.gep(view.data, [start], inbounds=True)
    return [builder.load(builder.gep(base, [ir.Constant(_INT64, k)], inbounds=True), typ=_INT64) for k in range(count)]


def _global_pointer(context, builder, word):
    """An address as a pointer; on CUDA by way of the global address space, so that NVVM need not guess it."""
    byte = ir.IntType(8)
    if context.target_name != "cuda":
        return builder.inttoptr(word, byte.as_pointer())
    return builder.addrspacecast(builder.inttoptr(word, byte.as_pointer(1)), byte.as_pointer())


def _parameter(builder, word, element, kind):
    if not isinstance(kind, Lane):
        return word
    if element == types.float64:
        return splat(builder, builder.bitcast(word, ir.DoubleType()), kind)
    return splat(builder, builder.bitcast(builder.trunc(word, ir.IntType(32)), ir.FloatType()), kind)


def parameter_words(params: Record) -> list[int]:
    """The bits of each parameter as one 64-bit word: what `parameters_in_table` reads."""
    words = []
    for value in params:
        if isinstance(value, np.floating):
            words.append(int(value.view(np.uint32 if value.itemsize == 4 else np.uint64)))
        else:
            words.append(int(value) & 0xFFFFFFFFFFFFFFFF)
    return words
