"""Elementary functions: the errors that their docstrings state, C99's special values, and the same bits at every width."""

import math
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from elementary_errors import (
    ABSOLUTE,
    BOUNDS,
    COLUMNS,
    FLOAT_BITS,
    REALS,
    SEED,
    everything,
    inf,
    largest_error,
    nan,
    neighbours,
    of_angle,
    of_any,
    results,
    scan,
    some_functions,
    unit,
)
from numba.core.errors import TypingError
from over_lanes import lane_by_lane, over_lanes, record_of, same_bits

from worldloom.core.elementary import atan2, normal, sin
from worldloom.core.elements import lanes_at, record_in_table
from worldloom.core.errors import WorldAuthorError
from worldloom.core.lanes import lane_code


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_ulp_stays_below_the_stated_bound(name, real):
    bound = BOUNDS[name][REALS.index(real)]
    assert bound is None or largest_error(name, real, 8000) <= bound


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", ABSOLUTE)
def test_network_tanh_keeps_its_absolute_error(name, real):
    assert largest_error(name, real, 8000) <= ABSOLUTE[name]


@pytest.mark.slow
@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", BOUNDS)
def test_error_stays_below_the_bound_over_a_million_points(name, real):
    bound = BOUNDS[name][REALS.index(real)]
    assert bound is None or largest_error(name, real, 400_000) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT_BITS)
def test_every_single_precision_number_keeps_the_bound(name):
    for sign in (np.float32(1), np.float32(-1)) if name in ("exp", "exp2") else (np.float32(1),):
        worst, falls = scan(name, sign, 1)
        assert worst <= (ABSOLUTE.get(name) or BOUNDS[name][0])
        assert falls == 0 or name not in ("exp", "exp2", "log", "log2", "tanh", "atan")


def test_inverse_root_is_within_1_6_ulp_for_every_float_of_a_binade_pair():
    assert scan("inverse_sqrt", np.float32(1), 1)[0] < 1.6


@pytest.mark.slow
def test_coefficients_are_what_the_fitting_program_writes():
    fitting = runpy.run_path(str(Path(__file__).parents[2] / "bench/fit_coefficients.py"))
    assert fitting["module"]() == fitting["TARGET"].read_text()


# ---- special values ------------------------------------------------------------------------------------------------------------


def assert_equals(got, want, what):
    """The same bits; every NaN is the one NaN of its width."""
    real, bits = got.dtype.type, np.dtype(f"u{got.dtype.itemsize}")
    want = np.where(np.isnan(want), real(nan), np.asarray(want, real))
    wrong = got.view(bits) != want.view(bits)
    assert not wrong.any(), (what, got[wrong], want[wrong])


@pytest.mark.parametrize("real", REALS)
def test_special_values_follow_c99(real):
    tiny = float(np.finfo(real).smallest_subnormal)
    got = results(real, [0.0, -0.0, inf, -inf, nan, -nan, tiny, -tiny])
    odd = [0.0, -0.0, nan, nan, nan, nan, tiny, -tiny]
    for name, want in {
        "sin": odd, "cos": [1, 1, nan, nan, nan, nan, 1, 1], "tan": odd, "exp": [1, 1, inf, 0, nan, nan, 1, 1],
        "exp2": [1, 1, inf, 0, nan, nan, 1, 1], "tanh": [0.0, -0.0, 1, -1, nan, nan, tiny, -tiny],
        "atan": [0.0, -0.0, math.pi / 2, -math.pi / 2, nan, nan, tiny, -tiny],
    }.items():  # fmt: skip
        assert_equals(got[name], want, name)
    assert_equals(got["cbrt"][:6], [0.0, -0.0, inf, -inf, nan, nan], "cbrt")
    logarithms = results(real, [0.0, -0.0, inf, -inf, nan, -1.0, 1.0, -tiny])
    for name in ("log", "log2"):
        assert_equals(logarithms[name], [-inf, -inf, inf, nan, nan, nan, 0.0, nan], name)


@pytest.mark.parametrize("real", REALS)
def test_atan2_and_pow_special_values_follow_c99(real):
    y, x = (v.ravel() for v in np.meshgrid(*[[0.0, -0.0, 1.0, -1.0, inf, -inf, nan]] * 2))
    assert_equals(results(real, y, x)["atan2"], np.arctan2(y, x), "atan2")
    x = [0.0, 0.0, 0.0, inf, inf, inf, 1, 1, nan, 2, nan, -1, 0.5, 0.5, 2, 2, 4, 1, 0.0]
    y = [2.0, -2, 0, 2.0, -2, 0, nan, inf, 0, nan, 1, 2, inf, -inf, inf, -inf, 0.5, -inf, inf]
    assert_equals(results(real, x, y)["pow"], [0, inf, 1, inf, 0, 1, 1, 1, 1, nan, nan, nan, 0, inf, inf, 0, 2, 1, 0], "pow")


@pytest.mark.parametrize("real", REALS)
def test_angles_beyond_the_limit_are_nan_and_not_slowly_wrong(real):
    got = results(real, neighbours([1e5], real, 1))
    assert np.isnan(got["sin"]).tolist() == np.isnan(got["cos"]).tolist() == [False, False, True, False]


@pytest.mark.parametrize("real", REALS)
def test_atan2_holds_for_every_pair_of_exponents(real):
    low, high, step = (-149, 128, 3) if real is np.float32 else (-1074, 1024, 25)
    grids = np.meshgrid(np.arange(low, high, step), np.arange(low, high, step))
    rng = np.random.default_rng(SEED)
    y, x = (np.ldexp(rng.uniform(1, 1.99, g.size), g.ravel()).astype(real) for g in grids)
    want = np.arctan2(y.astype(np.longdouble), x.astype(np.longdouble))
    assert (np.abs(results(real, y, x)["atan2"] - want) <= 1.3 * unit(want, real)).all()


@pytest.mark.parametrize("real", REALS)
def test_whole_powers_of_two_are_exact(real):
    n = np.arange(-149, 128) if real is np.float32 else np.arange(-1074, 1024)
    powers = np.ldexp(np.ones(len(n), real), n.astype(np.int32))
    assert_equals(results(real, n)["exp2"], powers, "exp2")
    assert_equals(results(real, powers)["log2"], n, "log2")
    assert_equals(results(real, np.full(len(n), 2), n)["pow"], powers, "pow")


@pytest.mark.parametrize("real", REALS)
def test_odd_functions_are_odd_and_cos_is_even(real):
    x = of_angle(np.random.default_rng(SEED), real, 1000)
    plus, minus = results(real, x), results(real, -x)
    assert all(
        (plus[name] == -minus[name]).all()
        for name in ("sin", "tan", "tanh", "atan", "cbrt", "tanh_net", "tanh_rough", "sincos_sin")
    )
    assert (plus["cos"] == minus["cos"]).all()


@pytest.mark.parametrize("real", REALS)
def test_rising_functions_do_not_fall_around_their_seams(real):
    seams = [0.1, 0.3465736, 0.5, 0.5463025, 0.625, 0.70710678, 1, 1.0397208, 1.41421356, 2, 8]
    got = results(real, np.unique(neighbours(seams, real, 2000)))
    assert all((np.diff(got[name]) >= 0).all() for name in ("exp", "exp2", "log", "log2", "tanh", "atan"))


def test_normals_have_the_moments_of_a_normal():
    u = (np.arange(1_000_003) + 0.5) / 1_000_003
    got = results(np.float32, u, np.random.default_rng(3).permutation(u))
    for name, mean, variance, fourth in (
        ("first_normal", 4e-3, 6e-3, 4e-2),
        ("second_normal", 4e-3, 6e-3, 4e-2),
        ("normal", 1e-4, 1e-4, 2e-3),
    ):
        z = got[name].astype(np.float64)
        assert abs(z.mean()) < mean
        assert abs(z.var() - 1) < variance
        assert abs((z**4).mean() - 3) < fourth


# ---- the same bits ---------------------------------------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 1e-45, -1e-45, 3e38, 1e5, 0.625, 0.5, 2.0, 88.8, -104.0, 0.25, -0.75]


def mixture(real, count):
    """Arguments of all sorts, special values in many places."""
    rng = np.random.default_rng(SEED)
    x, y = of_any(rng, real, count), of_any(rng, real, count)[::-1]
    return np.resize(np.concatenate([SPECIAL * 5, x]), len(x)).astype(real), np.concatenate([SPECIAL[::-1], SPECIAL[3:], y])[
        : len(x)
    ].astype(real)


@pytest.mark.parametrize("real", REALS)
def test_uncompiled_python_gives_the_bits_of_sixteen_lanes(real):
    x, y = mixture(real, 40)
    out = np.zeros((len(x), len(COLUMNS)), real)
    assert same_bits(lane_by_lane(everything(real), x=x, y=y, out=out).out, over_lanes(everything(real), 16, x=x, y=y, out=out).out)


@pytest.mark.parametrize(("width", "real"), [(1, np.float32), (4, np.float32), (8, np.float64)])
def test_narrower_registers_give_the_bits_of_sixteen_lanes(width, real):
    x, y = mixture(real, 1000)
    out = np.zeros((len(x), 3), real)
    a, b = (over_lanes(some_functions, w, x=x, y=y, out=out).out for w in (width, 16))
    assert same_bits(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("width", [1, 4, 8])
def test_every_function_gives_the_same_bits_at_every_width(width, real):
    x, y = mixture(real, 20_000)
    a, b = (results(real, x, y, w) for w in (width, 16))
    assert [name for name in COLUMNS if not same_bits(a[name], b[name])] == []


# the last: what is not marked .rn may be fused by ptxas
FUSIBLE = r"\bfma\.|\bmad\.f|\.approx|\.ftz|\.full|\bcall\b|\b(?:add|sub|mul|div|sqrt)\.f(?:32|64)"


@pytest.mark.slow
@pytest.mark.parametrize("real", REALS)
def test_a_gpu_would_round_as_a_cpu_does(real, monkeypatch):
    cuda = pytest.importorskip("numba.cuda")
    dispatcher = pytest.importorskip("numba.cuda.dispatcher")
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    columns = np.zeros((1, len(COLUMNS)), real)
    record_at, step = record_in_table(type(record_of(x=columns[:, 0], y=columns[:, 0], out=columns)), {}), everything(real)

    def kernel(lanes, table):
        lane = cuda.grid(1)
        if lane < lanes:
            step(lanes_at(lane, 1), record_at(table, 0))

    types = numba.types.void(numba.int64, numba.uint64[::1])
    text, _ = cuda.compile(kernel, types, device=False, abi="numba", cc=(9, 0), output="ptx")
    code = text if isinstance(text, str) else text.decode()
    assert re.findall(FUSIBLE, code) == []
    assert real is np.float64 or ".f64" not in code


# ---- refusals --------------------------------------------------------------------------------------------------------------------


def test_mixed_widths_whole_numbers_and_a_missing_precision_are_refused_with_advice():
    with pytest.raises(WorldAuthorError, match=r"atan2\(float32, float64\): expected .* one element type, float32 or float64"):
        atan2(np.float32(1), np.float64(1))
    with pytest.raises(WorldAuthorError, match=r"sin\(int\).*like\(x, 1.5\)"):
        sin(1)
    with pytest.raises(WorldAuthorError, match=r"normal\(float64\).*of float32\."):
        normal(np.float64(0.5))


def test_mixed_widths_do_not_compile_and_the_error_says_what_to_write():
    @lane_code
    def mixed(i, m):
        m.out[i] = atan2(m.x[i], m.y[i])

    with pytest.raises(TypingError, match=r"atan2\(Lane\(float32, 16\), Lane\(float64, 16\)\): expected"):
        over_lanes(mixed, 16, x=np.ones(16, np.float32), y=np.ones(16), out=np.ones(16))
