"""Random numbers as pure functions of a key: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, SC 2011).

There is no stream: a draw is (key, what it is for) -> number, so no order, batch size or thread count can matter.

    run_key(seed)                        the root of a run
    fold(key, number)                    another key: of a generation, an individual, an episode, one use in a function
    uniform normal below (key, t, slot)  one draw of one lane, in a kernel; slot names the draw, t is the step
    uniforms normals integers permutation (key, …)   arrays of draws on the host; longer arrays begin with the shorter ones

The 128-bit counter is (t or number, 64 bits; slot, 32 bits; purpose, 32 bits). Every function has its own purpose, so draws of
different functions, and keys against draws, never share a block. Numbers and steps count modulo 2**64, slots modulo 2**32.
In plain Python the kernel functions take NumPy scalars and give the bits of the compiled ones.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from worldloom.core.cache import KernelCache, source_digest, sources
from worldloom.core.elementary import normal_pair
from worldloom.core.elements import arrays_in_table, lane_number, lanes_at
from worldloom.core.errors import InputError
from worldloom.core.field import BLOCK, Field, aligned, blocks, start_of
from worldloom.core.lane_types import LANE_OPTIONS
from worldloom.core.lanes import Lane, cast, high_product, lane_code, like

f32, u32, u64 = np.float32, np.uint32, np.uint64
M0, M1, W0, W1 = u32(0xD2511F53), u32(0xCD9E8D57), u32(0x9E3779B9), u32(0xBB67AE85)  # multipliers and key steps of the paper
# Purposes: the last word of every counter, so never renumber them.
FOLD, UNIFORM, NORMAL, BELOW, UNIFORMS, NORMALS, INTEGERS, PERMUTATION = range(1, 9)
LOW_WORD, PER_WORD = 0xFFFFFFFF, f32(2.0**-32)
LOOP_OPTIONS: Any = {"_nrt": False, "error_model": "numpy", "nogil": True}


def wrapping(text: Callable[..., Any]) -> Callable[..., Any]:
    """lane_code whose integers wrap on purpose: in plain Python NumPy would warn of every overflow."""

    @functools.wraps(text)
    def function(*args: Any) -> Any:
        with np.errstate(over="ignore"):
            return text(*args)

    @overload(function, jit_options=LANE_OPTIONS, strict=False)
    def compiled(*args: Any) -> Any:
        return text

    return function


# ---- in kernels: key is a lane of uint64 ------------------------------------------------------------------------------


@wrapping
def philox(k0, k1, c0, c1, c2, c3):
    """Four uint32 from a 64-bit key and a 128-bit counter, all given as uint32."""
    for _ in range(10):
        high0, low0, high1, low1 = high_product(c0, M0), c0 * M0, high_product(c2, M1), c2 * M1
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + W0, k1 + W1
    return c0, c1, c2, c3


def halves(model, number):
    """Low and high word of a 64-bit number as uint32 of model's kind; negative numbers count from 2**64."""
    whole = int(number)
    return u32(whole & LOW_WORD), u32(whole >> 32 & LOW_WORD)


@overload(halves, jit_options=LANE_OPTIONS, strict=False)
def _halves(model, number):
    wide = np.uint64 if isinstance(number, Lane) and number.element == types.uint64 else np.int64

    def of_lane(model, number):
        whole = cast(number, wide)
        return cast(whole, u32), cast(whole >> 32, u32)

    def of_plain(model, number):
        return like(model, number & LOW_WORD), like(model, number >> 32 & LOW_WORD)

    return of_lane if isinstance(number, Lane) else of_plain


@lane_code
def draw(key, number, slot, purpose):
    """The four words of (key, number, slot, purpose)."""
    k0, k1 = cast(key, u32), cast(key >> 32, u32)
    c0, c1 = halves(k0, number)
    c2, _ = halves(k0, slot)
    return philox(k0, k1, c0, c1, c2, like(k0, purpose))


@lane_code
def joined(low, high):
    """uint64 from two words."""
    return cast(low, u64) | (cast(high, u64) << 32)


@lane_code
def folded(key, number):
    """`fold` for one lane."""
    low, high, _, _ = draw(key, number, 0, FOLD)
    return joined(low, high)


@lane_code
def share(word):
    """A multiple of 2**-24 in [0, 1) from the upper bits of a word."""
    return cast(word >> 8, f32) * f32(2.0**-24)


@lane_code
def uniform(key, t, slot):
    """A float32 in [0, 1), a multiple of 2**-24, each equally likely. t and slot: plain integers or lanes."""
    word, _, _, _ = draw(key, t, slot, UNIFORM)
    return share(word)


@lane_code
def two_normals(a, b):
    """Two independent standard normals (float32) from two words; at most 6.8 from 0, where 1e-11 of the normals lie beyond."""
    return normal_pair((cast(a, f32) + f32(0.5)) * PER_WORD, share(b))


@lane_code
def normal(key, t, slot):
    """A standard normal, float32 (Box and Muller 1958). t and slot: plain integers or lanes."""
    a, b, _, _ = draw(key, t, slot, NORMAL)
    return two_normals(a, b)[0]


@wrapping
def scaled_down(low, high, bound):
    """Upper 32 bits of bound * (high and low as one 64-bit fraction), bound uint32."""
    middle, carry = high * bound, high_product(low, bound)
    total = middle + carry
    return high_product(high, bound) + cast(total < carry, u32)


@lane_code
def below(key, t, slot, bound):
    """A whole number from 0 to bound - 1, int32; bound from 1 to 2**31 - 1, a plain integer or a lane of int32.

    64 random bits are scaled down, so two outcomes differ in probability by less than one part in 2**32 (bias < bound / 2**64).
    """
    low, high, _, _ = draw(key, t, slot, BELOW)
    limit, _ = halves(low, bound)
    return cast(scaled_down(low, high, limit), np.int32)


# ---- on the host: NumPy scalars and arrays --------------------------------------------------------------------------------------


def run_key(seed: int) -> np.uint64:
    """The root key of a run. Raises InputError unless seed is a whole number from 0 to 2**64 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise InputError(f"Seed {seed!r} cannot start a run. Expected a whole number from 0 to 18446744073709551615.")
    return u64(folded(u64(0), int(seed)))


def fold(key: Any, number: Any) -> Any:
    """The key of part `number` of what `key` stands for. The same in kernels, on NumPy scalars and on arrays, which broadcast.

    Raises InputError for numbers that are not whole.
    """
    keys, numbers = np.asarray(key, u64), np.asarray(number)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"fold(key, number) with number {number!r} of type {numbers.dtype}. Expected whole numbers.")
    if keys.ndim == numbers.ndim == 0:
        return u64(folded(keys[()], numbers[()]))
    keys, numbers = np.broadcast_arrays(keys, numbers.astype(u64))
    found = filled(fold_block, Words, in_blocks(keys), in_blocks(numbers), keys.size, u64, 1)
    return found.reshape(keys.shape)


@overload(fold, jit_options=LANE_OPTIONS, strict=False)
def _fold(key, number):
    return folded


class Floats(NamedTuple):
    """What a compiled loop over blocks reads and writes, single precision."""

    keys: NDArray[np.uint64] = Field("1", "keys", dtype=u64)
    numbers: NDArray[np.uint64] = Field("1", "lower words of the counters", dtype=u64)
    found: NDArray[np.float32] = Field("1", "draws", ("rows",))


class Words(NamedTuple):
    """The same, 64-bit integers."""

    keys: NDArray[np.uint64] = Field("1", "keys", dtype=u64)
    numbers: NDArray[np.uint64] = Field("1", "lower words of the counters", dtype=u64)
    found: NDArray[np.uint64] = Field("1", "keys or draws", ("rows",), dtype=u64)


@functools.cache
def over_blocks(step: Callable[..., None], record: type, rows: int) -> Any:
    """step(i, bound, memory) for all lanes, compiled on first use: one thread, which holds no lock.

    The only place where this module compiles.
    """
    arrays = arrays_in_table(record, {"rows": rows})

    def run(table, lanes, bound):
        memory = arrays(table, 0)
        for lane in range(0, lanes, BLOCK):
            step(lanes_at(lane, BLOCK), bound, memory)

    run.__name__ = run.__qualname__ = f"run_{step.__name__}_{rows}"  # the name of compiled code: two of one name would be confused
    compiled = njit(**LOOP_OPTIONS)(run)
    compiled._cache = KernelCache("keys", source_digest(sources([step]) or []), f"{step.__name__} {record.__name__} {rows}")
    return compiled


def filled(
    step: Callable[..., None], record: type, keys: Any, numbers: Any, size: int, dtype: Any, rows: int, bound: int = 0
) -> NDArray[Any]:
    """The first `size` of the numbers that step writes: rows of 16 for every block of lanes."""
    found = aligned((-(-size // (rows * BLOCK)), rows, BLOCK), dtype)
    table = np.array([start_of(keys), start_of(numbers), start_of(found)], np.int64)
    over_blocks(step, record, rows)(table, len(found) * BLOCK, bound)
    return found.reshape(-1)[:size]


def in_blocks(array: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """[block, lane] of any array, filled up with zeros."""
    whole = aligned((blocks(array.size), BLOCK), u64)
    whole.reshape(-1)[: array.size] = array.reshape(-1)
    whole.reshape(-1)[array.size :] = 0
    return whole


COUNTED = in_blocks(np.arange(BLOCK, dtype=u64))  # the counters of one block; read only


@lane_code
def fold_block(i, bound, memory):
    memory.found[i, 0] = folded(memory.keys[i], memory.numbers[i])


@lane_code
def draw_block(i, memory, purpose):
    """Four words of each lane. There is one block of keys and counters; a lane's counter is its number."""
    first = lanes_at(0, BLOCK)
    return draw(memory.keys[first], memory.numbers[first] + lane_number(i), 0, purpose)


@lane_code
def uniform_block(i, bound, memory):
    a, b, c, d = draw_block(i, memory, UNIFORMS)
    found = memory.found
    found[i, 0], found[i, 1], found[i, 2], found[i, 3] = share(a), share(b), share(c), share(d)


@lane_code
def normal_block(i, bound, memory):
    a, b, c, d = draw_block(i, memory, NORMALS)
    found = memory.found
    found[i, 0], found[i, 1] = two_normals(a, b)
    found[i, 2], found[i, 3] = two_normals(c, d)


@lane_code
def integer_block(i, bound, memory):
    a, b, c, d = draw_block(i, memory, INTEGERS)
    limit, _ = halves(a, bound)
    memory.found[i, 0], memory.found[i, 1] = cast(scaled_down(a, b, limit), u64), cast(scaled_down(c, d, limit), u64)


@lane_code
def order_block(i, bound, memory):
    a, b, c, d = draw_block(i, memory, PERMUTATION)
    memory.found[i, 0], memory.found[i, 1] = joined(a, b), joined(c, d)


def drawn(
    step: Callable[..., None], record: type, key: np.uint64, shape: tuple[int, ...], dtype: Any, rows: int, bound: int = 0
) -> NDArray[Any]:
    """An array of draws from one key."""
    keys = aligned((1, BLOCK), u64)
    keys[...] = key
    return filled(step, record, keys, COUNTED, math.prod(shape), dtype, rows, bound).reshape(shape)


def uniforms(key: np.uint64, *shape: int) -> NDArray[np.float32]:
    """Uniform numbers in [0, 1), multiples of 2**-24."""
    return drawn(uniform_block, Floats, key, shape, f32, 4)


def normals(key: np.uint64, *shape: int) -> NDArray[np.float32]:
    """Standard normal numbers."""
    return drawn(normal_block, Floats, key, shape, f32, 4)


def integers(key: np.uint64, bound: int, *shape: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to bound - 1 with a bias below bound / 2**64. Raises InputError unless 1 <= bound < 2**32."""
    if not 1 <= bound < 2**32:
        raise InputError(f"integers below {bound}: there are none. Expected a bound from 1 to 4294967295.")
    return drawn(integer_block, Words, key, shape, u64, 2, int(bound)).view(np.int64)


def permutation(key: np.uint64, n: int) -> NDArray[np.int64]:
    """The numbers 0 to n - 1 in random order; two orders differ in probability by less than n**2 / 2**64."""
    return np.argsort(drawn(order_block, Words, key, (n,), u64, 2), kind="stable").astype(np.int64)
