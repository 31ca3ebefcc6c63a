"""Eight neighbouring bodies of one system as one Lane: for integrators of a single system, where the world's lanes are systems.

`eight(array, at)` reads numbers at … at + 7 of an array [n] of float64, `put` writes them; at may be any number. Between them stands
lane code, so roundings are the same on every machine: a CPU with shorter registers takes several.
"""

from functools import cache
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from worldloom.core.cache import KernelCache, source_digest, sources
from worldloom.core.lane_types import Lane, llvm_type, splat

EIGHT = 8
KIND = Lane(types.float64, EIGHT)
VECTOR = types.Array(types.float64, 1, "C")  # how a compiled loop takes its arrays
CUBE = types.Array(types.float64, 3, "C")


def pointer_to(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Where eight numbers begin."""
    first = builder.gep(context.make_array(kind)(context, builder, array).data, [at], inbounds=True)
    return builder.bitcast(first, llvm_type(KIND).as_pointer())


@intrinsic
def eight(typingctx, array, at):  # type: ignore[no-untyped-def]
    """Numbers at … at + 7 of an array of float64."""

    def lowering(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.load(pointer_to(context, builder, sig.args[0], *args), typ=llvm_type(KIND), align=8)

    return (KIND(array, types.int64), lowering) if array == VECTOR and isinstance(at, types.Integer) else None


@intrinsic
def put(typingctx, array, at, lane):  # type: ignore[no-untyped-def]
    """Write a Lane of eight to at … at + 7 of an array of float64."""

    def lowering(context, builder, sig, args):  # type: ignore[no-untyped-def]
        builder.store(args[2], pointer_to(context, builder, sig.args[0], *args[:2]), align=8)
        return context.get_dummy_value()

    return (types.void(array, types.int64, KIND), lowering) if array == VECTOR and lane == KIND else None


@intrinsic
def spread(typingctx, number):  # type: ignore[no-untyped-def]
    """Eight times the same number."""

    def lowering(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return splat(builder, args[0], KIND)

    return KIND(types.float64), lowering


def rounded_up(count: int) -> int:
    """The next multiple of eight."""
    return -(-count // EIGHT) * EIGHT


@cache
def compiled(run: Any, *kinds: Any) -> Any:
    """A loop over arrays as machine code that holds no lock, from disk where it was compiled before."""
    made = njit(nogil=True, error_model="numpy", _nrt=False)(run)
    made._cache = KernelCache("orbits", source_digest(sources([run]) or []), f"{run.__module__} {run.__qualname__}")
    made.compile(kinds)
    made.disable_compile()
    return made
