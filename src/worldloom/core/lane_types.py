"""The types behind lane code, and how an operation gets its meaning over them.

`Lane(element, width)` is one Numba type with three meanings: at width 16, 8 or 4 an LLVM vector on a CPU; at width 1 an LLVM scalar,
on a CPU and in a CUDA thread alike. All targets share these typing and lowering rules, so they cannot disagree about a rounding.
core/lanes.py defines the operations, core/elements.py the memory.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, lower_cast, models, register_jitable, register_model

# Decorates a world's functions: plain Python when called from Python, compiled when called from a kernel.
# Inlined always: a record of 12 arrays is 100 machine words to push at each call, and 28 calls a step cost a quarter of the speed.
# Without Numba's runtime (_nrt) a step that allocates does not compile.
LANE_OPTIONS = {"_nrt": False, "error_model": "numpy", "forceinline": True}
lane_code: Callable[..., Any] = register_jitable(**LANE_OPTIONS)


class Lane(types.Type):
    """`width` numbers of type `element`, one per lane; a mask where the element is boolean."""

    def __init__(self, element: types.Type, width: int) -> None:
        self.element, self.width = element, width
        super().__init__(name=f"Lane({element}, {width})")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        return Conversion.safe if accepts(self.element, other) else None

    def unify(self, typingctx: Any, other: types.Type) -> "Lane | None":
        """Lets `total = 0.0; total = total + x[i, k]` type as a Lane."""
        return self if accepts(self.element, other) else None


class Index(types.Type):
    """The number of the first of `width` neighbouring lanes, a multiple of the width."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Index({width})")


class Block(types.Type):
    """One field of a record in block form: [block, *shape, 16], or [block, *shape] for per="block".

    As a value it is the record's address; shape, offset and stride (bytes) are part of the type, so they become constants.
    """

    def __init__(self, element: types.Type, shape: tuple[int, ...], per: str, offset: int, stride: int) -> None:
        self.element, self.shape, self.per, self.offset, self.stride = element, shape, per, offset, stride
        super().__init__(name=f"Block({element}, {shape}, {per}, {offset}, {stride})")


class Scratch(types.Type):
    """Private memory of one lane group: a fixed number of Lanes on the stack (CUDA: registers or local memory)."""

    def __init__(self, element: types.Type, width: int, shape: tuple[int, ...]) -> None:
        self.lane, self.shape = Lane(element, width), shape
        super().__init__(name=f"Scratch({element}, {width}, {shape})")


def accepts(element: types.Type, other: types.Type) -> bool:
    """Whether a plain number of type `other` may stand beside a Lane of `element`."""
    if isinstance(element, types.Boolean):
        return isinstance(other, types.Boolean)
    if isinstance(element, types.Integer):
        return isinstance(other, types.Integer)
    return isinstance(other, types.Integer | types.Float)


_SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1)}


def llvm_type(lane: Lane) -> ir.Type:
    """The LLVM type of a Lane."""
    element = _SCALARS.get(lane.element) or ir.IntType(lane.element.bitwidth)
    return element if lane.width == 1 else ir.VectorType(element, lane.width)


def stored_bytes(element: types.Type) -> int:
    """How many bytes one number takes in memory."""
    return 1 if isinstance(element, types.Boolean) else int(element.bitwidth) // 8


@register_model(Lane)
class _LaneModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lane) -> None:
        super().__init__(manager, kind, llvm_type(kind))


@register_model(Index)
class _IndexModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Index) -> None:
        super().__init__(manager, kind, ir.IntType(64))


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Block) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@register_model(Scratch)
class _ScratchModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Scratch) -> None:
        super().__init__(manager, kind, llvm_type(kind.lane).as_pointer())


def splat(builder: Any, value: Any, lane: Lane) -> Any:
    """One number in every lane."""
    if lane.width == 1:
        return value
    undefined = ir.Constant(llvm_type(lane), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lane.width), [0] * lane.width))


@lower_cast(types.Number, Lane)
@lower_cast(types.Boolean, Lane)
def _number_to_lane(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return splat(builder, context.cast(builder, value, fromty, toty.element), toty)


def define(function: Any, typing: Callable[..., Any], lowering: Callable[..., Any], *formal: Any) -> None:
    """Give `function` a meaning: typing(*argument types) is a signature or None, lowering(context, builder, sig, args) emits LLVM.

    Numba converts plain numbers to the signature's Lane types before it calls `lowering`.
    """

    class Template(AbstractTemplate):
        prefer_literal = True  # scratch() wants its shape as literal integers

        def generic(self, args: Any, kws: Any) -> Any:
            return None if kws else typing(*args)

    infer_global(function)(Template)
    lower_builtin(function, *formal)(lowering)


def common(*args: types.Type) -> Lane | None:
    """The Lane type of an expression: the one Lane type among its arguments, if the others fit beside it."""
    lanes = [a for a in args if isinstance(a, Lane)]
    fits = lanes and all(a == lanes[0] or (not isinstance(a, Lane) and accepts(lanes[0].element, a)) for a in args)
    return lanes[0] if fits else None


def mask_of(lane: Lane) -> Lane:
    """The mask that belongs to a Lane."""
    return Lane(types.boolean, lane.width)


def kind_of(lane: Lane) -> str:
    """'f' float, 'u' unsigned, 'i' signed, 'b' mask."""
    if isinstance(lane.element, types.Boolean):
        return "b"
    return "f" if isinstance(lane.element, types.Float) else "i" if lane.element.signed else "u"


def element_of(number_class: types.Type) -> types.Type | None:
    """The element type behind `np.float32` as an argument."""
    return number_class.instance_type if isinstance(number_class, types.NumberClass) else None
