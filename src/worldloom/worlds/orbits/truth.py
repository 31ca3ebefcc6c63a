"""Truth: the motion of a system to rounding, with dense output, by Taylor series of degree 20 with adaptive steps.

The step is where the last two orders fall below tolerance times the sum of the magnitudes of a body's attractions, for each body: a scale
that no cancellation makes small, and that does not depend on the frame. Times of knots are floating-point numbers and steps their exact
differences, so no time is lost; positions and velocities are summed with compensation (Kahan 1965). Source: Jorba and Zou 2005.

Bits are the same on every machine: + - * / and square roots alone, nothing contracted, one order of every sum.

Chosen by measurement against Gauss-Radau 15 (IAS15 of REBOUND 5.2, one core of an EPYC 9004, CPU time): the stable dense system takes 577
steps and 9 ms against 1772 and 97 ms, the chaotic one 4283 and 24 ms against 6592 and 173 ms, with 1e-13 against 2e-10 of energy error.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from worldloom.core.cache import KernelCache, source_digest, sources
from worldloom.core.errors import InputError
from worldloom.core.lanes import lane_code, like, maximum, where
from worldloom.worlds.orbits.forces import WIDTH, Array, lanes_from, pairs_of, put
from worldloom.worlds.orbits.system import System
from worldloom.worlds.orbits.taylor import ORDER, SPAN, attract, expand, gather, memory_of, repeat
from worldloom.worlds.orbits.trajectory import Trajectory

GROWTH = 1.25  # of the step, at most
DROPPED = 0.1  # of the tolerance: what a pair may add at an order at which it is left out
RESOLUTION = 2.0**-50  # the shortest step, relative to the time
MORE, COMPLETE, UNRESOLVED = 0, 1, 2  # what `advance` ends with
TIME, ENERGY, ENERGY_SCALE, MOMENTUM, MOMENTUM_SCALE, MOMENTUM_ERROR = 0, 2, 3, 4, 7, 8  # places in the clock; momentum has three
ROOM = 2**25  # bytes of knots to begin with; pages that are not written cost nothing


class Knots(NamedTuple):
    """The arrays of a Trajectory, with room for more knots."""

    t: Array
    position: Array
    velocity: Array
    acceleration: Array
    higher: Array
    energy_error: Array


# ---- the length of a step --------------------------------------------------------------------------------------------------------


@lane_code
def root(x, degree):
    """x ** (1 / degree) for x >= 1 to a few percent, from square roots: 1 / degree in binary."""
    power, share = 1.0, 1.0 / degree
    for _ in range(12):
        x, share = math.sqrt(x), 2.0 * share
        if share >= 1.0:
            power, share = power * x, share - 1.0
    return power


@lane_code
def excess(row, memory, bodies, order):
    """The largest square of (acceleration of an order / limit) of a body, in gm and spans."""
    largest = like(lanes_from(memory.limit, 0), 0)
    for i in range(0, bodies, WIDTH):
        at = (order + 2) * 3 * row + i
        x, y, z = lanes_from(memory.series, at), lanes_from(memory.series, at + row), lanes_from(memory.series, at + 2 * row)
        limit = lanes_from(memory.limit, i) * lanes_from(memory.present, i)
        largest = maximum(largest, where(limit > 0.0, (x * x + y * y + z * z) / limit, 0.0))
    put(memory.potential, 0, largest)
    factor = (order + 1.0) * (order + 2.0) / (memory.clock[SPAN] * memory.clock[SPAN])
    most = max(max(memory.potential[0], memory.potential[1]), max(memory.potential[2], memory.potential[3]))
    return factor * factor * most * (DROPPED * DROPPED)


@lane_code
def share_of_span(row, memory, bodies):
    """The step as a share of the span: where the last two orders meet the tolerance."""
    last = root(max(1.0, excess(row, memory, bodies, ORDER)), 2.0 * ORDER)
    before = root(max(1.0, excess(row, memory, bodies, ORDER - 1)), 2.0 * (ORDER - 1))
    return 1.0 / max(last, before)


# ---- one step --------------------------------------------------------------------------------------------------------------------


@lane_code
def begin(pairs, memory, bodies, tolerance):
    """Order 0 and what follows from it: accelerations, and the limits below which a pair does not count."""
    row = pairs.length
    for i in range(0, 3 * row, WIDTH):
        put(memory.series, 3 * row + i, lanes_from(memory.velocity, i) * memory.clock[SPAN])
    for i in range(0, row, WIDTH):
        nothing = like(lanes_from(memory.gm, i), 0)
        put(memory.potential, i, nothing)
        put(memory.pull, i, nothing)
        put(memory.pull, row + i, nothing)
    attract(pairs, memory)
    gather(pairs, memory, bodies, 0)
    for i in range(0, bodies, WIDTH):
        pull = lanes_from(memory.pull, i) + (lanes_from(memory.pull, row + i) + lanes_from(memory.pull, row + bodies + i))
        limit = pull * (tolerance * DROPPED)
        put(memory.limit, i, limit * limit)
    repeat(memory.limit, 0, bodies)


@lane_code
def move(row, memory, bodies, share):
    """Positions and velocities to the end of the step (Horner's rule), with what rounding leaves behind."""
    series, velocity, span = memory.series, memory.velocity, memory.clock[SPAN]
    for axis in range(3):
        for i in range(axis * row, axis * row + bodies, WIDTH):
            x = lanes_from(series, (ORDER + 2) * 3 * row + i)
            v = x * (ORDER + 2.0)
            for power in range(ORDER + 1, 1, -1):
                term = lanes_from(series, power * 3 * row + i)
                x, v = x * share + term, v * share + term * power
            change = (x * share + lanes_from(series, 3 * row + i)) * share - lanes_from(memory.position_rest, i)
            before = lanes_from(series, i)
            after = before + change
            put(memory.position_rest, i, (after - before) - change)
            put(series, i, after)
            change = v * share / span - lanes_from(memory.velocity_rest, i)
            before = lanes_from(velocity, i)
            after = before + change
            put(memory.velocity_rest, i, (after - before) - change)
            put(velocity, i, after)
        repeat(series, axis * row, bodies)
        repeat(velocity, axis * row, bodies)
        repeat(memory.position_rest, axis * row, bodies)


# ---- what is written -------------------------------------------------------------------------------------------------------------


@lane_code
def momenta(row, memory, bodies):
    """Kinetic energy, potential energy and angular momentum (x, y, z), all times G, and the sum of its magnitudes."""
    kinetic, potential, lx, ly, lz, size = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(bodies):
        gm, x, y, z = memory.gm[i], memory.series[i], memory.series[row + i], memory.series[2 * row + i]
        vx, vy, vz = memory.velocity[i], memory.velocity[row + i], memory.velocity[2 * row + i]
        kinetic += 0.5 * gm * (vx * vx + vy * vy + vz * vz)
        potential -= memory.potential[i]
        ax, ay, az = gm * (y * vz - z * vy), gm * (z * vx - x * vz), gm * (x * vy - y * vx)
        lx, ly, lz, size = lx + ax, ly + ay, lz + az, size + math.sqrt(ax * ax + ay * ay + az * az)
    return kinetic, potential, lx, ly, lz, size


@lane_code
def conserve(row, memory, bodies, knot):
    """Relative error of the energy at a knot; keeps the largest of the angular momentum. Knot 0 is what they are measured from."""
    kinetic, potential, lx, ly, lz, size = momenta(row, memory, bodies)
    clock, energy = memory.clock, kinetic + potential
    if knot == 0:
        scale = abs(energy) if energy != 0.0 else kinetic - potential
        clock[ENERGY], clock[ENERGY_SCALE] = energy, scale if scale != 0.0 else 1.0
        clock[MOMENTUM], clock[MOMENTUM + 1], clock[MOMENTUM + 2] = lx, ly, lz
        clock[MOMENTUM_SCALE] = size if size > 0.0 else 1.0
    x, y, z = lx - clock[MOMENTUM], ly - clock[MOMENTUM + 1], lz - clock[MOMENTUM + 2]
    clock[MOMENTUM_ERROR] = max(clock[MOMENTUM_ERROR], math.sqrt(x * x + y * y + z * z) / clock[MOMENTUM_SCALE])
    return (energy - clock[ENERGY]) / clock[ENERGY_SCALE]


@lane_code
def note(row, memory, bodies, knots, knot):
    """Write a knot."""
    square = memory.clock[SPAN] * memory.clock[SPAN]
    knots.t[knot] = memory.clock[TIME]
    for axis in range(3):
        for i in range(bodies):
            at = axis * row + i
            knots.position[knot, i, axis] = memory.series[at]
            knots.velocity[knot, i, axis] = memory.velocity[at]
            knots.acceleration[knot, i, axis] = 2.0 * memory.series[6 * row + at] / square


@lane_code
def note_segment(row, memory, bodies, knots, knot, share):
    """Write the polynomial that leads on from a knot: coefficients of the acceleration in the time as a share of the step."""
    power = 1.0 / (memory.clock[SPAN] * memory.clock[SPAN])
    for order in range(1, ORDER + 1):
        power = power * share
        factor = power * ((order + 1.0) * (order + 2.0))
        at = (order + 2) * 3 * row
        for i in range(bodies):
            knots.higher[knot, order - 1, i, 0] = factor * memory.series[at + i]
            knots.higher[knot, order - 1, i, 1] = factor * memory.series[at + row + i]
            knots.higher[knot, order - 1, i, 2] = factor * memory.series[at + 2 * row + i]


def advance(bodies, pairs, memory, knots, knot, duration, tolerance):
    """Steps from the time in the clock, which becomes knot number `knot`, as far as there is room. Returns (last knot, how it ended)."""
    row, clock = pairs.length, memory.clock
    while True:
        begin(pairs, memory, bodies, tolerance)
        error = conserve(row, memory, bodies, knot)
        if not abs(error) < np.inf:
            return knot - 1, UNRESOLVED
        note(row, memory, bodies, knots, knot)
        knots.energy_error[knot] = error
        time = clock[TIME]
        if time >= duration or knot + 1 == len(knots.t):
            return knot, COMPLETE if time >= duration else MORE
        expand(pairs, memory, bodies)
        later = min(time + clock[SPAN] * share_of_span(row, memory, bodies), duration)
        step = later - time
        if not step > RESOLUTION * time:
            return knot, UNRESOLVED
        note_segment(row, memory, bodies, knots, knot, step / clock[SPAN])
        move(row, memory, bodies, step / clock[SPAN])
        clock[TIME], clock[SPAN] = later, GROWTH * step
        knot += 1


@functools.cache
def compiled() -> Any:
    """`advance`, compiled on first use or from disk."""
    found = njit(_nrt=False, error_model="numpy", nogil=True)(advance)
    found._cache = KernelCache("orbits-truth", source_digest(sources([advance]) or []), "advance")
    return found


# ---- for callers -----------------------------------------------------------------------------------------------------------------


def truth(system: System, duration: float, *, tolerance: float = 1e-13, most_steps: int = 400_000) -> Trajectory:
    """The motion from time 0 to `duration`, in the system's own frame and units. Knots are the integrator's own steps.

    tolerance: of the acceleration within a step, relative. A collision ends the trajectory before it, as does the number of steps, each of
    which takes about 500 bytes for a body; then `early` says why, and the last knot is the time until which it is valid. Raises InputError
    for a duration that is not positive and for a system that has no future: numbers that are not finite, negative masses, bodies in one
    place.
    """
    check(system, duration, tolerance, most_steps)
    gm = np.ascontiguousarray(system.gm, np.float64)
    pairs = pairs_of(gm)
    memory = memory_of(gm, system.position, system.velocity, pairs, first_span(system, duration))
    bytes_per_knot = 8 * (2 + 3 * system.bodies * (3 + ORDER))
    room = min(most_steps + 1, max(64, ROOM // bytes_per_knot))
    knots, knot, end = knots_for(system.bodies, room), 0, MORE
    while True:
        knot, end = compiled()(system.bodies, pairs, memory, knots, knot, float(duration), float(tolerance))
        if end != MORE or room > most_steps:
            break
        room = min(most_steps + 1, 4 * room)
        knots = enlarged(knots, knot, room)
    if knot < 1:
        raise InputError(
            "Two bodies are so close that no step is short enough. Expected bodies apart from each other: move one of them."
        )
    t, position, velocity, acceleration, higher, energy_error = (array[: knot + 1] for array in knots)
    return Trajectory(
        t=t, position=position, velocity=velocity, acceleration=acceleration, higher=higher[:knot], energy_error=energy_error,
        angular_momentum_error=float(memory.clock[MOMENTUM_ERROR]), integrator="truth", evaluations=knot,
        early={COMPLETE: "", MORE: f"{most_steps} steps", UNRESOLVED: "collision"}[end],
    )  # fmt: skip


def check(system: System, duration: float, tolerance: float, most_steps: int) -> None:
    """Raises InputError for what has no future."""
    if not (math.isfinite(duration) and duration > 0):
        raise InputError(f"duration = {duration} is not a time to integrate. Expected a positive number.")
    if not 1e-18 <= tolerance <= 1e-3 or most_steps < 1:
        raise InputError(f"tolerance = {tolerance}, most_steps = {most_steps}. Expected 1e-18 to 1e-3, and at least one step.")
    if not system.bodies:
        raise InputError("The system has no bodies. Expected at least one.")
    for name in ("G", "mass", "position", "velocity"):
        if not np.isfinite(getattr(system, name)).all():
            raise InputError(f"{name} has numbers that are not finite. Expected finite numbers in consistent units.")
    if system.G < 0 or (system.mass < 0).any():
        raise InputError(f"Mass {system.mass.min()}, G {system.G}: gravity attracts. Expected numbers from 0 up.")
    order = np.lexsort(system.position.T)
    same = (np.diff(system.position[order], axis=0) == 0).all(axis=1) & (system.mass[order[1:]] + system.mass[order[:-1]] > 0)
    if same.any():
        k = int(np.argmax(same))
        one, other = system.names[order[k]], system.names[order[k + 1]]
        raise InputError(f"{one!r} and {other!r} start in the same place. Expected bodies apart from each other: move one of them.")


def first_span(system: System, duration: float) -> float:
    """The longest first step: half of the shortest time in which a pair would cross its distance, by moving or by falling."""
    hurry = 1.0 / float(duration) ** 2
    for k in range(system.bodies - 1):
        gm = system.gm[k + 1 :] + system.gm[k]
        felt = gm > 0
        apart = (system.position[k + 1 :] - system.position[k])[felt]
        relative = (system.velocity[k + 1 :] - system.velocity[k])[felt]
        square, speed = (apart * apart).sum(axis=1), (relative * relative).sum(axis=1)
        hurry = max(hurry, 4.0 * float((gm[felt] / (square * np.sqrt(square)) + speed / square).max(initial=0.0)))
    return 1.0 / math.sqrt(hurry)


def knots_for(bodies: int, room: int) -> Knots:
    """Empty arrays."""
    shape = (room, bodies, 3)
    return Knots(
        t=np.empty(room), position=np.empty(shape), velocity=np.empty(shape), acceleration=np.empty(shape),
        higher=np.empty((room, ORDER, bodies, 3)), energy_error=np.empty(room),
    )  # fmt: skip


def enlarged(knots: Knots, used: int, room: int) -> Knots:
    """The same knots with more room."""
    larger = knots_for(knots.position.shape[1], room)
    for old, new in zip(knots, larger, strict=True):
        new[:used] = old[:used]
    return larger
