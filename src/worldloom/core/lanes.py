"""Lane arithmetic: what + - * / < & sqrt where … mean in lane code, on every target.

* A Lane never changes its element type by itself. A plain number beside a Lane takes the Lane's type: `0.5 * x` stays float32 when x
  is. Two Lanes of different element types do not mix: write `cast(x, np.float32)`.
* `+ - * /` and `sqrt` are the IEEE operations, rounded to nearest, never contracted. On CUDA they are NVVM's `.rn` intrinsics, which
  neither NVVM nor ptxas may fuse; counting FMAs would not be enough, because ptxas fuses a plain `mul` and `add` later.
* `if` on a mask compiles at width 1 only: a world that branches is a scalar world and learns it at compile time. Use `where`, or
  `any_lane(mask)` to leave a loop when every lane of the register is done.

Every function here is also a plain Python function on NumPy scalars, for reading, debugging and the CUDA simulator.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import overload

from worldloom.core.lane_types import Index, Lane, common, define, element_of, kind_of, lane_code, llvm_type, mask_of, splat
from worldloom.core.whole import floor_quotient, from_float_on_cuda, shift_left, shift_right

__all__ = [
    "Index", "Lane", "any_lane", "bitcast", "cast", "floor", "high_product", "lane_code", "like", "maximum", "minimum", "sqrt", "where",
]  # fmt: skip


def _on_cuda(context):
    return context.target_name == "cuda"


def _call(builder, name, result, *args):
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args)


def _llvm_name(lane):
    """The suffix of an overloaded LLVM intrinsic: v16f32, f64 …"""
    width = "" if lane.width == 1 else f"v{lane.width}"
    return f"{width}{'f' if kind_of(lane) == 'f' else 'i'}{lane.element.bitwidth}"


def _nvvm_letter(lane):
    return "f" if lane.element == types.float32 else "d"


def _select(context, builder, lane, condition, a, b):
    if kind_of(lane) != "f" or not _on_cuda(context):
        return builder.select(condition, a, b)
    # NVVM turns `x < 0 ? x : 0` into min.f32, which gives -0.0 for x = -0.0 where the select gives +0.0. It cannot see into asm;
    # ptxas folds the detour through an integer away again.
    size, letter = ("32", "f") if lane.element == types.float32 else ("64", "d")
    text = f"{{ .reg .pred p; setp.ne.u32 p, $3, 0; selp.f{size} $0, $1, $2, p; }}"
    flag = builder.zext(condition, ir.IntType(32))
    function = ir.FunctionType(a.type, [a.type, a.type, flag.type])
    return builder.asm(function, text, f"={letter},{letter},{letter},r", [a, b, flag], side_effect=False)


# ---- operators ---------------------------------------------------------------------------------------------------------------


def _negative(context, builder, lane, a):
    if kind_of(lane) != "f":
        return builder.neg(a)
    if _on_cuda(context):  # NVVM reads LLVM 7's language, which has no fneg
        return builder.fsub(ir.Constant(a.type, -0.0), a)
    return builder.fneg(a)


def rounded(context, builder, lane, operation, a, b):
    """a `operation` b, to nearest, never fused. The CPU back end fuses nothing without a `contract` flag; NVVM and ptxas do."""
    if not _on_cuda(context):
        return getattr(builder, "f" + operation)(a, b)
    if operation == "sub":  # a - b and a + (-b) are the same IEEE operation, and NVVM has only add
        operation, b = "add", _negative(context, builder, lane, b)
    return _call(builder, f"llvm.nvvm.{operation}.rn.{_nvvm_letter(lane)}", a.type, a, b)


def _floor(context, builder, lane, a):
    return _call(builder, f"llvm.floor.{_llvm_name(lane)}", a.type, a)


def _arithmetic(operation):
    def emit(context, builder, lane, a, b):
        if kind_of(lane) == "f":
            return rounded(context, builder, lane, operation, a, b)
        return getattr(builder, operation)(a, b)

    return emit


_BINARY = {  # operator name -> (element kinds it works on, how to emit it)
    "add": ("fiu", _arithmetic("add")),
    "sub": ("fiu", _arithmetic("sub")),
    "mul": ("fiu", _arithmetic("mul")),
    "truediv": ("f", _arithmetic("div")),
    "floordiv": ("iu", floor_quotient),  # on floats Python's // is not floor(a / b): 1 // 0.1 is 9
    "and_": ("iub", lambda context, builder, lane, a, b: builder.and_(a, b)),
    "or_": ("iub", lambda context, builder, lane, a, b: builder.or_(a, b)),
    "xor": ("iub", lambda context, builder, lane, a, b: builder.xor(a, b)),
    "lshift": ("iu", shift_left),
    "rshift": ("iu", shift_right),
}


def _define_binary(name, kinds, emit):
    def typing(*args):
        lane = common(*args) if len(args) == 2 else None
        return signature(lane, lane, lane) if lane and kind_of(lane) in kinds else None

    def lowering(context, builder, sig, args):
        return emit(context, builder, sig.return_type, *args)

    define(getattr(operator, name), typing, lowering, Lane, Lane)
    define(getattr(operator, "i" + name.rstrip("_")), typing, lowering, Lane, Lane)  # x += y


for _name, (_kinds, _emit) in _BINARY.items():
    _define_binary(_name, _kinds, _emit)


def _define_comparison(name, symbol):
    def typing(*args):
        lane = common(*args) if len(args) == 2 else None
        return signature(mask_of(lane), lane, lane) if lane else None

    def lowering(context, builder, sig, args):
        kind = kind_of(sig.args[0])
        if kind == "f":  # != is true beside a NaN, the others are false, as in Python
            return (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, *args)
        return (builder.icmp_signed if kind == "i" else builder.icmp_unsigned)(symbol, *args)

    define(getattr(operator, name), typing, lowering, Lane, Lane)


for _name, _symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _define_comparison(_name, _symbol)


def _unary(function, kinds, emit):
    def typing(*args):
        fits = len(args) == 1 and isinstance(args[0], Lane) and kind_of(args[0]) in kinds
        return signature(args[0], args[0]) if fits else None

    define(function, typing, lambda context, builder, sig, args: emit(context, builder, sig.return_type, *args), Lane)


def _absolute(context, builder, lane, a):
    if kind_of(lane) != "f":
        return builder.select(builder.icmp_signed("<", a, ir.Constant(a.type, None)), builder.neg(a), a)
    name = f"llvm.nvvm.fabs.{_nvvm_letter(lane)}" if _on_cuda(context) else f"llvm.fabs.{_llvm_name(lane)}"
    return _call(builder, name, a.type, a)


_unary(operator.neg, "fi", _negative)
_unary(operator.invert, "iub", lambda context, builder, lane, a: builder.not_(a))
_unary(abs, "fi", _absolute)


# ---- functions: a plain Python body on NumPy scalars, and the same over Lanes ---------------------------------------------------


def sqrt(x):
    """Square root, rounded to nearest."""
    return np.sqrt(x)


def floor(x):
    """Largest whole number not above x, as a float."""
    return np.floor(x)


def where(mask, a, b):
    """a where the mask holds, else b. Both are computed."""
    return _beside(a, b) if mask else _beside(b, a)


def minimum(a, b):
    """The smaller; b when one of them is NaN or both are equal. The same on every target, unlike libm's fmin."""
    return where(a < b, a, b)


def maximum(a, b):
    """The larger; b when one of them is NaN or both are equal."""
    return where(a > b, a, b)


def _beside(x, other):
    """x with the type of its neighbour where only that is a NumPy scalar: what a plain number beside a Lane becomes."""
    return type(other)(x) if isinstance(other, np.generic) and not isinstance(x, np.generic) else x


def high_product(a, b):
    """Upper 32 bits of the 64-bit product of two uint32."""
    return np.uint32((np.uint64(a) * np.uint64(b)) >> np.uint64(32))


def any_lane(mask):
    """Whether the mask holds in one of the lanes that share this register: a plain bool, so `while any_lane(busy):` works.

    A world's result must not depend on it: lanes that are done have to be kept by `where`.
    """
    return bool(mask)


def cast(x, element):
    """x as another element type. Float to integer rounds towards zero, saturates, and gives 0 for NaN, on every target."""
    if np.issubdtype(element, np.integer) and isinstance(x, np.floating):
        limits = np.iinfo(element)
        return element(
            0 if x != x else min(max(int(x) if np.isfinite(x) else (limits.max if x > 0 else limits.min), limits.min), limits.max)
        )
    return np.asarray(x).astype(element)[()]


def bitcast(x, element):
    """The bits of x read as another element type of the same size."""
    return x.view(element)


def like(x, value):
    """value as the same type as x: starts an accumulator or a counter."""
    return type(x)(value)


def _on_numbers(function, body=None):
    """Compile `body` (default: the function itself) where no argument is a Lane, so that plain numbers may use the same names."""

    @overload(function, strict=False)
    def chosen(*args):
        return None if any(isinstance(a, Lane) for a in args) else (body or function)


for _function in (high_product, any_lane):
    _on_numbers(_function)
_on_numbers(where, lambda mask, a, b: a if mask else b)
_on_numbers(minimum, lambda a, b: a if a < b else b)
_on_numbers(maximum, lambda a, b: a if a > b else b)
_on_numbers(sqrt, lambda x: math.sqrt(x))  # Numba's math.sqrt keeps float32; Python's does not
_on_numbers(floor, lambda x: np.floor(x))
_on_numbers(cast, lambda x, element: element(x))


def _emit_sqrt(context, builder, lane, a):
    name = f"llvm.nvvm.sqrt.rn.{_nvvm_letter(lane)}" if _on_cuda(context) else f"llvm.sqrt.{_llvm_name(lane)}"
    return _call(builder, name, a.type, a)


_unary(sqrt, "f", _emit_sqrt)
_unary(floor, "f", _floor)


def _type_where(mask, a, b):
    lane = common(a, b)
    if lane is None and isinstance(mask, Lane) and not isinstance(a, Lane) and not isinstance(b, Lane):
        plain = types.int64 if isinstance(a, types.Integer) and isinstance(b, types.Integer) else types.unliteral(a)
        lane = Lane(plain, mask.width) if accepts_both(plain, a, b) else None
    return signature(lane, mask_of(lane), lane, lane) if lane and mask == mask_of(lane) else None


def accepts_both(element, a, b):
    """Whether two plain numbers may both become a Lane of `element`."""
    return common(Lane(element, 1), a, b) is not None


define(where, _type_where, lambda context, builder, sig, args: _select(context, builder, sig.return_type, *args), Lane, Lane, Lane)


def _define_extreme(function, symbol):
    def typing(a, b):
        lane = common(a, b)
        return signature(lane, lane, lane) if lane and kind_of(lane) != "b" else None

    def lowering(context, builder, sig, args):
        compare = {"f": builder.fcmp_ordered, "i": builder.icmp_signed, "u": builder.icmp_unsigned}[kind_of(sig.return_type)]
        return _select(context, builder, sig.return_type, compare(symbol, *args), *args)  # x86 minps and maxps mean exactly this

    define(function, typing, lowering, Lane, Lane)


_define_extreme(minimum, "<")
_define_extreme(maximum, ">")


def _type_high_product(a, b):
    lane = common(a, b)
    return signature(lane, lane, lane) if lane and lane.element == types.uint32 else None


def _emit_high_product(context, builder, sig, args):
    lane, wide = sig.return_type, Lane(types.uint64, sig.return_type.width)
    a, b = (builder.zext(x, llvm_type(wide)) for x in args)
    upper = builder.lshr(builder.mul(a, b), splat(builder, ir.Constant(ir.IntType(64), 32), wide))
    return builder.trunc(upper, llvm_type(lane))


define(high_product, _type_high_product, _emit_high_product, Lane, Lane)


def _emit_any(context, builder, sig, args):
    lane = sig.args[0]
    return args[0] if lane.width == 1 else _call(builder, f"llvm.vector.reduce.or.v{lane.width}i1", ir.IntType(1), args[0])


def _type_any(mask):
    return signature(types.boolean, mask) if isinstance(mask, Lane) and kind_of(mask) == "b" else None


def _type_truth(x):
    return signature(types.boolean, x) if x == Lane(types.boolean, 1) else None


def _type_like(x, value):
    return signature(x, x, x) if isinstance(x, Lane) and common(x, value) else None


define(any_lane, _type_any, _emit_any, Lane)
define(bool, _type_truth, lambda context, builder, sig, args: args[0], Lane)
define(like, _type_like, lambda context, builder, sig, args: args[1], Lane, Lane)


def _type_cast(x, number_class):
    element = element_of(number_class)
    return signature(Lane(element, x.width), x, number_class) if element and isinstance(x, Lane) else None


def _emit_cast(context, builder, sig, args):
    source, target, x = sig.args[0], sig.return_type, args[0]
    to, (a, b) = llvm_type(target), (kind_of(source), kind_of(target))
    if source == target:
        return x
    if a == b == "f":
        return (builder.fpext if target.element.bitwidth > source.element.bitwidth else builder.fptrunc)(x, to)
    if b == "f":
        return (builder.sitofp if a == "i" else builder.uitofp)(x, to)
    if a == "f" and b == "b":
        return builder.fcmp_unordered("!=", x, ir.Constant(x.type, None))
    if a == "f":
        if _on_cuda(context):
            return from_float_on_cuda(builder, source, target, x)
        return _call(builder, f"llvm.fpto{'si' if b == 'i' else 'ui'}.sat.{_llvm_name(target)}.{_llvm_name(source)}", to, x)
    if b == "b":
        return builder.icmp_unsigned("!=", x, ir.Constant(x.type, None))
    if a == "b" or target.element.bitwidth > source.element.bitwidth:
        return (builder.sext if a == "i" else builder.zext)(x, to)
    return builder.trunc(x, to) if target.element.bitwidth < source.element.bitwidth else x


define(cast, _type_cast, _emit_cast, Lane, types.NumberClass)


def _type_bitcast(x, number_class):
    element = element_of(number_class)
    fits = element and isinstance(x, Lane) and kind_of(x) != "b" and x.element.bitwidth == element.bitwidth
    return signature(Lane(element, x.width), x, number_class) if fits else None


def _emit_bitcast(context, builder, sig, args):
    return builder.bitcast(args[0], llvm_type(sig.return_type))


define(bitcast, _type_bitcast, _emit_bitcast, Lane, types.NumberClass)
