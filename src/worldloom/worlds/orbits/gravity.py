"""Newton's gravity between all pairs of bodies, and what it conserves, as lane code. Units: au, yr, solar mass; gm is G times mass.

Each pair is visited once, in the order (0,1), (0,2) …, and pulls both of its bodies: half the roots and divisions, momentum that is
kept to rounding, and one fixed order of sums.
"""

from worldloom.core import extent, lane_code, like, sqrt


@lane_code
def pull(i, params, inputs, state):
    """The acceleration of every body where it is, au/yr2.

    1 / (r2 sqrt(r2)) by one root and one division. core's inverse_sqrt has neither, but its 19 multiplications and additions take 1.35
    times as long (AVX-512, 11 bodies), a start in single precision 1.2 times; two rows of pairs at once, or one division for two, the same.
    """
    acceleration, bodies = state.acceleration, extent(state.position, 1)
    for axis in range(3):
        for body in range(bodies):
            acceleration[i, axis, body] = 0
    soft = params.softening * params.softening
    for first in range(bodies):
        x, y, z, gm = state.position[i, 0, first], state.position[i, 1, first], state.position[i, 2, first], inputs.gm[i, first]
        ax, ay, az = acceleration[i, 0, first], acceleration[i, 1, first], acceleration[i, 2, first]
        for second in range(first + 1, bodies):
            dx, dy, dz = state.position[i, 0, second] - x, state.position[i, 1, second] - y, state.position[i, 2, second] - z
            square = dx * dx + dy * dy + dz * dz + soft
            inverse_cube = 1 / (square * sqrt(square))
            there, back = inputs.gm[i, second] * inverse_cube, gm * inverse_cube
            ax, ay, az = ax + there * dx, ay + there * dy, az + there * dz
            acceleration[i, 0, second] = acceleration[i, 0, second] - back * dx
            acceleration[i, 1, second] = acceleration[i, 1, second] - back * dy
            acceleration[i, 2, second] = acceleration[i, 2, second] - back * dz
        acceleration[i, 0, first], acceleration[i, 1, first], acceleration[i, 2, first] = ax, ay, az


@lane_code
def energy(i, params, inputs, state):
    """Kinetic and potential energy times G, au5/yr4."""
    bodies, soft = extent(state.position, 1), params.softening * params.softening
    total = like(soft, 0)
    for first in range(bodies):
        gm, x, y, z = inputs.gm[i, first], state.position[i, 0, first], state.position[i, 1, first], state.position[i, 2, first]
        u, v, w = state.velocity[i, 0, first], state.velocity[i, 1, first], state.velocity[i, 2, first]
        total = total + gm * (u * u + v * v + w * w) * 0.5
        for second in range(first + 1, bodies):
            dx, dy, dz = state.position[i, 0, second] - x, state.position[i, 1, second] - y, state.position[i, 2, second] - z
            total = total - gm * inputs.gm[i, second] / sqrt(dx * dx + dy * dy + dz * dz + soft)
    return total


@lane_code
def momentum(i, inputs, state):
    """The three components of the angular momentum times G, au5/yr3."""
    x, y, z = like(inputs.gm[i, 0], 0), like(inputs.gm[i, 0], 0), like(inputs.gm[i, 0], 0)
    for body in range(extent(state.position, 1)):
        gm = inputs.gm[i, body]
        px, py, pz = state.position[i, 0, body], state.position[i, 1, body], state.position[i, 2, body]
        u, v, w = state.velocity[i, 0, body], state.velocity[i, 1, body], state.velocity[i, 2, body]
        x, y, z = x + gm * (py * w - pz * v), y + gm * (pz * u - px * w), z + gm * (px * v - py * u)
    return x, y, z
