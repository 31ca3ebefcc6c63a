"""Whether a system keeps together, and how its periods sound beside each other, as lane code.

Orbits are Jacobi's: about the centre of mass of all bodies further inside, which come before. Their axes do not feel how planets
further inside move the star.
"""

from math import gcd, log2

import numpy as np

from worldloom.core import cast, cbrt, extent, lane_code, like, maximum, minimum, sqrt, where
from worldloom.core import log2 as octaves_of
from worldloom.worlds.orbits import gravity

FAR = 1000.0  # mutual Hill radii: what `closest` says where no two planets met
MET = 1.0  # mutual Hill radii; nearer than that, no fixed step follows two planets
ROOM = 8.0  # mutual Hill radii; planets further apart stay in order for 1e6 orbits and more (Chambers et al. 1996, Icarus 119, 261)
RESTLESS = 0.02  # relative change of a semi-major axis that halves fitness
LOST = 0.01  # relative change of energy from which on the step did not hold
PURE = 1 / 48  # octaves, 25 cents: a ratio so far from a just interval sounds half as well
JUST = sorted((p / q, p * q) for q in range(1, 8) for p in range(q + 1, 9) if gcd(p, q) == 1 and p <= 4 * q)
WHERE = tuple(log2(ratio) for ratio, _ in JUST)  # octaves
WORTH = tuple(2 / (1 + log2(product)) for _, product in JUST)  # by Tenney's height, log2(p q): 1 for the octave, 0.56 for the fifth
# Source: Tenney 1983, John Cage and the theory of harmony, Soundings 13, 55.


@lane_code
def begin(i, params, inputs, state):
    """Orbits at the start."""
    for body in range(extent(state.position, 1)):
        state.axis[i, body] = 0
        state.inverse_axis[i, body] = 0
    state.migration[i] = 0
    state.gap[i] = FAR * FAR * FAR * FAR * FAR * FAR
    state.broken[i] = params.dt != params.dt
    look(i, params, inputs, state)
    for body in range(params.stars, extent(state.position, 1)):
        inverse = state.inverse_axis[i, body]
        state.axis[i, body] = 1 / where(inverse > 0, inverse, like(inverse, 1))
    approach(i, params, inputs, state)


@lane_code
def watch(i, params, inputs, state):
    """Orbits and distances now."""
    look(i, params, inputs, state)
    approach(i, params, inputs, state)


@lane_code
def look(i, params, inputs, state):
    """1 / a of every planet, from 2 / r - v2 / mu."""
    mass = like(params.dt, 0)
    x, y, z, u, v, w = mass, mass, mass, mass, mass, mass  # of all bodies inside: position and velocity times gm
    for body in range(extent(state.position, 1)):
        gm, share = inputs.gm[i, body], 1 / where(mass > 0, mass, like(mass, 1))
        px, py, pz = state.position[i, 0, body], state.position[i, 1, body], state.position[i, 2, body]
        pu, pv, pw = state.velocity[i, 0, body], state.velocity[i, 1, body], state.velocity[i, 2, body]
        if body >= params.stars:
            dx, dy, dz = px - x * share, py - y * share, pz - z * share
            du, dv, dw = pu - u * share, pv - v * share, pw - w * share
            inverse = 2 / sqrt(dx * dx + dy * dy + dz * dz) - (du * du + dv * dv + dw * dw) / (mass + gm)
            state.inverse_axis[i, body] += inverse
            bound = (inverse > 0) & (inverse < 1e300)
            state.broken[i] = state.broken[i] | ~bound
            changed = abs(1 / where(bound, inverse, like(inverse, 1)) - state.axis[i, body]) / state.axis[i, body]
            known = bound & (state.axis[i, body] > 0)
            state.migration[i] = maximum(where(known, changed, like(changed, 0)), state.migration[i])
        mass, x, y, z = mass + gm, x + gm * px, y + gm * py, z + gm * pz
        u, v, w = u + gm * pu, v + gm * pv, w + gm * pw


@lane_code
def approach(i, params, inputs, state):
    """How near two planets come within half a look before or after, on straight lines, in mutual Hill radii to the sixth power.

    Mutual Hill radius: (a1 + a2) / 2 cbrt((m1 + m2) / (3 M)), with the axes of the start (Chambers et al. 1996, equation 1).
    """
    bodies, reach = extent(state.position, 1), params.dt * params.watch_every * 0.5
    stars = like(reach, 0)
    for body in range(params.stars):
        stars = stars + inputs.gm[i, body]
    for first in range(params.stars, bodies):
        for second in range(first + 1, bodies):
            dx, dy, dz = apart(i, state.position, first, second)
            du, dv, dw = apart(i, state.velocity, first, second)
            speed, along = du * du + dv * dv + dw * dw, dx * du + dy * dv + dz * dw
            when = minimum(maximum(-along / where(speed > 0, speed, like(speed, 1)), -reach), reach)
            square = maximum(dx * dx + dy * dy + dz * dz + when * (2 * along + when * speed), like(when, 0))
            middle = 0.5 * (state.axis[i, first] + state.axis[i, second])
            cube = middle * middle * middle * (inputs.gm[i, first] + inputs.gm[i, second]) / (3 * stars)
            state.gap[i] = minimum(square * square * square / (cube * cube), state.gap[i])


@lane_code
def apart(i, vectors, first, second):
    """The vector from one body's to another's."""
    return (
        vectors[i, 0, second] - vectors[i, 0, first],
        vectors[i, 1, second] - vectors[i, 1, first],
        vectors[i, 2, second] - vectors[i, 2, first],
    )


@lane_code
def consonance(i, params, state):
    """Mean over neighbours of the best just interval near their period ratio: max over p/q of worth / (1 + (distance / PURE)^2)."""
    total, neighbours = like(state.energy[i], 0), extent(state.position, 1) - params.stars - 1
    for inner in range(params.stars, extent(state.position, 1) - 1):
        ratio = state.inverse_axis[i, inner] / state.inverse_axis[i, inner + 1]
        octaves = abs(octaves_of(where(ratio > 0, ratio, like(ratio, 1)))) * 1.5  # Kepler's third law
        best = like(octaves, 0)
        for k in range(len(WHERE)):
            off = (octaves - WHERE[k]) * (1 / PURE)
            best = maximum(WORTH[k] / (1 + off * off), best)
        total = total + best
    return total / max(neighbours, 1)


@lane_code
def judge(i, params, inputs, state, outcome):
    """What it all amounts to; systems that broke are worth nothing, and no number of an outcome is infinite."""
    energy, none = state.energy[i], like(state.energy[i], 0)
    drift = abs(gravity.energy(i, params, inputs, state) - energy) / where(energy != 0, abs(energy), none + 1)
    turn = twist(i, inputs, state)
    closest = sqrt(cbrt(state.gap[i]))
    whole = ~state.broken[i] & (closest >= MET) & (drift <= LOST) & (turn < 1e300) & (state.migration[i] < 1e300)
    room, unrest = minimum(closest * (1 / ROOM), none + 1), state.migration[i] * (1 / RESTLESS)
    sound = consonance(i, params, state)
    outcome.fitness[i] = where(whole, sound * room / (1 + unrest * unrest), none)
    outcome.energy_error[i] = where(drift < 1e300, drift, none + 1e300)
    outcome.angular_momentum_error[i] = where(turn < 1e300, turn, none + 1e300)
    outcome.closest[i] = closest
    outcome.migration[i] = state.migration[i]
    outcome.consonance[i] = where(whole, sound, none)
    for axis in range(3):
        for body in range(extent(state.position, 1)):
            place = state.position[i, axis, body]
            outcome.position[i, axis, body] = where(abs(place) < 1e300, place, none)
    outcome.status[i] = cast(~whole, np.int8)  # Status.OK or Status.UNSTABLE


@lane_code
def twist(i, inputs, state):
    """Relative change of the angular momentum."""
    x, y, z = gravity.momentum(i, inputs, state)
    was_x, was_y, was_z = state.momentum[i, 0], state.momentum[i, 1], state.momentum[i, 2]
    before = sqrt(was_x * was_x + was_y * was_y + was_z * was_z)
    dx, dy, dz = x - was_x, y - was_y, z - was_z
    return sqrt(dx * dx + dy * dy + dz * dz) / where(before > 0, before, like(before, 1))
