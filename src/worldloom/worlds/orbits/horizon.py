"""The predictability horizon: from when on the position of some body is uncertain by more than a stated part of the system.

A small change e of all positions follows the variational equations, which are linear in it and need the trajectory alone:

    e_i'' = sum_j gm_j u (e_ij - 3 (d_ij . e_ij) / s d_ij),   d_ij = x_j - x_i, s = d . d, u = s^(-3/2)

(Murray and Dermott 1999, section 9.4). They are integrated over the knots of the trajectory by leapfrog with 1, 2, 3 and 4 substeps,
extrapolated to order 8 (Gragg 1965; Hairer, Norsett and Wanner 1993, II.9): ten sweeps over the pairs per step. Order 4 was tried, and
order 6: in a close encounter e grows and shrinks again by 1e5, and what they left of that was wrong by as much. Order by error control
spent as many sweeps. It stops where the bound is reached, so nothing overflows.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from worldloom.core.cache import KernelCache, source_digest, sources
from worldloom.core.field import aligned
from worldloom.core.lanes import lane_code, like, sqrt
from worldloom.worlds.orbits.forces import WIDTH, Array, Pairs, lanes_from, pairs_of, put
from worldloom.worlds.orbits.system import System
from worldloom.worlds.orbits.taylor import add_force, repeat, separation
from worldloom.worlds.orbits.trajectory import Trajectory
from worldloom.worlds.orbits.truth import truth

ROUNDING = 1e-15  # of positions and velocities, relative: what input in double precision does not say
BOUND = 1e-3  # of the smallest semi-major axis: 0.06 degrees of an orbit
GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly: directions that no symmetry singles out
WEIGHTS = (-1 / 360, 16 / 45, -729 / 280, 1024 / 315)  # of 1 … 4 substeps: products of n^2 / (n^2 - m^2) over the others
TERMS = 8  # of the acceleration beyond the first that positions within a step need


class Change(NamedTuple):
    """Flat arrays, bodies in rows, repeated behind the last.

    position, force [3, body]; change, trial, found [2, 3, body]: positions and velocities; sums [2, 3, body]; between [body * 3].
    """

    position: Array
    force: Array
    change: Array
    trial: Array
    found: Array
    sums: Array
    between: Array


class Followed(NamedTuple):
    """The knots that the change follows: t [knot]; position, velocity, acceleration [knot * body * 3]; higher [knot * terms * body * 3]."""

    t: Array
    position: Array
    velocity: Array
    acceleration: Array
    higher: Array
    terms: int


@lane_code
def place(knots, knot, share, row, bodies, memory):
    """Positions at a share of the step behind a knot as rows: s^2 h^2 (a / 2 + s b0 / 6 + …) by Horner's rule."""
    size, between, start = 3 * bodies, memory.between, knot * knots.terms * 3 * bodies
    time = share * (knots.t[knot + 1] - knots.t[knot])
    for q in range(0, size, WIDTH):
        bend = like(lanes_from(between, q), 0)
        for term in range(min(TERMS, knots.terms) - 1, -1, -1):
            bend = (bend + lanes_from(knots.higher, start + term * size + q) * (1.0 / ((term + 2.0) * (term + 3.0)))) * share
        put(between, q, bend)
    for i in range(bodies):
        for axis in range(3):
            q, at = 3 * i + axis, knot * size + 3 * i + axis
            bend = 0.5 * knots.acceleration[at] + between[q]
            memory.position[axis * row + i] = knots.position[at] + time * (knots.velocity[at] + time * bend)
    for axis in range(3):
        repeat(memory.position, axis * row, bodies)


@lane_code
def tide(pairs, memory, bodies):
    """e'' of the trial."""
    row, sums = pairs.length, memory.sums
    for i in range(0, 6 * row, WIDTH):
        put(sums, i, like(lanes_from(sums, i), 0))
    for group in range(len(pairs.first)):
        first, second, at = pairs.first[group], pairs.second[group], group * WIDTH
        x, y, z = separation(memory.position, 0, row, first, second)
        ex, ey, ez = separation(memory.trial, 0, row, first, second)
        s = x * x + y * y + z * z + lanes_from(pairs.guard, at)
        inverse = 1.0 / sqrt(s)
        square = inverse * inverse
        u, along = square * inverse, 3.0 * square * (x * ex + y * ey + z * ez)
        to_first, to_second = lanes_from(pairs.by_second, at), lanes_from(pairs.by_first, at)
        add_force(sums, row, first, second, to_first, to_second, u * (ex - along * x), u * (ey - along * y), u * (ez - along * z))
    for axis in range(3):
        here, there = axis * row, (3 + axis) * row
        for i in range(0, bodies, WIDTH):
            put(
                memory.force,
                here + i,
                lanes_from(sums, here + i) + (lanes_from(sums, there + i) + lanes_from(sums, there + bodies + i)),
            )
        repeat(memory.force, here, bodies)


@lane_code
def add(into, start, other, place, count, factor):
    """into += factor * other, for `count` numbers from `start` and `place` on."""
    for i in range(0, count, WIDTH):
        put(into, start + i, lanes_from(into, start + i) + factor * lanes_from(other, place + i))


@lane_code
def leap(pairs, memory, bodies, knots, knot, substeps):
    """The change one step on, as the trial: leapfrog with a number of substeps."""
    half, part = 3 * pairs.length, (knots.t[knot + 1] - knots.t[knot]) / substeps
    for i in range(0, 2 * half, WIDTH):
        put(memory.trial, i, lanes_from(memory.change, i))
    for k in range(substeps):
        add(memory.trial, 0, memory.trial, half, half, 0.5 * part if k == 0 else part)
        place(knots, knot, (k + 0.5) / substeps, pairs.length, bodies, memory)
        tide(pairs, memory, bodies)
        add(memory.trial, half, memory.force, 0, half, part)
    add(memory.trial, 0, memory.trial, half, half, 0.5 * part)


@lane_code
def follow(pairs, memory, bodies, knots, knot):
    """Take the change from a knot to the next."""
    count = 6 * pairs.length
    for i in range(0, count, WIDTH):
        put(memory.found, i, like(lanes_from(memory.found, i), 0))
    for k in range(len(WEIGHTS)):
        leap(pairs, memory, bodies, knots, knot, k + 1)
        add(memory.found, 0, memory.trial, 0, count, WEIGHTS[k])
    for i in range(0, count, WIDTH):
        put(memory.change, i, lanes_from(memory.found, i))


@lane_code
def size(memory, row, bodies):
    """The largest distance by which a body is off."""
    most = 0.0
    for i in range(bodies):
        x, y, z = memory.change[i], memory.change[row + i], memory.change[2 * row + i]
        most = max(most, x * x + y * y + z * z)
    return most


def grow(bodies, pairs, memory, knots, limit):
    """The first knot at which the change is larger than limit, or -1."""
    square = limit * limit
    for knot in range(len(knots.t) - 1):
        follow(pairs, memory, bodies, knots, knot)
        if not size(memory, pairs.length, bodies) <= square:
            return knot + 1
    return -1


@functools.cache
def compiled() -> Any:
    """`grow`, compiled on first use or from disk."""
    found = njit(_nrt=False, error_model="numpy", nogil=True)(grow)
    found._cache = KernelCache("orbits-horizon", source_digest(sources([grow]) or []), "grow")
    return found


def horizon(
    system: System, duration: float, trajectory: Trajectory | None = None, *, uncertainty: float = ROUNDING, bound: float = BOUND
) -> float:
    """Time from which on some body is more than bound times the smallest semi-major axis from where the trajectory has it; inf for never.

    uncertainty: of positions and velocities at the start, relative to the distance and speed of each body in the frame of the centre of
    mass. trajectory: of any integrator, from time 0; made by `truth` where there is none. Good to the length of a step and to a factor of
    a few in the distance, which in a chaotic system is a small part of the time. Nothing after the end of the trajectory is known.
    """
    found = trajectory if trajectory is not None else truth(system, duration)
    followed = followed_by(found, min(len(found.t), int(np.searchsorted(found.t, duration)) + 1))
    pairs = pairs_of(np.ascontiguousarray(system.gm, np.float64))
    memory = change_of(system, pairs)
    knot = compiled()(system.bodies, pairs, memory, followed, bound * smallest_axis(system) / uncertainty)
    return float(found.t[knot]) if knot >= 0 else np.inf


def followed_by(trajectory: Trajectory, knots: int) -> Followed:
    """The first knots of a trajectory, without a copy of what `truth` made; where it has no terms of its own, those of its quintic."""
    arrays = (trajectory.t, trajectory.position, trajectory.velocity, trajectory.acceleration)
    t, position, velocity, acceleration = (np.ascontiguousarray(array[:knots], np.float64).reshape(-1) for array in arrays)
    higher = trajectory.higher
    if higher is None:
        term, step = np.arange(3.0)[None, :, None, None], np.diff(trajectory.t[:knots])[:, None, None, None]
        higher = trajectory.coefficients(0, knots - 1)[:, 3:] * ((term + 2) * (term + 3)) / step**2
    if higher.shape[1] <= TERMS:  # lanes read up to WIDTH numbers behind the last term
        higher = np.pad(higher, ((0, 1), (0, 0), (0, 0), (0, 0)))
    return Followed(t, position, velocity, acceleration, np.ascontiguousarray(higher).reshape(-1), higher.shape[1])


def smallest_axis(system: System) -> float:
    """The smallest semi-major axis of a body about the heaviest, in magnitude; inf where nothing is bound to anything by mass."""
    heaviest = int(np.argmax(system.mass))
    others = np.arange(system.bodies) != heaviest
    gm = (system.gm + system.gm[heaviest])[others]
    apart = (system.position - system.position[heaviest])[others]
    relative = (system.velocity - system.velocity[heaviest])[others]
    inverse = 2.0 / np.sqrt((apart * apart).sum(axis=1)) - (relative * relative).sum(axis=1) / np.where(gm > 0, gm, np.inf)
    return float((1.0 / np.maximum(np.abs(inverse), 1e-300))[gm > 0].min(initial=np.inf))


def change_of(system: System, pairs: Pairs) -> Change:
    """A change of each body by its distance and speed, in directions of no symmetry: what an uncertainty of one would be."""
    row, still = pairs.length, system.centred()
    memory = Change(*(aligned((rows * row + WIDTH,), np.float64) for rows in (3, 3, 6, 6, 6, 6, 3)))
    for array in memory:
        array[:] = 0
    bodies = np.arange(row) % system.bodies
    numbers = np.arange(1.0, 6 * system.bodies + 1).reshape(2, system.bodies, 3)
    directions = (numbers * GOLDEN) % 1.0 - 0.5
    directions /= np.sqrt((directions * directions).sum(axis=2, keepdims=True))
    for part, vectors in enumerate((still.position, still.velocity)):
        change = directions[part] * np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
        memory.change[3 * part * row : 3 * (part + 1) * row] = change.T[:, bodies].reshape(-1)
    return memory
