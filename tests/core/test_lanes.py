"""Lane arithmetic: NumPy's answers on every special value, at every width and uncompiled; and what it refuses."""

import numpy as np
import pytest
from numba.core.errors import TypingError
from over_lanes import lane_by_lane, over_lanes, same_bits

from worldloom.core.lanes import (
    any_lane,
    bitcast,
    cast,
    floor,
    high_product,
    lane_code,
    like,
    maximum,
    minimum,
    sqrt,
    where,
)
from worldloom.core.launch import telling_line

WIDTHS = (1, 4, 8, 16)
SPECIAL = [0, -0.0, 1, -1, 0.5, -2.5, 3.7, 1e-42, -1e-42, 1e38, -3e38, 2.9e9, -2.9e9, 5e9, 1e19, -1e19, np.inf, -np.inf, np.nan]
WHOLE = [0, 1, -1, 2, 7, -7, 100, -128, 127, 255, 1000, -32768, 65535, 2**31 - 1, -(2**31)]
EVERY_WIDTH = pytest.mark.parametrize("width", (*WIDTHS, None), ids=lambda width: f"width {width}" if width else "uncompiled")
OF_EACH_SIZE = [
    *((np.int32, width) for width in (*WIDTHS, None)), (np.uint32, 16), (np.uint32, None), (np.int64, 8), (np.uint64, 1),
    (np.uint64, 16), (np.int16, 16), (np.uint8, 16), (np.uint8, None), (np.int8, 4),
]  # fmt: skip
REALS = pytest.mark.parametrize("real", (np.float32, np.float64))


def pairs(values, dtype):
    """Every pair of some values: two arrays [lane]."""
    return (np.ascontiguousarray(grid.ravel()) for grid in np.meshgrid(*[np.array(values).astype(dtype)] * 2))


def run(step, width, **arrays):
    """Compiled at a width, or uncompiled for width None."""
    if width is not None:
        return over_lanes(step, width, **arrays)
    with np.errstate(all="ignore"):
        return lane_by_lane(step, **arrays)


@lane_code
def arithmetic(i, m):
    x, y, r = m.x[i], m.y[i], m.r
    r[i, 0], r[i, 1], r[i, 2], r[i, 3] = x + y, x - y, x * y, x / y
    r[i, 4], r[i, 5], r[i, 6], r[i, 7] = sqrt(x), floor(x), abs(x), -x
    r[i, 8], r[i, 9], r[i, 10], r[i, 11] = minimum(x, y), maximum(x, y), minimum(x, 0), maximum(x, 0)
    r[i, 12], r[i, 13] = where(x < y, x, y), where((x != y) | ~(x >= y) ^ (x == x), x, y)
    r[i, 14], r[i, 15] = where(x <= y, 0, x), where((x > 0) & (y > 0), 1.5, -0.25 * x)
    z = x
    z += y
    z *= y
    z -= x
    z /= y
    r[i, 16] = z


@EVERY_WIDTH
@REALS
def test_float_operations_are_those_of_numpy_on_signed_zeros_subnormals_infinities_and_nan(width, real):
    x, y = pairs(SPECIAL, real)
    got = run(arithmetic, width, x=x, y=y, r=np.zeros((len(x), 17), real)).r
    zero = real(0)
    with np.errstate(all="ignore"):
        odd = (x != y) | ~(x >= y) ^ (x == x)
        expected = [
            x + y, x - y, x * y, x / y, np.sqrt(x), np.floor(x), np.abs(x), -x, np.where(x < y, x, y), np.where(x > y, x, y),
            np.where(x < zero, x, zero), np.where(x > zero, x, zero), np.where(x < y, x, y), np.where(odd, x, y),
            np.where(x <= y, zero, x), np.where((x > 0) & (y > 0), real(1.5), real(-0.25) * x), ((x + y) * y - x) / y,
        ]  # fmt: skip
    for k, column in enumerate(expected):
        assert same_bits(np.ascontiguousarray(got[:, k]), column), k


@lane_code
def whole_numbers(i, m):
    x, y, r = m.x[i], m.y[i], m.r
    r[i, 0], r[i, 1], r[i, 2], r[i, 3] = x + y, x - y, x * y, x & y
    r[i, 4], r[i, 5], r[i, 6], r[i, 7] = x | y, x ^ y, ~x, x >> 3
    r[i, 8], r[i, 9], r[i, 10], r[i, 11] = x << 2, x // 7, minimum(x, y), maximum(x, y)
    r[i, 12], r[i, 13], r[i, 14], r[i, 15] = where(x < y, x, 1), x // y, x << (y & 127), x >> (y & 127)


@pytest.mark.parametrize(("kind", "width"), OF_EACH_SIZE)
def test_integer_operations_have_numpys_result_for_every_pair_of_numbers_zero_divisors_and_long_shifts_among_them(kind, width):
    x, y = pairs(WHOLE, kind)
    got = run(whole_numbers, width, x=x, y=y, r=np.zeros((len(x), 16), kind)).r
    one, many = kind(1), y & kind(127)
    with np.errstate(all="ignore"):
        expected = [
            x + y, x - y, x * y, x & y, x | y, x ^ y, ~x, x >> kind(3), x << kind(2), x // kind(7), np.minimum(x, y), np.maximum(x, y),
            np.where(x < y, x, one), x // y, x << many, x >> many,
        ]  # fmt: skip
    for k, column in enumerate(expected):
        assert same_bits(np.ascontiguousarray(got[:, k]), column), k


@lane_code
def casts(i, m):
    x = m.x[i]
    m.i8[i], m.u8[i], m.i16[i], m.i32[i] = cast(x, np.int8), cast(x, np.uint8), cast(x, np.int16), cast(x, np.int32)
    m.u32[i], m.i64[i], m.u64[i] = cast(x, np.uint32), cast(x, np.int64), cast(x, np.uint64)
    m.f32[i], m.f64[i], m.truth[i] = cast(x, np.float32), cast(x, np.float64), cast(x, np.bool_)


KINDS = {
    "i8": np.int8, "u8": np.uint8, "i16": np.int16, "i32": np.int32, "u32": np.uint32, "i64": np.int64, "u64": np.uint64,
    "f32": np.float32, "f64": np.float64, "truth": np.bool_,
}  # fmt: skip


def saturated(x, kind):
    """Towards zero, to the nearest number there is, 0 for NaN."""
    limits = np.iinfo(kind)
    return np.array(
        [0 if v != v else limits.max if v >= limits.max else limits.min if v <= limits.min else int(v) for v in x], kind
    )


@EVERY_WIDTH
@REALS
def test_a_float_becomes_the_nearest_whole_number_towards_zero_and_nan_becomes_zero(width, real):
    x = np.array([*SPECIAL, 126.9, 127.5, 128, 255.9, 256, -128.9, 32767.5, 2**31, 2**32, 2**63, 2**64], real)
    got = run(casts, width, x=x, **{name: np.zeros(len(x), kind) for name, kind in KINDS.items()})
    for name, kind in KINDS.items():
        with np.errstate(all="ignore"):
            expected = saturated(x, kind) if np.issubdtype(kind, np.integer) else x.astype(kind)
        assert same_bits(getattr(got, name), expected), name


@pytest.mark.parametrize(("kind", "width"), OF_EACH_SIZE)
def test_a_whole_number_becomes_another_as_numpy_has_it(kind, width):
    x = np.array(WHOLE).astype(kind)
    got = run(casts, width, x=x, **{name: np.zeros(len(x), kind) for name, kind in KINDS.items()})
    for name, other in KINDS.items():
        assert same_bits(getattr(got, name), x.astype(other)), name


@lane_code
def masks(i, m):
    a, b = m.a[i], m.b[i]
    m.both[i], m.either[i], m.odd[i], m.neither[i] = a & b, a | b, a ^ b, ~(a | b)
    m.count[i] = cast(a, np.int32) + cast(b, np.int32)
    m.chosen[i] = where(a, where(b, 3, 2), where(b, 1, 0))
    m.like[i] = like(m.like[i], 2.5) + like(m.like[i], 1)


@EVERY_WIDTH
def test_masks_combine_store_as_truth_values_and_choose(width):
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    empty = {name: np.zeros(4, bool) for name in ("both", "either", "odd", "neither")}
    numbers = {"count": np.zeros(4, np.int32), "chosen": np.zeros(4, np.int64), "like": np.zeros(4, np.float32)}
    got = run(masks, width, a=a, b=b, **empty, **numbers)
    assert got.both.tolist() == (a & b).tolist() and got.either.tolist() == (a | b).tolist()
    assert got.odd.tolist() == (a ^ b).tolist() and got.neither.tolist() == (~(a | b)).tolist()
    assert got.count.tolist() == [0, 1, 1, 2] and got.chosen.tolist() == [0, 1, 2, 3] and got.like.tolist() == [3.5] * 4


@lane_code
def bit_tricks(i, m):
    m.bits[i], m.back[i] = bitcast(m.x[i], np.uint32), bitcast(bitcast(m.x[i], np.int32), np.float32)
    m.high[i] = high_product(m.a[i], m.b[i])


@EVERY_WIDTH
def test_bits_are_read_as_they_are_and_products_have_an_upper_half(width):
    a, b = pairs([0, 1, 2**16, 0xFFFFFFFF, 0xD2511F53], np.uint32)
    x = np.resize(np.array(SPECIAL, np.float32), len(a))
    words = {name: np.zeros(len(a), np.uint32) for name in ("bits", "high")}
    got = run(bit_tricks, width, x=x, a=a, b=b, back=np.zeros_like(x), **words)
    assert same_bits(got.bits, x.view(np.uint32)) and same_bits(got.back, x)
    assert same_bits(got.high, ((a.astype(np.uint64) * b.astype(np.uint64)) >> np.uint64(32)).astype(np.uint32))


@lane_code
def halve_until_small(i, m):
    """A loop whose length differs by lane."""
    x, rounds = m.x[i], m.rounds[i] * 0
    busy = x > 1
    while any_lane(busy):
        x, rounds = where(busy, x * 0.5, x), where(busy, rounds + 1, rounds)
        busy = x > 1
    m.x[i], m.rounds[i] = x, rounds


@EVERY_WIDTH
def test_a_masked_loop_gives_each_lane_its_own_number_of_rounds(width):
    x = np.float32(2.0) ** np.arange(40, dtype=np.float32)
    assert run(halve_until_small, width, x=x, rounds=np.zeros(40, np.int32)).rounds.tolist() == list(range(40))


@lane_code
def plain_numbers(i, m):
    x, total = m.x[i], 0.0
    for k in range(3):
        total = total + x * k
    m.r[i, 0], m.r[i, 1], m.r[i, 2] = total, 0.1 * x, x / 3
    m.r[i, 3], m.r[i, 4] = where(x > 0, 0.1, x) * where(x > 0, 0.3, x), -where(x > 0, x, 0)
    m.n[i] = m.n[i] * 3 + 1


@EVERY_WIDTH
@REALS
def test_a_plain_number_takes_the_type_of_the_lane_beside_it(width, real):
    x = np.array([1 / 3, -1 / 3, 0.7], real)
    got = run(plain_numbers, width, x=x, r=np.zeros((3, 5), real), n=np.array([1, 2, 3], np.int32))
    chosen = np.where(x > 0, real(0.1) * real(0.3), x * x)
    expected = np.stack([x * 0 + x * 1 + x * 2, real(0.1) * x, x / real(3), chosen, -np.maximum(x, 0)], 1)
    assert same_bits(got.r, expected) and np.signbit(got.r[1, 4]) and got.n.tolist() == [4, 7, 10]


@lane_code
def mixes_types(i, m):
    m.x[i] = m.x[i] * m.n[i]


@lane_code
def whole_beside_fraction(i, m):
    m.n[i] = m.n[i] * 0.5


@lane_code
def branches_on_a_mask(i, m):
    if m.x[i] > 0.5:
        m.x[i] = 1


@lane_code
def narrows_silently(i, m):
    m.x[i] = cast(m.x[i], np.float64) * 0.5


@lane_code
def allocates(i, m):
    rooms = np.zeros(3)
    m.x[i] = rooms[0]


@lane_code
def indexes_by_lane(i, m):
    m.r[i, m.n[i]] = 1


@lane_code
def forgets_an_axis(i, m):
    m.r[i] = m.x[i]


@lane_code
def divides_whole_floats(i, m):
    m.x[i] = m.x[i] // 0.1


@lane_code
def calls_nothing(i, m):
    m.x[i] = no_such_function(m.x[i])  # noqa: F821


MUL, SET, AXES = "mul(Lane(", "setitem(Block(", "Expected one index for each axis of the field"
REFUSED = {
    mixes_types: (MUL, "float32, 16), Lane(int32, 16)) has no meaning", "Two types do not mix: write cast(x, np.float32)."),
    whole_beside_fraction: (MUL, "int32, 16), float64) has no meaning", "A whole number beside a fraction"),
    branches_on_a_mask: ("truth(Lane(bool, 16)) has no meaning", "if m.x[i] > 0.5:. A mask has no truth value over several lanes"),
    narrows_silently: (SET, "m.x[i] = cast(m.x[i], np.float64) * 0.5. " + AXES),
    allocates: ("rooms = np.zeros(3). Lane code allocates nothing: write scratch(i, np.float32, 3).",),
    indexes_by_lane: (SET, "m.r[i, m.n[i]] = 1. An index is i and one plain integer for each axis."),
    forgets_an_axis: (SET, "m.r[i] = m.x[i]. " + AXES),
    divides_whole_floats: ("floordiv(Lane(", "m.x[i] = m.x[i] // 0.1. Python's // on fractions is not floor(a / b)"),
    calls_nothing: ("NameError: name 'no_such_function' is not defined, in calls_nothing.",),
}


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__)
def test_what_has_no_meaning_over_lanes_is_refused_and_the_error_names_line_and_remedy(step):
    arrays = {"x": np.ones(16, np.float32), "n": np.ones(16, np.int32), "r": np.ones((16, 2), np.float32)}
    with pytest.raises(TypingError) as error:
        over_lanes(step, 16, **arrays)
    line = telling_line(str(error.value))
    assert all(part in line for part in REFUSED[step]) and (step is calls_nothing or f"{__file__}:" in line), line


def test_a_mask_decides_a_branch_at_width_one():
    got = over_lanes(
        branches_on_a_mask, 1, x=np.array([0.25, 0.75], np.float32), n=np.ones(2, np.int32), r=np.ones((2, 2), np.float32)
    )
    assert got.x.tolist() == [0.25, 1]


def test_uncompiled_choices_keep_the_type_of_the_lane_beside_them():
    x = np.float32(0.3)
    assert type(where(False, x, 0)) is np.float32 and type(minimum(x, 1)) is np.float32 and type(maximum(1, x)) is np.float32
    assert np.signbit(-where(True, 0, x)) and where(True, 1, 2) == 1


@lane_code
def choose_plainly(i, m):
    """Plain integers among themselves may use the same names."""
    small = minimum(m.n[i], 5)
    for k in range(maximum(2, 3)):
        m.x[i] += where(k > 1, 10, 1) + floor(2.5)
    m.n[i] = small


@pytest.mark.parametrize("width", WIDTHS)
def test_plain_numbers_may_use_the_same_functions(width):
    got = over_lanes(choose_plainly, width, x=np.zeros(3, np.float32), n=np.array([4, 5, 6], np.int32))
    assert got.x.tolist() == [18.0] * 3 and got.n.tolist() == [4, 5, 5]


def test_a_message_without_a_place_is_told_by_its_first_line():
    assert telling_line("Something else went wrong\nand more") == "Something else went wrong."
