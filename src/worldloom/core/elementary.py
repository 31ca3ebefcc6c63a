"""Elementary functions with the same bits everywhere, over lanes of float32 or float64 and over NumPy scalars.

libm, libdevice and NumPy differ between machines; these are built from + - * / sqrt, comparisons and exponent bits alone.
core/single.py and core/double.py hold the text; a function here picks by the element type of its arguments.
Errors are in ulp, units in the last place of the exact result, single / double; tests/core/test_elementary.py measures them.
Every NaN that leaves is the one NaN of its width, except where "NaN is passed on". Subnormals are honoured; never flush them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import NumbaTypeError
from numba.extending import overload

from worldloom.core import coefficients as c
from worldloom.core import double, single
from worldloom.core.errors import WorldAuthorError
from worldloom.core.lane_types import LANE_OPTIONS
from worldloom.core.lanes import Lane, lane_code, like, maximum, minimum

MODULES = {types.float32: single, types.float64: double}
SCALARS = {np.float32: single, np.float64: double}


def monic(*coefficients: np.float32) -> tuple[np.float32, ...]:
    """Coefficients of a fraction over the last one, which becomes 1 and needs no multiplication."""
    return tuple(np.float32(float(k) / float(coefficients[-1])) for k in coefficients)


T0, T1, T2, T3, T4, B0, B1, B2, B3, _ = monic(*c.TANH_NET_TOP, *c.TANH_NET_BELOW)
R0, R1, R2, Q0, Q1, _ = monic(*c.TANH_ROUGH_TOP, *c.TANH_ROUGH_BELOW)
(ROUGH_EDGE,), (NET_EDGE,) = c.TANH_ROUGH_EDGE, c.TANH_NET_EDGE


def elementary(stub: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the stub's name in single.py or double.py, whichever the arguments' element type asks for."""
    name = stub.__name__

    def function(*args: Any) -> Any:
        kinds = {type(x) for x in args}
        module = SCALARS.get(kinds.pop()) if len(kinds) == 1 else None
        if not hasattr(module, name):
            raise WorldAuthorError(refusal(name, [type(x).__name__ for x in args]))
        with np.errstate(all="ignore"):
            return getattr(module, name)(*args)

    @overload(function, jit_options=LANE_OPTIONS, strict=False)
    def over_lanes(*args: Any) -> Any:
        module = MODULES.get(args[0].element) if isinstance(args[0], Lane) and len(set(args)) == 1 else None
        if not hasattr(module, name):
            raise NumbaTypeError(refusal(name, [str(x) for x in args]))
        return getattr(module, name)

    function.__name__, function.__qualname__, function.__doc__, function.__module__ = name, name, stub.__doc__, __name__
    return function


def refusal(name: str, kinds: list[str]) -> str:
    """Why a function cannot take arguments of these types."""
    fits = "one element type, float32 or float64" if hasattr(double, name) else "float32"
    return f"{name}({', '.join(kinds)}): expected lanes or NumPy scalars of {fits}. Write cast(x, np.float32), or like(x, 1.5)."


@elementary
def sin(x):
    """Sine, 1 ulp, |x| <= 1e5 rad; NaN beyond, on purpose: reduce phases exactly with sincos_turns."""


@elementary
def cos(x):
    """Cosine, 1 ulp, |x| <= 1e5 rad; NaN beyond."""


@elementary
def tan(x):
    """Tangent, 2.5 ulp, |x| <= 1e5 rad; NaN beyond."""


@elementary
def sincos(x):
    """(sin x, cos x), for the price of one; 1 ulp each, |x| <= 1e5 rad; NaN beyond."""


@elementary
def sincos_turns(turns):
    """(sin, cos) of a whole turn times `turns`, 1.6 ulp, |turns| < 2**20 / 2**49: the reduction is exact. NaN is passed on."""


@elementary
def exp(x):
    """e**x, 1 ulp; infinity and 0 beyond the range."""


@elementary
def exp2(x):
    """2**x, 1.1 ulp; exact for whole x."""


@elementary
def tanh(x):
    """Hyperbolic tangent, 1.5 ulp."""


@elementary
def log(x):
    """Natural logarithm, 1 ulp; 0 gives -infinity, negative numbers NaN."""


@elementary
def log2(x):
    """Logarithm to base 2, 1 ulp; exact for powers of two; 0 gives -infinity, negative numbers NaN."""


@elementary
def atan(x):
    """Inverse tangent, rad, 1.1 ulp."""


@elementary
def cbrt(x):
    """Cube root, 1.2 ulp; odd. Not monotone: it may fall by one ulp between neighbours."""


@elementary
def atan2(y, x):
    """Angle of the point (x, y), rad, -pi to pi, 1.2 ulp; signed zeros and infinities as in C99."""


@elementary
def pow(x, y):
    """x to the power y for x >= 0, 1.2 / 1.8 ulp; NaN for x < 0, but anything to the 0 is 1. Multiply for squares and cubes."""


@elementary
def inverse_sqrt(x):
    """1 / sqrt(x) without division or root, 1.6 ulp, for positive normal x; finite but meaningless for 0 and subnormals."""


@elementary
def normal_pair(u, v):
    """Two independent standard normals from two uniforms, u in (0, 1], v in [0, 1) (Box and Muller 1958), 3 ulp."""


@elementary
def normal(u):
    """The standard normal deviate below which a share u lies; float32, u in [2**-33, 1 - 2**-24], 6 ulp. NaN is passed on."""


@lane_code
def clamped(x, limit):
    """x within -limit and limit; NaN is passed on, because minimum and maximum give their second argument beside one."""
    edge = like(x, limit)
    return minimum(edge, maximum(-edge, x))


@lane_code
def tanh_net(x):
    """tanh for networks, a 9/8 rational at half the cost: absolute error below 4e-7, odd, within [-1, 1]. NaN is passed on."""
    v = clamped(x, NET_EDGE)
    z = v * v
    return clamped(v * (T0 + z * (T1 + z * (T2 + z * (T3 + z * T4)))) / (B0 + z * (B1 + z * (B2 + z * (B3 + z)))), 1)


@lane_code
def tanh_rough(x):
    """tanh for networks, a 5/4 rational at a third the cost: absolute error below 1e-4, odd, within (-1, 1); NaN is passed on."""
    v = clamped(x, ROUGH_EDGE)
    z = v * v
    return v * (R0 + z * (R1 + z * R2)) / (Q0 + z * (Q1 + z))
