"""One system with one dominant star, step by step: planets follow Kepler's ellipses and kick each other now and then.

Theory of operation. In Jacobi coordinates the Hamiltonian is a sum of Kepler problems and a small rest (Wisdom and Holman 1991,
Astron. J. 102, 1528). A step is half a Kepler drift, a kick by the rest, half a drift (Rein and Tamayo 2015, WHFast, MNRAS 452, 376);
its error, of order e dt^2 with e the planets' mass over the star's, is a change of coordinates that a corrector undoes (Wisdom 2006,
Astron. J. 131, 2294).

Planets stand side by side in registers of eight. Jacobi coordinates, heliocentric ones and accelerations turn into each other by
triangular matrices, kept by columns. All motion is added with Kahan's compensation, so that rounding does not add up step by step.
"""

from fractions import Fraction
from functools import cache
from math import factorial
from math import sqrt as root

import numpy as np
from numba import types

from worldloom.core import InputError, lane_code, sqrt
from worldloom.worlds.orbits.kepler import kepler
from worldloom.worlds.orbits.leapfrog import finished, knots_of
from worldloom.worlds.orbits.rows import CUBE, EIGHT, VECTOR, compiled, eight, put, rounded_up, spread
from worldloom.worlds.orbits.system import Array, System
from worldloom.worlds.orbits.trajectory import Trajectory

DOMINANT = 10.0  # times the mass of all planets: the least that a star must have for Kepler's ellipses to be a start
CORRECTORS = (0, 3, 5, 7, 9, 11, 13, 15, 17)
SPACING = root(7 / 40)  # of the correctors' drifts, in steps: so that order 3 is nearly right in the next order too (Wisdom 2006)


def wisdom_holman(system: System, duration: float, dt: float, *, corrector: int = 17, every: int = 1) -> Trajectory:
    """Motion over `duration` in steps of dt, in the system's units of time, with a knot after every `every` steps and at the end.

    corrector: order of the symplectic corrector, odd, 3 to 17; 0 for none. A knot costs as much as 2 (corrector - 1) steps.
    Raises InputError where no star dominates, where dt does not divide the duration, or where bodies met.
    """
    check(system, corrector)
    steps, times = knots_of(duration, dt, every, system.bodies)
    order = np.array([0, *(1 + np.argsort(-inverse_axes(system), kind="stable"))])
    gm, x, v = system.gm[order], system.position[order], system.velocity[order]
    found, energy = [np.empty((len(times), system.bodies, 3)) for _ in range(3)], np.empty(len(times))
    if system.bodies > 1:
        integrated(gm, x, v, dt, steps, every, corrector, found, energy, times)
    else:
        resting(gm, x, v, times, found, energy)
    if not np.isfinite(energy).all():
        met = times[np.argmin(np.isfinite(energy))]
        raise InputError(f"Bodies met before t = {met:g}; steps of {dt:g} leave no numbers. Expected integrator = truth.")
    back = np.argsort(order)
    found = [array if (back == np.arange(len(back))).all() else array[:, back] for array in found]
    name = f"wisdom-holman, corrector {corrector}" if corrector else "wisdom-holman"
    return finished(
        system, times, found, energy, integrator=name, evaluations=steps + (corrector > 0) * 2 * (corrector - 1) * len(times)
    )


def check(system: System, corrector: int) -> None:
    """Raises InputError unless the system has one dominant star, and the corrector exists."""
    if corrector not in CORRECTORS:
        raise InputError(f"corrector = {corrector} is not known. Expected {', '.join(map(str, CORRECTORS))}.")
    star, rest = system.mass[0], system.mass[1:].sum()
    if system.stars != 1 or not star >= DOMINANT * rest or not star > 0:
        raise InputError(
            f"{system.stars} stars, the first of mass {star:g} where all other bodies have {rest:g}: no star dominates. Expected one star "
            f"of {DOMINANT:g} times the others' mass; choose integrator = leapfrog or truth."
        )


def inverse_axes(system: System) -> Array:
    """1 / a of each planet about the star; negative where it is not bound. In the star's centre: infinite."""
    x, v = system.position[1:] - system.position[0], system.velocity[1:] - system.velocity[0]
    with np.errstate(divide="ignore"):
        return 2 / np.sqrt((x * x).sum(1)) - (v * v).sum(1) / (system.gm[0] + system.gm[1:])


def resting(gm, x, v, times, found, energy) -> None:
    """A star alone: a straight line."""
    found[0][:], found[1][:], found[2][:] = x + times[:, None, None] * v, v, 0
    energy[:] = 0.5 * gm[0] * (v @ v.T)[0, 0]


def integrated(gm, x, v, dt, steps, every, corrector, found, energy, times) -> None:
    """Calls the compiled loop; found [x, v, a] and energy are written."""
    planets = len(gm) - 1
    padded = rounded_up(planets)
    tables, total = matrices(gm, planets, padded), gm.sum()
    centre, drift = gm @ x / total, gm @ v / total
    bodies = np.zeros(12 * padded)
    for part, vectors in enumerate((x, v)):
        jacobi = np.array([vectors[k] - gm[:k] @ vectors[:k] / gm[:k].sum() for k in range(1, planets + 1)])
        bodies[part * 3 * padded : (part + 1) * 3 * padded] = filled(jacobi, padded).T.reshape(-1)
    forth, back = corrections(corrector)
    loop = compiled(integrate, *[VECTOR] * 9, types.float64, *[types.int64] * 4, *[CUBE] * 3, VECTOR, VECTOR)
    loop(gm, tables, bodies, np.empty(12 * padded), np.empty(10 * padded), *forth, *back, dt, steps, every, planets, padded, *found, energy,
         np.concatenate([centre, drift]))  # fmt: skip
    found[0][0], found[1][0] = x, v


def filled(vectors: Array, padded: int) -> Array:
    """[planet, axis] with the last planet repeated."""
    return vectors[np.minimum(np.arange(padded), len(vectors) - 1)]


def matrices(gm: Array, planets: int, padded: int) -> Array:
    """What a kick needs, one after the other [padded] or, by columns, [planet, padded]; places beyond the last planet repeat it.

    mu, gm, 1 for all planets but the innermost, the star's share of the mass inside; Jacobi to heliocentric; shares of the mass inside; 1
    where a planet would meet itself.
    """
    inside = np.cumsum(gm)
    k, j = np.arange(planets)[:, None], np.arange(planets)[None, :]
    own = gm[1:]
    columns = [inside[1:], own, 1.0 * (np.arange(planets) > 0), gm[0] / inside[:-1]]
    helio = np.where(j < k, own[None, :] / inside[None, 1:], 1.0 * (j == k))
    shares = np.where(j < k, own[None, :] / inside[:-1, None], 0.0)
    rows = [filled(column[:, None], padded).T for column in columns]
    rows += [filled(matrix, padded).T for matrix in (helio, shares, np.eye(planets))]
    return np.ascontiguousarray(np.concatenate(rows)).reshape(-1)


@cache
def corrections(order: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """((drifts, kicks) of the corrector, those of its inverse), in steps: D(d_0) K(k_0) D(d_1) … K(k_n) D(d_n+1).

    Z(a, b) = D(a) K(-b) D(-2 a) K(b) D(a) changes, to first order in K, by -2 b sinh(a ad); with h = ad dt the step needs
    (h / 2 / sinh(h / 2) - 1) / h. Wisdom 2006, section 4, and Rein and Tamayo 2015, section 2.6: a_i = i sqrt(7/40), b_i by the first
    orders of both series, which is a linear system in exact fractions.
    """
    count = (order - 1) // 2
    pairs = [(i * SPACING, float(b) / SPACING) for i, b in enumerate(strengths(count), 1)]
    forth = [(-a, -b) for a, b in reversed(pairs)] + pairs
    back = [(-a, b) for a, b in reversed(forth)]
    return alternating(forth), alternating(back)


def strengths(count: int) -> list[Fraction]:
    """b_i times the spacing. In powers of h: sum over i of 4 b_i sinh(a_i h) = (1 - (h / 2) / sinh(h / 2)) / h."""
    inverse = [Fraction(1)]  # of sinh(y) / y in powers of y^2
    for n in range(1, count + 1):
        inverse.append(-sum((Fraction(1, factorial(2 * m + 1)) * inverse[n - m] for m in range(1, n + 1)), Fraction(0)))
    rows = [
        [Fraction(4 * i ** (2 * k + 1), factorial(2 * k + 1)) * Fraction(7, 40) ** k for i in range(1, count + 1)]
        for k in range(count)
    ]
    return solved(rows, [-inverse[k + 1] / 4 ** (k + 1) for k in range(count)])


def solved(rows: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """The solution of a linear system by Gauss, exactly."""
    table, size = [[*row, value] for row, value in zip(rows, right, strict=True)], len(right)
    for k in range(size):
        pivot = next(n for n in range(k, size) if table[n][k] != 0)
        table[k], table[pivot] = table[pivot], table[k]
        table[k] = [value / table[k][k] for value in table[k]]
        for n in range(size):
            if n != k:
                table[n] = [value - table[n][k] * of_k for value, of_k in zip(table[n], table[k], strict=True)]
    return [row[size] for row in table]


def alternating(pairs) -> tuple[Array, Array]:
    """Z's one after the other as drifts and kicks by turns; where two drifts meet they are one."""
    drifts, kicks = [0.0], []
    for a, b in pairs:
        drifts = [*drifts[:-1], drifts[-1] + a, -2 * a, a]
        kicks += [-b, b]
    return np.array(drifts, np.float64), np.array(kicks, np.float64)


# ---- compiled --------------------------------------------------------------------------------------------------------------------
# bodies: Jacobi positions and velocities and what rounding left of both, each [3, padded]; room: [10, padded] to work in.


def integrate(
    gm,
    tables,
    bodies,
    spare,
    room,
    drifts,
    kicks,
    drifts_back,
    kicks_back,
    dt,
    steps,
    every,
    planets,
    padded,
    x,
    v,
    a,
    energy,
    centre,
):
    """All steps. x, v, a [knot, body, 3] and energy [knot], which is times G, are written.

    A knot is taken from a copy: how often one is does not change the bits of the motion.
    """
    # Long: its arguments, which ruff lists one a line.
    keep(0, 0.0, gm, tables, bodies, room, planets, padded, x, v, a, energy, centre)
    follow(tables, bodies, room, drifts, kicks, dt, planets, padded, gm[0])
    drift(tables, bodies, 0.5 * dt, padded)
    knot = 1
    for step in range(1, steps + 1):
        kick(tables, bodies, room, dt, planets, padded, gm[0])
        if step % every == 0 or step == steps:
            for at in range(len(bodies)):
                spare[at] = bodies[at]
            drift(tables, spare, 0.5 * dt, padded)
            follow(tables, spare, room, drifts_back, kicks_back, dt, planets, padded, gm[0])
            keep(knot, dt * step, gm, tables, spare, room, planets, padded, x, v, a, energy, centre)
            knot += 1
        drift(tables, bodies, dt, padded)


@lane_code
def follow(tables, bodies, room, drifts, kicks, dt, planets, padded, star):
    """Drifts and kicks by turns."""
    for k in range(len(kicks)):
        drift(tables, bodies, dt * drifts[k], padded)
        kick(tables, bodies, room, dt * kicks[k], planets, padded, star)
    if len(kicks) > 0:
        drift(tables, bodies, dt * drifts[len(kicks)], padded)


@lane_code
def add(bodies, at, left, increment):
    """A compensated sum (Kahan 1965): what rounding took away last time, at `left`, is given back."""
    before, wanted = eight(bodies, at), increment - eight(bodies, left)
    after = before + wanted
    put(bodies, left, (after - before) - wanted)
    put(bodies, at, after)


@lane_code
def drift(tables, bodies, duration, padded):
    """Every planet on its ellipse."""
    row, time = padded, spread(duration)
    for at in range(0, padded, EIGHT):
        x, y, z = eight(bodies, at), eight(bodies, row + at), eight(bodies, 2 * row + at)
        u, v, w = eight(bodies, 3 * row + at), eight(bodies, 4 * row + at), eight(bodies, 5 * row + at)
        dx, dy, dz, du, dv, dw = kepler(x, y, z, u, v, w, eight(tables, at), time)
        add(bodies, at, 6 * row + at, dx)
        add(bodies, row + at, 7 * row + at, dy)
        add(bodies, 2 * row + at, 8 * row + at, dz)
        add(bodies, 3 * row + at, 9 * row + at, du)
        add(bodies, 4 * row + at, 10 * row + at, dv)
        add(bodies, 5 * row + at, 11 * row + at, dw)


@lane_code
def applied(tables, column, vectors, first, at, planets, padded):
    """A matrix, by columns from `column` on, times numbers [planet] from `first` on: eight rows of the product."""
    total = spread(0.0)
    for planet in range(planets):
        total = total + eight(tables, column + planet * padded + at) * vectors[first + planet]
    return total


@lane_code
def kick(tables, bodies, room, duration, planets, padded, star):
    """Velocities change by what the drifts leave out: all pairs but star and innermost planet, less the others' Kepler terms."""
    row, helio = padded, 4 * padded
    shares, itself = helio + planets * row, helio + 2 * planets * row
    for axis in range(3):
        for at in range(0, padded, EIGHT):
            put(room, axis * row + at, applied(tables, helio, bodies, axis * row, at, planets, padded))
    for at in range(0, padded, EIGHT):
        attract(tables, bodies, room, at, itself, planets, padded, star)
    for axis in range(3):
        star_pulled = 0.0
        for planet in range(planets):
            star_pulled += tables[row + planet] * room[6 * row + planet] * room[axis * row + planet]
        for at in range(0, padded, EIGHT):
            inside = (
                applied(tables, shares, room, (3 + axis) * row, at, planets, padded) + eight(tables, 3 * row + at) * star_pulled
            )
            left = eight(room, (3 + axis) * row + at) - inside + eight(room, (7 + axis) * row + at)
            add(bodies, (3 + axis) * row + at, (9 + axis) * row + at, duration * left)


@lane_code
def attract(tables, bodies, room, at, itself, planets, padded, star):
    """For eight planets into room: accelerations by planets and star, 1 / r3 to the star, what Kepler's drifts contain."""
    row, outer = padded, eight(tables, 2 * padded + at)
    x, y, z = eight(room, at), eight(room, row + at), eight(room, 2 * row + at)
    weight = outer * inverse_cube(x * x + y * y + z * z)
    put(room, 6 * row + at, weight)
    pulled = star * weight
    ax, ay, az = -pulled * x, -pulled * y, -pulled * z
    for planet in range(planets):
        dx, dy, dz = room[planet] - x, room[row + planet] - y, room[2 * row + planet] - z
        square = dx * dx + dy * dy + dz * dz + eight(tables, itself + planet * row + at)
        pulled = tables[row + planet] * inverse_cube(square)
        ax, ay, az = ax + pulled * dx, ay + pulled * dy, az + pulled * dz
    x, y, z = eight(bodies, at), eight(bodies, row + at), eight(bodies, 2 * row + at)
    known = outer * eight(tables, at) * inverse_cube(x * x + y * y + z * z)
    for axis, rest, kepler_part in ((0, ax, known * x), (1, ay, known * y), (2, az, known * z)):
        put(room, (3 + axis) * row + at, rest)
        put(room, (7 + axis) * row + at, kepler_part)


@lane_code
def inverse_cube(square):
    """r to the power -3 from r squared."""
    return 1 / (square * sqrt(square))


@lane_code
def keep(knot, t, gm, tables, bodies, room, planets, padded, x, v, a, energy, centre):
    """One knot, in the order of the Jacobi coordinates."""
    total = 0.0
    for body in range(planets + 1):
        total += gm[body]
    for axis in range(3):
        for kind in range(2):
            for at in range(0, padded, EIGHT):
                first = (3 * kind + axis) * padded
                put(room, first + at, applied(tables, 4 * padded, bodies, first, at, planets, padded))
        x[knot, 0, axis], v[knot, 0, axis] = centre[axis] + centre[3 + axis] * t, centre[3 + axis]
        for planet in range(planets):
            x[knot, 0, axis] -= gm[planet + 1] / total * room[axis * padded + planet]
            v[knot, 0, axis] -= gm[planet + 1] / total * room[(3 + axis) * padded + planet]
        for planet in range(planets):
            x[knot, planet + 1, axis] = x[knot, 0, axis] + room[axis * padded + planet]
            v[knot, planet + 1, axis] = v[knot, 0, axis] + room[(3 + axis) * padded + planet]
    energy[knot] = pairwise(knot, gm, x, v, a)


@lane_code
def pairwise(knot, gm, x, v, a):
    """Writes the accelerations of a knot; gives its energy times G."""
    energy = 0.0
    for body in range(len(gm)):
        for axis in range(3):
            a[knot, body, axis] = 0.0
            energy += 0.5 * gm[body] * v[knot, body, axis] * v[knot, body, axis]
    for first in range(len(gm)):
        for second in range(first + 1, len(gm)):
            square = 0.0
            for axis in range(3):
                square += (x[knot, second, axis] - x[knot, first, axis]) * (x[knot, second, axis] - x[knot, first, axis])
            weight = inverse_cube(square)
            energy -= gm[first] * gm[second] * weight * square
            for axis in range(3):
                away = weight * (x[knot, second, axis] - x[knot, first, axis])
                a[knot, first, axis] += gm[second] * away
                a[knot, second, axis] -= gm[first] * away
    return energy
