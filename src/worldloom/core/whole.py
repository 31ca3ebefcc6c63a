"""Whole numbers in lane code: divisions, shifts and casts that have a result for every argument, the same on every target and in NumPy.

The machines do not agree by themselves: dividing by zero ends the process on x86 and does not on CUDA; shifting 32 bits by 32 gives
0 in a vector and the number itself in a scalar; NaN becomes 0, the smallest or the largest number. With a constant on the right, all
that is decided here costs nothing.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from worldloom.core.lane_types import Lane, kind_of, llvm_type, splat


def _constant(builder: Any, lane: Lane, value: int) -> Any:
    return splat(builder, ir.Constant(ir.IntType(lane.element.bitwidth), value), lane)


def floor_quotient(context: Any, builder: Any, lane: Lane, a: Any, b: Any) -> Any:
    """Python's //, towards minus infinity; 0 where b is 0, and the smallest number by -1 stays itself."""
    zero, one, signed = _constant(builder, lane, 0), _constant(builder, lane, 1), kind_of(lane) == "i"
    nothing = builder.icmp_unsigned("==", b, zero)
    if not signed:
        return builder.select(nothing, zero, builder.udiv(a, builder.select(nothing, one, b)))
    smallest, minus = _constant(builder, lane, -(2 ** (lane.element.bitwidth - 1))), _constant(builder, lane, -1)
    beyond = builder.and_(builder.icmp_signed("==", a, smallest), builder.icmp_signed("==", b, minus))
    divisor = builder.select(builder.or_(nothing, beyond), one, b)
    quotient = builder.sdiv(a, divisor)
    remainder = builder.sub(a, builder.mul(quotient, divisor))
    too_high = builder.and_(
        builder.icmp_signed("!=", remainder, zero), builder.icmp_signed("<", builder.xor(remainder, divisor), zero)
    )
    return builder.select(nothing, zero, builder.add(quotient, builder.sext(too_high, a.type)))


def shift_left(context: Any, builder: Any, lane: Lane, a: Any, b: Any) -> Any:
    """a << b; 0 where b is not from 0 to the number of bits."""
    within = builder.icmp_unsigned("<", b, _constant(builder, lane, lane.element.bitwidth))
    return builder.select(within, builder.shl(a, b), _constant(builder, lane, 0))


def shift_right(context: Any, builder: Any, lane: Lane, a: Any, b: Any) -> Any:
    """a >> b; 0, or -1 for a negative number, where b is not from 0 to the number of bits."""
    bits = lane.element.bitwidth
    within = builder.icmp_unsigned("<", b, _constant(builder, lane, bits))
    if kind_of(lane) == "u":
        return builder.select(within, builder.lshr(a, b), _constant(builder, lane, 0))
    return builder.ashr(a, builder.select(within, b, _constant(builder, lane, bits - 1)))


def from_float_on_cuda(builder: Any, source: Lane, target: Lane, x: Any) -> Any:
    """x towards zero, saturating, 0 for NaN. PTX's cvt saturates at 32 and 64 bits, but its NaN is not always 0."""
    bits, signed = target.element.bitwidth, kind_of(target) == "i"
    size = max(bits, 32)
    name = f"llvm.nvvm.{'f' if source.element == types.float32 else 'd'}2{'' if signed else 'u'}{'i' if size == 32 else 'll'}.rz"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(size), [x.type]), name)
    whole = builder.call(function, [x])
    whole = builder.select(builder.fcmp_unordered("uno", x, x), ir.Constant(whole.type, 0), whole)
    if bits == size:
        return whole
    compare = builder.icmp_signed if signed else builder.icmp_unsigned
    limits = ((">", 2 ** (bits - 1) - 1), ("<", -(2 ** (bits - 1)))) if signed else ((">", 2**bits - 1),)
    for beyond, limit in limits:
        edge = ir.Constant(whole.type, limit)
        whole = builder.select(compare(beyond, whole, edge), edge, whole)
    return builder.trunc(whole, llvm_type(target))
