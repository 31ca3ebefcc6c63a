"""Make src/worldloom/core/coefficients.py: minimax fits (Remez exchange, mpmath, 60 digits) and constants in exact pieces.

Every function in core/single.py and core/double.py takes its leading terms exactly (r, 1, -g*g/2 …); what is fitted is the small
rest, so rounding each coefficient to nearest costs a few hundredths of an ulp and no lattice search is needed.

    python bench/fit_coefficients.py [file]      about half a minute; prints the error of every fit
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp

mp.mp.dps = 60
LN2, PI, ROOT = mp.log(2), mp.pi, mp.sqrt(2)
TARGET = Path(__file__).parents[1] / "src/worldloom/core/coefficients.py"
HEADER = '''"""Made by bench/fit_coefficients.py; do not edit. Coefficients, lowest power first, and constants in exact pieces."""

import numpy as np


def f32(text):
    return np.float32(float.fromhex(text))


def f64(text):
    return np.float64(float.fromhex(text))


'''
Number = Any  # mpmath has no types
Function = Callable[[Number], Number]


# ---- fitting -------------------------------------------------------------------------------------------------------------


def remez(
    goal: Function, low: Number, high: Number, degree: int, weight: Function, rounds: int = 40
) -> tuple[list[Number], Number]:
    """Minimax polynomial for goal on [low, high] under weight: (coefficients, weighted error)."""
    unknown = degree + 1
    count = 60 * unknown
    grid = [low + (high - low) * (1 - mp.cos(PI * mp.mpf(i) / count)) / 2 for i in range(count + 1)]
    grid = [z for z in grid if abs(z) > mp.mpf(10) ** -7]  # the goals cancel at 0 and are smooth there
    value, scale = [goal(z) for z in grid], [abs(weight(z)) for z in grid]
    nodes = [(len(grid) - 1) * i // unknown for i in range(unknown + 1)]
    best: tuple[list[Number], Number] = ([], mp.inf)
    for _ in range(rounds):
        top, height = levelled([grid[n] for n in nodes], [value[n] for n in nodes], [scale[n] for n in nodes])
        error = [w * (mp.polyval(top[::-1], z) - g) for z, g, w in zip(grid, value, scale, strict=True)]
        worst = max(abs(e) for e in error)
        best = min(best, (top, worst), key=lambda found: found[1])
        if worst < height * mp.mpf("1.002"):
            break
        nodes = extremes(error, unknown + 1)
    return best


def levelled(grid: list[Number], value: list[Number], scale: list[Number]) -> tuple[list[Number], Number]:
    """The polynomial whose weighted errors at the points have one size and alternating signs, and that size."""
    unknown = len(grid) - 1
    a, b = mp.matrix(unknown + 1, unknown + 1), mp.matrix(unknown + 1, 1)
    for row, (z, g, w) in enumerate(zip(grid, value, scale, strict=True)):
        for k in range(unknown):
            a[row, k] = w * z**k
        a[row, unknown] = (-1) ** row
        b[row] = w * g
    x = mp.lu_solve(a, b)
    return [x[k] for k in range(unknown)], abs(x[unknown])


def extremes(error: list[Number], count: int) -> list[int]:
    """Indices of `count` alternating extremes: one per run of a sign, the smallest end (or pair) dropped until they fit."""
    runs: list[int] = []
    for i, e in enumerate(error):
        if runs and (error[runs[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        if len(runs) == count + 1:
            runs.pop(0 if abs(error[runs[0]]) < abs(error[runs[-1]]) else -1)
        else:
            k = min(range(len(runs) - 1), key=lambda j: max(abs(error[runs[j]]), abs(error[runs[j + 1]])))
            del runs[k : k + 2]
    if len(runs) < count:
        raise ArithmeticError(f"{len(runs)} alternations where {count} are needed: lower the degree")
    return runs


def rational(
    goal: Function, points: list[Number], top: int, below: int, weight: Function
) -> tuple[list[Number], list[Number], Number]:
    """P/Q near the minimax by Lawson's reweighting of the linearised problem: (P, Q, error), Q beginning with 1."""
    value, scale = [goal(z) for z in points], [weight(z) for z in points]
    rows = [[z**k for k in range(top + 1)] + [-g * z**k for k in range(1, below + 1)] for z, g in zip(points, value, strict=True)]
    share, bottom = [mp.mpf(1)] * len(points), [mp.mpf(1)] * len(points)
    best: tuple[list[Number], list[Number], Number] = ([], [], mp.inf)
    for _ in range(80):
        x = least_squares(rows, value, [s * (w / q) ** 2 for s, w, q in zip(share, scale, bottom, strict=True)])
        p, q = x[: top + 1], [mp.mpf(1), *x[top + 1 :]]
        bottom = [mp.polyval(q[::-1], z) for z in points]
        error = [abs(w * (mp.polyval(p[::-1], z) / u - g)) for z, u, g, w in zip(points, bottom, value, scale, strict=True)]
        best = min(best, (p, q, max(error)), key=lambda found: found[2])
        share = [s * e / max(error) + mp.mpf(10) ** -12 for s, e in zip(share, error, strict=True)]
    return best


def least_squares(rows: list[list[Number]], value: list[Number], factor: list[Number]) -> list[Number]:
    """The solution of rows * x = value with the least sum of factor * residual**2."""
    size = len(rows[0])
    a, b = mp.matrix(size, size), mp.matrix(size, 1)
    for row, g, f in zip(rows, value, factor, strict=True):
        for i in range(size):
            b[i] += f * row[i] * g
            for j in range(i, size):
                a[i, j] += f * row[i] * row[j]
    for i in range(size):
        for j in range(i):
            a[i, j] = a[j, i]
    x = mp.lu_solve(a, b)
    return [x[k] for k in range(size)]


# ---- numbers of a machine -----------------------------------------------------------------------------------------------------


def nearest(x: Number, bits: int) -> Number:
    """x rounded to `bits` significant bits, exactly."""
    if x == 0:
        return mp.mpf(0)
    _, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(x, bits - e)), e - bits)


def pieces(x: Number, *sizes: int) -> list[Number]:
    """x as an exact sum of pieces with the given numbers of bits (the last one rounded)."""
    found = []
    for size in sizes:
        found.append(nearest(x, size))
        x -= found[-1]
    return found


def literal(x: Number, bits: int) -> str:
    """A source literal that gives exactly the nearest float of that width."""
    return f'{"f32" if bits == 24 else "f64"}("{float(nearest(x, bits)).hex()}")'


# ---- what is fitted: goal(z), with the weight that makes the error relative to the whole function ----------------------


def of_root(function: Function) -> Function:
    """function of z from a function of sqrt(z)."""
    return lambda z: function(mp.sqrt(z))


def probit(w: Number) -> Number:
    """The factor from x = 2u - 1 to the normal deviate of u, as a function of w = -log(1 - x*x)."""
    w = max(w, mp.mpf(10) ** -12)  # smooth at 0, where the direct form is 0/0
    x = mp.sqrt(-mp.expm1(-w))
    if w <= 30:
        return mp.sqrt(2) * mp.erfinv(x) / x
    y, target = mp.sqrt(w), mp.exp(-w) / (1 + x)  # erfc(y) = 1 - x by Newton, without cancellation
    for _ in range(60):
        step = (mp.erfc(y) - target) / (-2 / mp.sqrt(PI) * mp.exp(-y * y))
        y -= step
        if abs(step) < mp.mpf(10) ** -45:
            break
    return mp.sqrt(2) * y / x


@dataclass(frozen=True)
class Fit:
    """One polynomial, with its degree for 24 and for 53 bits; None: not needed in that width."""

    name: str
    goal: Function
    low: Number
    high: Number
    degrees: tuple[int | None, int | None]
    weight: Function


THIRD = ((ROOT - 1) / (ROOT + 1) * mp.mpf("1.0001")) ** 2  # s*s with s = g / (2 + g) for 1 + g from sqrt(1/2) to sqrt(2)
HALF_LN2, TURN, ANGLE, NEAR = LN2 / 2 * mp.mpf("1.004"), mp.mpf("0.8") ** 2, mp.mpf("0.5465") ** 2, mp.mpf("0.626") ** 2
FITS = (
    Fit("SIN", of_root(lambda x: (mp.sin(x) / x - 1) / x**2), 0, TURN, (2, 5), of_root(lambda x: x**3 / mp.sin(x))),
    Fit("COS", of_root(lambda x: (mp.cos(x) - 1 + x * x / 2) / x**4), 0, TURN, (2, 5), of_root(lambda x: x**4 / mp.cos(x))),
    Fit("EXP", lambda r: (mp.exp(r) - 1 - r) / r**2, -HALF_LN2, HALF_LN2, (4, 9), lambda r: r * r / mp.expm1(r)),
    Fit("LOG", lambda g: (mp.log1p(g) - g + g * g / 2) / g**3, 1 / ROOT - 1, ROOT - 1, (7, None), lambda g: g**3 / mp.log1p(g)),
    Fit("LOG", of_root(lambda s: (2 * mp.atanh(s) - 2 * s) / s**3), 0, THIRD, (None, 6), of_root(lambda s: s**3 / mp.atanh(s))),
    Fit("ATAN", of_root(lambda q: (mp.atan(q) - q) / q**3), 0, ANGLE, (5, 12), of_root(lambda q: q**3 / mp.atan(q))),
    Fit("TANH", of_root(lambda x: (mp.tanh(x) - x) / x**3), 0, NEAR, (4, 10), of_root(lambda x: x**3 / mp.tanh(x))),
    Fit("POW", of_root(lambda s: (mp.atanh(s) - s - s**3 / 3) / s**5), 0, THIRD, (2, 6), lambda z: z * z),
    Fit("CBRT", mp.cbrt, "0.353", "2.829", (4, 4), lambda m: 1 / mp.cbrt(m)),  # 1e-3; Halley steps refine it
    # 1/sqrt(x) from a start y: e = 1 - x*y*y, between the limits that the start 0x5F370000 has; the result is y + y*e*(fit)
    Fit("INVERSE_SQRT", lambda e: (1 / mp.sqrt(1 - e) - 1) / e, "-0.06453", "0.07032", (3, 2), lambda e: e * mp.sqrt(1 - e)),
    # the normal deviate is x * A(w - 2.5) or x * B(sqrt(w) - 3), w = -log(4u(1 - u)), x = 2u - 1
    Fit("NORMAL_NEAR", lambda v: probit(v + mp.mpf("2.5")), -2.5, 2.5, (9, None), lambda v: 1 / probit(v + mp.mpf("2.5"))),
    Fit("NORMAL_FAR", lambda v: probit((v + 3) ** 2), mp.sqrt(5) - 3, 1.7, (9, None), lambda v: 1 / probit((v + 3) ** 2)),
)
NETWORKS = (("TANH_ROUGH", "5.2", 2, 2), ("TANH_NET", "8.5", 4, 4))  # x P(x*x) / Q(x*x), clamped: name, edge, degrees


def polynomials() -> Iterator[tuple[str, int, list[Number]]]:
    """(name, bits, coefficients) of every fit."""
    for fit in FITS:
        for bits, degree in zip((24, 53), fit.degrees, strict=True):
            if degree is None:
                continue
            top, error = remez(fit.goal, mp.mpf(fit.low), mp.mpf(fit.high), degree, fit.weight)
            name = fit.name + ("32" if bits == 24 else "64")
            print(f"{name:14s} degree {degree:2d}  weighted error 2^{float(mp.log(error, 2)):7.2f}", flush=True)
            yield name, bits, top


def rationals() -> Iterator[tuple[str, int, list[Number]]]:
    """(name, bits, coefficients) of the hyperbolic tangents for networks; their error is absolute."""
    for name, edge, top, below in NETWORKS:
        points = [(mp.mpf(edge) * (1 - mp.cos(PI * mp.mpf(2 * i + 1) / 400)) / 2) ** 2 for i in range(200)]
        p, q, error = rational(of_root(lambda x: mp.tanh(x) / x), points, top, below, mp.sqrt)
        print(f"{name:14s} degree {top}/{below}  absolute error {float(error):.2e}", flush=True)
        yield from ((f"{name}_TOP", 24, p), (f"{name}_BELOW", 24, q), (f"{name}_EDGE", 24, [mp.mpf(edge)]))


def constants() -> Iterator[tuple[str, int, list[Number]]]:
    """(name, bits, pieces) of every constant that is longer than one float."""
    for tag, bits in (("32", 24), ("64", 53)):
        single = bits == 24
        # the product of a piece of pi/2 with a 16-bit multiple is exact: |x| <= 1e5 means |n| <= 63662
        yield "HALF_PI" + tag, bits, pieces(PI / 2, *((8, 8, 8, 8, 8, 24) if single else (37, 37, 37, 53)))
        yield "LN2" + tag, bits, pieces(LN2, *((15, 24) if single else (41, 53)))
        yield "LN2_PAIR" + tag, bits, pieces(LN2, bits, bits)
        yield "QUARTER_PI" + tag, bits, pieces(PI / 4, bits - 2, bits)  # 3 * high must be exact
        yield "TWO_PI" + tag, bits, pieces(2 * PI, bits, bits)
        yield "LOG2E" + tag, bits, pieces(1 / LN2, bits // 2, bits)
        yield "LOG2E_PAIR" + tag, bits, pieces(2 / LN2, bits, bits)
        yield "THIRD" + tag, bits, pieces(mp.mpf(1) / 3, bits, bits)


def module() -> str:
    """The text of coefficients.py."""
    tables = sorted([*polynomials(), *rationals(), *constants()], key=lambda table: table[0])
    return HEADER + "".join(assignment(name, [literal(x, bits) for x in values]) for name, bits, values in tables)


def assignment(name: str, literals: list[str]) -> str:
    """One table as source text, laid out as the formatter would."""
    if len(literals) == 1:
        return f"{name} = ({literals[0]},)\n"
    return f"{name} = (\n" + "".join(f"    {text},\n" for text in literals) + ")\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET).write_text(module())
