"""How the elementary functions are measured: all of them as one step, points over their domains, errors in ulp.

Single precision is measured against NumPy's double precision (exact to 2**-28 ulp), double against the 80-bit long double where the
machine has one; the worst points of both again against mpmath.
"""

import math

import mpmath as mp
import numpy as np
from over_lanes import over_lanes

from worldloom.core import elementary
from worldloom.core.elementary import (
    atan,
    atan2,
    cbrt,
    cos,
    exp,
    exp2,
    inverse_sqrt,
    log,
    log2,
    normal,
    normal_pair,
    pow,
    sin,
    sincos,
    sincos_turns,
    tan,
    tanh,
    tanh_net,
    tanh_rough,
)
from worldloom.core.lanes import lane_code

mp.mp.dps = 40
inf, nan = math.inf, math.nan
REALS = (np.float32, np.float64)
SEED = 7
# ulp, as the docstrings state them: float32, float64
BOUNDS = {
    "sin": (1, 1), "cos": (1, 1), "tan": (2.5, 2.5), "exp": (1, 1), "exp2": (1.1, 1.1), "tanh": (1.5, 1.5), "log": (1, 1),
    "log2": (1, 1), "atan": (1.1, 1.1), "cbrt": (1.2, 1.2), "atan2": (1.2, 1.2), "pow": (1.2, 1.8), "inverse_sqrt": (1.6, 1.6),
    "normal": (6, None), "sin_of_turns": (1.6, 1.6), "cos_of_turns": (1.6, 1.6), "first_normal": (3, 3),
}  # fmt: skip
ABSOLUTE = {"tanh_net": 4e-7, "tanh_rough": 1e-4}
COLUMNS = [*BOUNDS, *ABSOLUTE, "sincos_sin", "sincos_cos", "second_normal"]
EXACT = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "exp": mp.exp, "exp2": lambda x: mp.mpf(2) ** x, "tanh": mp.tanh, "log": mp.log,
    "log2": lambda x: mp.log(x, 2), "atan": mp.atan, "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "atan2": mp.atan2,
    "pow": lambda x, y: x**y, "inverse_sqrt": lambda x: 1 / mp.sqrt(x), "normal": lambda u: -mp.sqrt(2) * mp.erfinv(1 - 2 * u),
    "sin_of_turns": lambda u: mp.sinpi(2 * u), "cos_of_turns": lambda u: mp.cospi(2 * u),
    "first_normal": lambda u, v: mp.sqrt(-2 * mp.log(u)) * mp.cospi(2 * v), "tanh_net": mp.tanh, "tanh_rough": mp.tanh,
}  # fmt: skip
WIDE = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "exp2": np.exp2, "tanh": np.tanh, "log": np.log, "log2": np.log2,
    "atan": np.arctan, "cbrt": np.cbrt, "atan2": np.arctan2, "pow": np.power, "inverse_sqrt": lambda x: 1 / np.sqrt(x),
    "tanh_net": np.tanh, "tanh_rough": np.tanh,
}  # fmt: skip


@lane_code
def every_function(i, m):
    x, y, out = m.x[i], m.y[i], m.out
    out[i, 0], out[i, 1], out[i, 2], out[i, 3] = sin(x), cos(x), tan(x), exp(x)
    out[i, 4], out[i, 5], out[i, 6], out[i, 7] = exp2(x), tanh(x), log(x), log2(x)
    out[i, 8], out[i, 9], out[i, 10], out[i, 11] = atan(x), cbrt(x), atan2(x, y), pow(x, y)
    out[i, 12] = inverse_sqrt(x)
    out[i, 14], out[i, 15] = sincos_turns(x)
    out[i, 16], out[i, 21] = normal_pair(x, y)
    out[i, 17], out[i, 18] = tanh_net(x), tanh_rough(x)
    out[i, 19], out[i, 20] = sincos(x)


@lane_code
def every_single(i, m):
    every_function(i, m)
    m.out[i, 13] = normal(m.x[i])


@lane_code
def some_functions(i, m):
    """Between them they use every primitive."""
    m.out[i, 0], m.out[i, 1], m.out[i, 2] = exp(m.x[i]), log2(m.x[i]), atan2(m.x[i], m.y[i])


def everything(real):
    return every_single if real is np.float32 else every_function


def results(real, x, y=None, width=16):
    """{function: values} over arrays of that element type."""
    x = np.asarray(x, real)
    y = x if y is None else np.asarray(y, real)
    out = over_lanes(everything(real), width, x=x, y=y, out=np.zeros((len(x), len(COLUMNS)), real)).out
    return {name: np.ascontiguousarray(out[:, k]) for k, name in enumerate(COLUMNS)}


# ---- points -------------------------------------------------------------------------------------------------------------------


def magnitudes(rng, count, low, high):
    """Log-uniform, both signs."""
    return 2.0 ** rng.uniform(low, high, count) * rng.choice([-1.0, 1.0], count)


def neighbours(values, real, reach=3):
    """The values and the floats next to them."""
    parts = [np.asarray(values, real)] * 2
    for _ in range(reach):
        parts = [*parts, np.nextafter(parts[-2], real(inf)), np.nextafter(parts[-1], real(-inf))]
    return np.concatenate(parts)


def of_angle(rng, real, count):
    near = neighbours([real(float(mp.pi / 2 * n)) for n in range(1, 63662, 40)], real)  # where reduction cancels most
    return np.concatenate([rng.uniform(-10, 10, count), rng.uniform(-1e5, 1e5, count), magnitudes(rng, count, -30, 16.6), near])


def of_power(rng, real, count, scale):
    top, bottom = (128, -150) if real is np.float32 else (1024, -1075)
    return np.concatenate([rng.uniform(-1, 1, count), rng.uniform(bottom, top, count), magnitudes(rng, count, -60, 6)]) * scale


def of_positive(rng, real, count):
    tiny, big = (-149, 128) if real is np.float32 else (-1074, 1024)
    near = neighbours([0.5**0.5, 2**0.5, 0.5, 1, 2, np.finfo(real).tiny], real, 60)
    plain = [rng.uniform(0.3, 3, count), 2.0 ** rng.uniform(tiny, big, count), 1 + magnitudes(rng, count, tiny // 8, -1)]
    return np.concatenate([*plain, np.arange(1, 300) * float(np.finfo(real).smallest_subnormal), near])


def of_any(rng, real, count):
    tiny, big = (-149, 128) if real is np.float32 else (-1074, 1024)
    near = neighbours([0.625, math.tan(0.5), 1, 1 / math.tan(0.5)], real, 60)
    return np.concatenate([rng.uniform(-1.2, 1.2, count), rng.uniform(-20, 20, count), magnitudes(rng, count, tiny, big), near])


def of_plane(rng, real, count):
    tiny, big = (-149, 128) if real is np.float32 else (-1074, 1024)
    small = np.arange(-15, 16) * float(np.finfo(real).smallest_subnormal)
    y, x = (g.ravel() for g in np.meshgrid(small, small))
    parts = [(rng.normal(size=count), rng.normal(size=count)), (y, x)]
    parts += [(magnitudes(rng, count, low, high), magnitudes(rng, count, low, high)) for low, high in ((-60, 60), (tiny, big))]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def of_base_and_exponent(rng, real, count):
    tiny, big = (-149, 128) if real is np.float32 else (-1074, 1024)
    x = np.concatenate(
        [rng.uniform(0.1, 10, count), 2.0 ** rng.uniform(tiny, big, count), 1 + magnitudes(rng, count, -20, -2)]
    ).astype(real)
    y = rng.uniform(-1, 1, len(x)) * np.minimum(-1.08 * tiny / (np.abs(np.log2(x.astype(np.float64))) + 1e-300), 1e300)
    y[:count] = rng.uniform(-5, 5, count)
    return x, y


def points(name, real, count):
    """Arguments over the whole domain, dense where a function is used and where it is hard."""
    rng = np.random.default_rng(SEED)
    if name in ("sin", "cos", "tan"):
        return (of_angle(rng, real, count),)
    if name in ("exp", "exp2"):
        return (of_power(rng, real, count, 1 if name == "exp2" else math.log(2)),)
    if name in ("log", "log2", "inverse_sqrt"):
        x = of_positive(rng, real, count)
        return (x[x.astype(real) >= np.finfo(real).tiny] if name == "inverse_sqrt" else x,)
    if name == "atan2":
        return of_plane(rng, real, count)
    if name == "pow":
        return of_base_and_exponent(rng, real, count)
    if name.endswith("turns"):
        return (np.concatenate([rng.uniform(-2, 2, count), magnitudes(rng, count, -40, 18)]),)
    if name == "normal":
        return (np.concatenate([rng.uniform(2.0**-24, 1 - 2.0**-24, count), 2.0 ** rng.uniform(-33, -1, count)]),)
    if name == "first_normal":
        return 1 - rng.random(count), rng.random(count)
    return (of_any(rng, real, count),)


# ---- errors -------------------------------------------------------------------------------------------------------------------


def unit(want, real):
    """One unit in the last place of each wanted number."""
    bits, lowest = (24, -149) if real is np.float32 else (53, -1074)
    return np.ldexp(np.ones_like(want), np.maximum(np.frexp(np.abs(want))[1] - bits, lowest))


def suspects(name, real, got, arguments):
    """The points to measure exactly: the worst 30 by a wider type, where there is one, and some at random."""
    wide = np.float64 if real is np.float32 else np.longdouble
    some = np.random.default_rng(SEED).integers(0, len(got), 60)
    if name not in WIDE or np.finfo(wide).nmant <= np.finfo(real).nmant:
        return some
    with np.errstate(all="ignore"):
        want = WIDE[name](*(a.astype(wide) for a in arguments))
        error = np.abs(got.astype(wide) - want) / (1 if name in ABSOLUTE else unit(want, real))
    inside = np.abs(want) < wide(np.finfo(real).max)
    assert np.isfinite(got[inside]).all()
    return np.concatenate([some, np.argsort(np.where(inside, error, 0))[-30:]])


def exact_error(name, real, got, arguments):
    """Error of one value against mpmath, in ulp, or absolute for the networks' functions."""
    want = EXACT[name](*(mp.mpf(float(a)) for a in arguments))
    if math.isinf(got):
        return 0 if abs(want) >= mp.mpf(float(np.finfo(real).max)) * (1 + mp.mpf(2) ** -25) else inf
    if want == 0:
        return 0 if got == 0 else inf
    bits, lowest = (24, -149) if real is np.float32 else (53, -1074)
    gap = abs(want - mp.mpf(float(got)))
    return float(gap if name in ABSOLUTE else gap / mp.mpf(2) ** max(mp.frexp(want)[1] - bits, lowest))


def largest_error(name, real, count):
    arguments = [np.asarray(a).astype(real) for a in points(name, real, count)]
    got = results(real, *arguments)[name]
    return max(exact_error(name, real, got[k], [a[k] for a in arguments]) for k in suspects(name, real, got, arguments))


FLOAT_BITS = {  # every positive float between two: outside, the result is x, 0, 1, infinity or pi/2
    "sin": (0, 1e5), "cos": (0, 1e5), "tan": (0, 1e5), "exp": (2.0**-27, 128), "exp2": (2.0**-27, 160), "log": (0, inf),
    "log2": (0, inf), "tanh": (2.0**-14, 16), "atan": (2.0**-14, 2.0**27), "cbrt": (1, 8), "inverse_sqrt": (1, 4),
    "tanh_net": (0, 16), "tanh_rough": (0, 16),
}  # fmt: skip


def scan(name, sign, step):
    """(largest error, number of falls) over every `step`-th float of the range, against double precision."""
    low, high = (int(np.float32(v).view(np.uint32)) for v in FLOAT_BITS[name])
    function, worst, falls, last = getattr(elementary, name), 0.0, 0, np.empty(0, np.float32)

    @lane_code
    def one(i, m):
        m.out[i] = function(m.x[i])

    for start in range(low, high, step << 20):
        x = sign * np.arange(start, min(start + (step << 20), high), step, dtype=np.uint32).view(np.float32)
        got = over_lanes(one, 16, x=x, out=np.zeros(len(x), np.float32)).out
        with np.errstate(all="ignore"):
            want = WIDE[name](x.astype(np.float64))
            error = np.abs(got.astype(np.float64) - want) / (1 if name in ABSOLUTE else unit(want, np.float32))
        worst = max(worst, float(error[np.abs(want) < np.finfo(np.float32).max].max(initial=0)))
        rising = sign * np.concatenate([last, got])
        falls, last = falls + int((rising[1:] < rising[:-1]).sum()), got[-1:]
    return worst, falls
