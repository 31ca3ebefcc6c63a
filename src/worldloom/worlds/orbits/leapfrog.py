"""One system, step by step, with full pairwise gravity: leapfrog, and symmetric compositions of order 4, 6 and 8.

Theory of operation. Bodies stand side by side in registers of eight. Their number n is made odd (a massless body far away); then the
pairs (k, k + d mod n) with d = 1 … (n - 1) / 2 are all pairs, once each, and for each d they are whole registers: all k beside all
k + d, which lie in a row because every array holds its bodies twice. 171 pairs of 19 bodies take 27 registers; the least possible is
22. What a body receives as the first of a pair is summed apart from what it receives as the second, in the order of d.

A step is K(b_0) D(a_0) K(b_1) … K(b_n), D drifts and K kicks; the last acceleration of a step is the first of the next, and that of a
knot. Sources: order 4 and 6, Blanes and Moan 2002, J. Comput. Appl. Math. 142, 313, SRKN 6b and 11b, 6 and 11 forces a step; order 8,
Kahan and Li 1997, Math. Comp. 66, 1089, s17odr8a, 17 forces, as leapfrogs one after the other (Yoshida 1990, Phys. Lett. A 150, 262).
"""

import numpy as np
from numba import types

from worldloom.core import InputError, lane_code, sqrt
from worldloom.worlds.orbits.kernel import DRIFTS, KICKS, STAGES
from worldloom.worlds.orbits.rows import CUBE, EIGHT, VECTOR, compiled, eight, put, rounded_up, spread
from worldloom.worlds.orbits.system import Array, System
from worldloom.worlds.orbits.trajectory import Trajectory

EIGHTH = (
    0.13020248308889008088, 0.56116298177510838456, -0.38947496264484728641, 0.15884190655515560090, -0.39590389413323757734,
    0.18453964097831570709, 0.25837438768632204729, 0.29501172360931029887, -0.60550853383003451170,
)  # fmt: skip  # half of the palindrome of leapfrogs, to its middle
FAR = 1e30  # where the massless body stands
BANKS = 3  # of sums, by turns: a register that is read before its last writing has left the CPU's store queue waits for it
MISFIT = 1e-6  # of a step, by how much a duration may miss a whole number of steps
MOST_NUMBERS = 1 << 28  # of a trajectory: 2 GB


def leapfrog(system: System, duration: float, dt: float, *, order: int = 2, every: int = 1) -> Trajectory:
    """Motion over `duration` in steps of dt, in the system's units of time, with a knot after every `every` steps and at the end.

    order: 2, 4, 6 or 8, that of the positions' error in dt.
    Raises InputError where dt does not divide the duration, or where bodies came so near that no numbers are left.
    """
    if order not in COMPOSITIONS:
        raise InputError(f"order = {order} is not known. Expected {', '.join(map(str, COMPOSITIONS))}.")
    steps, times = knots_of(duration, dt, every, system.bodies)
    kicks, drifts = COMPOSITIONS[order]
    count = system.bodies | 1
    gm, place, speed = around(system.gm[:, None], count, 0), around(system.position, count, FAR), around(system.velocity, count, 0)
    own = np.where(np.arange(rounded_up(count)) < count, gm[: rounded_up(count)], 0)
    found = list(np.empty((3, len(times), system.bodies, 3)))  # in one piece: three would be mapped anew each time
    energy, ahead, behind = np.empty(len(times)), np.empty(3 * len(own)), np.empty(BANKS * 3 * len(gm))
    loop = compiled(integrate, *[VECTOR] * 9, types.float64, *[types.int64] * 3, *[CUBE] * 3, VECTOR)
    loop(gm, own, place, speed, np.zeros(3 * len(gm)), ahead, behind, kicks, drifts, dt, steps, every, count, *found, energy)
    if not np.isfinite(energy).all():
        met = times[np.argmin(np.isfinite(energy))]
        raise InputError(
            f"Bodies met before t = {met:g}; steps of {dt:g} leave no numbers. Expected a smaller dt or integrator = truth."
        )
    return finished(system, times, found, energy, integrator="leapfrog" if order == 2 else f"leapfrog, order {order}",
                    evaluations=steps * (len(kicks) - 1) + 1)  # fmt: skip


def knots_of(duration: float, dt: float, every: int, bodies: int) -> tuple[int, Array]:
    """(steps, times of the knots): after every `every` steps, and at the end."""
    if not (0 < dt <= duration < np.inf):
        raise InputError(f"dt = {dt:g} and duration = {duration:g} make no steps. Expected 0 < dt <= duration.")
    steps = round(duration / dt)
    if abs(duration / dt - steps) > MISFIT * max(1.0, 1e-10 * steps):
        raise InputError(f"duration = {duration:g} is {duration / dt:.9g} steps of dt = {dt:g}. Expected a whole number of steps.")
    if every < 1 or steps // every * bodies * 9 > MOST_NUMBERS:
        raise InputError(
            f"{steps} steps with a knot every {every} are too much to keep. Expected every of 1 or more, or fewer knots."
        )
    return steps, dt * np.append(np.arange(0, steps, every), steps).astype(np.float64)


def around(vectors: Array, count: int, filler: float) -> Array:
    """[body, axis] as rows of one array, an axis after the other, each with the bodies going round and round."""
    ring = np.full((count, vectors.shape[1]), float(filler))
    ring[: len(vectors)] = vectors
    return np.ascontiguousarray(ring[np.arange(rounded_up(count + rounded_up(count))) % count].T).reshape(-1)


def composition(kicks, drifts) -> tuple[Array, Array]:
    """Coefficients of a step as arrays."""
    return np.array(kicks, np.float64), np.array(drifts, np.float64)


def leapfrogs(weights) -> tuple[Array, Array]:
    """Leapfrogs of these lengths one after the other as one step."""
    kicks = [0.5 * (before + after) for before, after in zip([0.0, *weights], [*weights, 0.0], strict=True)]
    return composition(kicks, weights)


COMPOSITIONS = {
    **{order: composition(KICKS[k][: STAGES[k] + 1], DRIFTS[k][: STAGES[k]]) for k, order in enumerate((2, 4, 6))},
    8: leapfrogs([*EIGHTH, *EIGHTH[-2::-1]]),
}


def finished(system: System, times: Array, found: list[Array], energy: Array, **facts) -> Trajectory:
    """A trajectory with what it kept."""
    whole = abs(energy[0]) if energy[0] != 0 else 1.0
    first, last = (twist(system.gm, found[0][k], found[1][k]) for k in (0, -1))
    before, change = (float(np.sqrt(turn @ turn)) for turn in (first, last - first))
    return Trajectory(
        t=times, position=found[0], velocity=found[1], acceleration=found[2], energy_error=np.abs(energy - energy[0]) / whole,
        angular_momentum_error=change / before if before > 0 else change, **facts,
    )  # fmt: skip


def twist(gm: Array, x: Array, v: Array) -> Array:
    """Angular momentum [3] times G; np.cross takes 30 us more."""
    return np.asarray(gm @ (x[:, [1, 2, 0]] * v[:, [2, 0, 1]] - x[:, [2, 0, 1]] * v[:, [1, 2, 0]]))


# ---- compiled --------------------------------------------------------------------------------------------------------------------


def integrate(gm, own, place, speed, force, ahead, behind, kicks, drifts, dt, steps, every, count, x, v, a, energy):
    """All steps. x, v, a [knot, body, 3] and energy [knot], which is times G, are written; ahead and behind are room to work in."""
    energy[0] = pull(gm, own, place, force, ahead, behind, count) + kinetic(own, speed, len(gm))
    keep(0, len(gm), place, speed, force, x, v, a)
    knot, potential = 1, 0.0
    for step in range(1, steps + 1):
        move(speed, force, dt * kicks[0])
        for stage in range(len(drifts)):
            move(place, speed, dt * drifts[stage])
            potential = pull(gm, own, place, force, ahead, behind, count)
            move(speed, force, dt * kicks[stage + 1])
        if step % every == 0 or step == steps:
            energy[knot] = potential + kinetic(own, speed, len(gm))
            keep(knot, len(gm), place, speed, force, x, v, a)
            knot += 1


@lane_code
def move(vectors, rates, duration):
    """vectors += duration rates, of every body in both of its places."""
    for at in range(0, len(vectors), EIGHT):
        put(vectors, at, eight(vectors, at) + duration * eight(rates, at))


@lane_code
def pull(gm, own, place, force, ahead, behind, count):
    """Writes the accelerations; gives the potential energy times G."""
    wide, padded = len(gm), len(own)
    zero = spread(0.0)
    for at in range(0, 3 * padded, EIGHT):
        put(ahead, at, zero)
    for at in range(0, BANKS * 3 * wide, EIGHT):
        put(behind, at, zero)
    potential = zero
    for apart in range(1, count // 2 + 1):
        bank = apart % BANKS * 3 * wide
        for at in range(0, padded, EIGHT):
            to = at + apart
            dx = eight(place, to) - eight(place, at)
            dy = eight(place, wide + to) - eight(place, wide + at)
            dz = eight(place, 2 * wide + to) - eight(place, 2 * wide + at)
            square = dx * dx + dy * dy + dz * dz
            inverse_cube = 1 / (square * sqrt(square))
            there, back = eight(gm, to) * inverse_cube, eight(own, at) * inverse_cube
            potential = potential - eight(gm, to) * back * square
            put(ahead, at, eight(ahead, at) + there * dx)
            put(ahead, padded + at, eight(ahead, padded + at) + there * dy)
            put(ahead, 2 * padded + at, eight(ahead, 2 * padded + at) + there * dz)
            to += bank
            put(behind, to, eight(behind, to) - back * dx)
            put(behind, wide + to, eight(behind, wide + to) - back * dy)
            put(behind, 2 * wide + to, eight(behind, 2 * wide + to) - back * dz)
    for axis in range(3):
        for again in range(0, wide - padded + 1, count):
            for at in range(0, padded, EIGHT):
                put(force, axis * wide + again + at, total(ahead, behind, axis, at, wide, padded, count))
    return summed(potential, behind)


@lane_code
def total(ahead, behind, axis, at, wide, padded, count):
    """What eight bodies received along an axis."""
    found = eight(ahead, axis * padded + at)
    for bank in range(BANKS):
        first = (bank * 3 + axis) * wide + at
        found = found + (eight(behind, first) + eight(behind, first + count))
    return found


@lane_code
def summed(lanes, room):
    """The sum of eight numbers, in pairs."""
    put(room, 0, lanes)
    return ((room[0] + room[1]) + (room[2] + room[3])) + ((room[4] + room[5]) + (room[6] + room[7]))


@lane_code
def kinetic(own, speed, wide):
    """Kinetic energy times G; own is 0 from the second round on."""
    total = 0.0
    for body in range(len(own)):
        u, v, w = speed[body], speed[wide + body], speed[2 * wide + body]
        total += 0.5 * own[body] * (u * u + v * v + w * w)
    return total


@lane_code
def keep(knot, wide, place, speed, force, x, v, a):
    """One knot."""
    for body in range(x.shape[1]):
        for axis in range(3):
            at = axis * wide + body
            x[knot, body, axis], v[knot, body, axis], a[knot, body, axis] = place[at], speed[at], force[at]
