"""Muscles as damped springs: Hooke's law and axial damping, with a rest length that follows the brain's wish.

Each block visits the edges on which any of its 16 creatures has a muscle; where a creature has none, stiffness and damping are 0 and
add +-0 to sums that began at +0, which changes no bit. So bodies of any topology share a register, and none depends on its neighbours.
"""

from worldloom.core import lane_code, maximum, minimum, sqrt

X, Y, Z = range(3)
TINY = 1e-12  # m2: keeps the direction of a muscle of no length finite


@lane_code
def follow(i, k, params, state):
    """The present rest length of muscle k, moved towards its goal: exponentially, at no more than the muscles' top speed."""
    length, fastest = state.length[i, k], params.speed * params.dt
    change = (state.goal[i, k] - length) * (params.response * params.dt)
    length += minimum(maximum(change, -fastest), fastest)
    state.length[i, k] = length
    return length


@lane_code
def pull(i, k, params, inputs, state, force):
    """Adds what muscle k does to its two nodes, N."""
    x, v, a, b = state.position, state.velocity, inputs.first[i, k], inputs.second[i, k]
    ex, ey, ez = x[i, X, b] - x[i, X, a], x[i, Y, b] - x[i, Y, a], x[i, Z, b] - x[i, Z, a]
    vx, vy, vz = v[i, X, b] - v[i, X, a], v[i, Y, b] - v[i, Y, a], v[i, Z, b] - v[i, Z, a]
    square = ex * ex + ey * ey + ez * ez + TINY
    now = sqrt(square)
    inverse = 1 / now
    stretch = now - follow(i, k, params, state)
    rate = (vx * ex + vy * ey + vz * ez) * inverse
    tension = (inputs.stiffness[i, k] * stretch + inputs.damping[i, k] * rate) * inverse
    fx, fy, fz = ex * tension, ey * tension, ez * tension
    force[X, a] += fx
    force[Y, a] += fy
    force[Z, a] += fz
    force[X, b] -= fx
    force[Y, b] -= fy
    force[Z, b] -= fz
