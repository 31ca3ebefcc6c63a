"""Taylor series of the motion under gravity: compiled recurrences over pairs of bodies, order by order.

For a pair with separation d, s = d . d and u = s^(-3/2), the coefficients of order k in time follow from the lower ones:

    s_k = sum d_j . d_(k-j)      k s_0 u_k = - sum_(j = 1 … k) (k + j / 2) s_j u_(k-j)      f_k = sum u_j d_(k-j)
    x_(k+2) = (sum over partners of gm f_k) / ((k + 1) (k + 2))

Source: Jorba and Zou 2005, section 2; the second is the power rule of automatic differentiation (Moore 1966).

Time is counted in spans, a span being the longest step that is allowed, so coefficients neither overflow nor need powers of the step.
Most pairs matter to few orders only: a pair is left out once two orders of it in turn are below `limit`, unless it moves by half its own
distance within the span, where its series could rise again. Measured on the chaotic benchmark, where a tight pair dictates the steps: 24 ms
against 40 with all pairs to all orders, at the same error.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import aligned
from worldloom.core.lanes import any_lane, lane_code, like, sqrt
from worldloom.worlds.orbits.forces import WIDTH, Array, Pairs, lanes_from, put

ORDER = 18  # of the acceleration; positions are polynomials of degree 20
TERMS = 5  # of a pair: three of the separation, s and u
RECORD = TERMS * WIDTH
SPAN = 1  # place in the clock


class Memory(NamedTuple):
    """What the series need besides the pairs; flat arrays, `length` bodies in a row, repeated behind the last.

    series [order + 3, 3, body] in spans; velocity, position_rest, velocity_rest [3, body]: what rounding left behind (Kahan 1965);
    sums [2, 3, body]: of forces on the first and the second bodies of pairs; pull [2, body]: of their magnitudes; potential [body], gm^2;
    limit [body]: square of an acceleration that does not count; gm, present [body]: 0 behind the last; terms [group, order + 1, TERMS,
    WIDTH]; active [group]: which are; calm [group]: for how many orders a group has been below its limit; clock: see truth.py.
    """

    series: Array
    velocity: Array
    position_rest: Array
    velocity_rest: Array
    sums: Array
    pull: Array
    limit: Array
    potential: Array
    gm: Array
    present: Array
    terms: Array
    active: NDArray[np.int64]
    calm: NDArray[np.int64]
    clock: Array


def memory_of(gm: Array, position: Array, velocity: Array, pairs: Pairs, span: float) -> Memory:
    """Memory at the start of a trajectory."""
    row, groups = pairs.length, len(pairs.first)
    bodies = np.arange(row) % len(gm)
    flat = {
        "series": (ORDER + 3) * 3 * row, "velocity": 3 * row, "position_rest": 3 * row, "velocity_rest": 3 * row, "sums": 6 * row,
        "pull": 2 * row, "limit": row, "potential": row, "gm": row, "present": row, "terms": groups * (ORDER + 1) * RECORD, "clock": 10,
    }  # fmt: skip
    arrays = {name: aligned((size + WIDTH,), np.float64) for name, size in flat.items()}
    for array in arrays.values():
        array[:] = 0
    arrays["series"][: 3 * row] = position.T[:, bodies].reshape(-1)
    arrays["velocity"][: 3 * row] = velocity.T[:, bodies].reshape(-1)
    arrays["gm"][: len(gm)], arrays["present"][: len(gm)], arrays["clock"][SPAN] = gm, 1, span
    return Memory(**arrays, active=np.zeros(groups, np.int64), calm=np.zeros(groups, np.int64))


# ---- one group of pairs ----------------------------------------------------------------------------------------------------------


@lane_code
def separation(rows, start, row, first, second):
    """(x, y, z) from the first to the second body of a group, in an array [3, body] that begins at `start`."""
    one, other = start + first, start + second
    return (
        lanes_from(rows, other) - lanes_from(rows, one),
        lanes_from(rows, other + row) - lanes_from(rows, one + row),
        lanes_from(rows, other + 2 * row) - lanes_from(rows, one + 2 * row),
    )


@lane_code
def add_force(sums, row, first, second, to_first, to_second, x, y, z):
    """Add (x, y, z) to the sums of the first body, and subtract it from those of the second."""
    here, there = first, 3 * row + second
    put(sums, here, lanes_from(sums, here) + to_first * x)
    put(sums, here + row, lanes_from(sums, here + row) + to_first * y)
    put(sums, here + 2 * row, lanes_from(sums, here + 2 * row) + to_first * z)
    put(sums, there, lanes_from(sums, there) - to_second * x)
    put(sums, there + row, lanes_from(sums, there + row) - to_second * y)
    put(sums, there + 2 * row, lanes_from(sums, there + 2 * row) - to_second * z)


@lane_code
def keep(terms, at, x, y, z):
    """Store a separation for later orders."""
    put(terms, at, x)
    put(terms, at + WIDTH, y)
    put(terms, at + 2 * WIDTH, z)


@lane_code
def keep_powers(terms, at, s, u):
    """Store s and u for later orders."""
    put(terms, at + 3 * WIDTH, s)
    put(terms, at + 4 * WIDTH, u)


@lane_code
def force(terms, start, order, x, y, z):  # Long: one loop, so that each term is loaded once for three sums
    """f_k of a group with separation (x, y, z) at this order, from the pairs of terms j and k - j; keeps what later orders need."""
    x0, y0, z0 = lanes_from(terms, start), lanes_from(terms, start + WIDTH), lanes_from(terms, start + 2 * WIDTH)
    s0, u0 = lanes_from(terms, start + 3 * WIDTH), lanes_from(terms, start + 4 * WIDTH)
    fx, fy, fz, total, low, high = u0 * x, u0 * y, u0 * z, like(x, 0), like(x, order), like(x, 1.5 * order)
    sx, sy, sz = x0 * x, y0 * y, z0 * z
    here, there = start + RECORD, start + (order - 1) * RECORD
    for _ in range((order - 1) >> 1):
        low, high = low + 0.5, high - 0.5
        xj, xl, uj = lanes_from(terms, here), lanes_from(terms, there), lanes_from(terms, here + 4 * WIDTH)
        yj, yl, ul = lanes_from(terms, here + WIDTH), lanes_from(terms, there + WIDTH), lanes_from(terms, there + 4 * WIDTH)
        zj, zl = lanes_from(terms, here + 2 * WIDTH), lanes_from(terms, there + 2 * WIDTH)
        sj, sl = lanes_from(terms, here + 3 * WIDTH), lanes_from(terms, there + 3 * WIDTH)
        sx, sy, sz = sx + xj * xl, sy + yj * yl, sz + zj * zl
        fx, fy, fz = fx + (ul * xj + uj * xl), fy + (ul * yj + uj * yl), fz + (ul * zj + uj * zl)
        total = total + (low * sj * ul + high * sl * uj)
        here, there = here + RECORD, there - RECORD
    keep(terms, start + order * RECORD, x, y, z)
    s = 2.0 * (sx + sy + sz)
    if order & 1 == 0:
        x, y, z = lanes_from(terms, here), lanes_from(terms, here + WIDTH), lanes_from(terms, here + 2 * WIDTH)
        sj, uj = lanes_from(terms, here + 3 * WIDTH), lanes_from(terms, here + 4 * WIDTH)
        s, total = s + (x * x + y * y + z * z), total + 1.25 * order * sj * uj
        fx, fy, fz = fx + uj * x, fy + uj * y, fz + uj * z
    u = -(total + 1.5 * order * s * u0) / (order * s0)
    keep_powers(terms, start + order * RECORD, s, u)
    return fx + u * x0, fy + u * y0, fz + u * z0


# ---- all pairs, one order --------------------------------------------------------------------------------------------------------


@lane_code
def attract(pairs, memory):
    """Order 0 of all pairs: forces, potentials, and the sums of their magnitudes. Every pair is active again."""
    row = pairs.length
    for group in range(len(pairs.first)):
        first, second = pairs.first[group], pairs.second[group]
        to_first, to_second = lanes_from(pairs.by_second, group * WIDTH), lanes_from(pairs.by_first, group * WIDTH)
        x, y, z = separation(memory.series, 0, row, first, second)
        rx, ry, rz = separation(memory.position_rest, 0, row, first, second)
        x, y, z = x - rx, y - ry, z - rz
        s = x * x + y * y + z * z + lanes_from(pairs.guard, group * WIDTH)
        distance = sqrt(s)
        u = 1.0 / (s * distance)
        keep(memory.terms, group * (ORDER + 1) * RECORD, x, y, z)
        keep_powers(memory.terms, group * (ORDER + 1) * RECORD, s, u)
        add_force(memory.sums, row, first, second, to_first, to_second, u * x, u * y, u * z)
        put(memory.potential, first, lanes_from(memory.potential, first) + to_first * to_second * (u * s))
        magnitude = u * distance
        put(memory.pull, first, lanes_from(memory.pull, first) + to_first * magnitude)
        put(memory.pull, row + second, lanes_from(memory.pull, row + second) + to_second * magnitude)
        memory.active[group], memory.calm[group] = group, 0


@lane_code
def counts(pairs, memory, group, order, fx, fy, fz):
    """Whether a group still matters: some lane is above its limit now or was one order ago, or moves by half its distance in a span."""
    first, second, at = pairs.first[group], pairs.second[group], group * WIDTH
    square = fx * fx + fy * fy + fz * fz
    to_first, to_second = lanes_from(pairs.by_second, at), lanes_from(pairs.by_first, at)
    above = (to_first * to_first * square > lanes_from(memory.limit, first)) | (
        to_second * to_second * square > lanes_from(memory.limit, second)
    )
    if order == 1:
        start = group * (ORDER + 1) * RECORD
        at = start + RECORD
        x, y, z = lanes_from(memory.terms, at), lanes_from(memory.terms, at + WIDTH), lanes_from(memory.terms, at + 2 * WIDTH)
        fast = (4.0 * (x * x + y * y + z * z) > lanes_from(memory.terms, start + 3 * WIDTH)) & (to_first + to_second > 0.0)
        memory.calm[group] = -ORDER if any_lane(fast) else 0
    memory.calm[group] = min(memory.calm[group], 0) if any_lane(above) else memory.calm[group] + 1
    return memory.calm[group] < 2


@lane_code
def recur(pairs, memory, order, count):
    """One order of the `count` pairs that are still active; how many are active after it."""
    row, left = pairs.length, 0
    for place in range(count):
        group = memory.active[place]
        first, second = pairs.first[group], pairs.second[group]
        x, y, z = separation(memory.series, order * 3 * row, row, first, second)
        fx, fy, fz = force(memory.terms, group * (ORDER + 1) * RECORD, order, x, y, z)
        to_first, to_second = lanes_from(pairs.by_second, group * WIDTH), lanes_from(pairs.by_first, group * WIDTH)
        add_force(memory.sums, row, first, second, to_first, to_second, fx, fy, fz)
        memory.active[left] = group
        left += 1 if counts(pairs, memory, group, order, fx, fy, fz) else 0
    return left


@lane_code
def gather(pairs, memory, bodies, order):
    """Acceleration of this order from the sums of all pairs, as positions two orders up; clears the sums."""
    row, sums = pairs.length, memory.sums
    factor = memory.clock[SPAN] * memory.clock[SPAN] / ((order + 1.0) * (order + 2.0))
    for axis in range(3):
        here, there, target = axis * row, (3 + axis) * row, ((order + 2) * 3 + axis) * row
        for i in range(0, bodies, WIDTH):
            total = lanes_from(sums, here + i) + (lanes_from(sums, there + i) + lanes_from(sums, there + bodies + i))
            put(memory.series, target + i, total * factor)
        repeat(memory.series, target, bodies)
    for i in range(0, 6 * row, WIDTH):
        put(sums, i, like(lanes_from(sums, i), 0))


@lane_code
def repeat(row, start, bodies):
    """Repeat the bodies of a row behind the last."""
    for i in range(0, bodies, WIDTH):
        put(row, start + bodies + i, lanes_from(row, start + i))


@lane_code
def expand(pairs, memory, bodies):
    """All orders above 0."""
    count = len(pairs.first)
    for order in range(1, ORDER + 1):
        count = recur(pairs, memory, order, count)
        gather(pairs, memory, bodies, order)
