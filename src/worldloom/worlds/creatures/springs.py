"""Muscles as damped springs: Hooke's law and axial damping, with a rest length that follows the brain's wish.

Each block visits the edges on which any of its 16 creatures has a muscle; where a creature has none, stiffness and damping are 0 and
add +-0 to sums that began at +0, which changes no bit. So bodies of any topology share a register, and none depends on its neighbours.
Edges are visited by their first node, whose place and force stay in registers meanwhile: loads and stores are what costs here.
"""

from worldloom.core import lane_code, like, maximum, minimum, sqrt

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
def tension(i, k, square, closing, params, inputs, state):
    """Force of muscle k over its length, N/m; square of its length, closing = length times the rate at which it grows."""
    inverse_square = 1 / square
    length = sqrt(square)
    stretch = inputs.stiffness[i, k] * (length - follow(i, k, params, state))
    return stretch * (length * inverse_square) + inputs.damping[i, k] * (closing * inverse_square)


@lane_code
def pull(i, a, params, inputs, state, force):
    """Adds to force [axis, node], N, what the muscles that begin at node a do to it and to their other ends."""
    x, v = state.position, state.velocity
    ax, ay, az = x[i, X, a], x[i, Y, a], x[i, Z, a]
    ux, uy, uz = v[i, X, a], v[i, Y, a], v[i, Z, a]
    total_x, total_y, total_z = like(ax, 0), like(ax, 0), like(ax, 0)
    for k in range(inputs.begins[i, a], inputs.ends[i, a]):
        b = inputs.second[i, k]
        ex, ey, ez = x[i, X, b] - ax, x[i, Y, b] - ay, x[i, Z, b] - az
        closing = (v[i, X, b] - ux) * ex + (v[i, Y, b] - uy) * ey + (v[i, Z, b] - uz) * ez
        pulled = tension(i, k, ex * ex + ey * ey + ez * ez + TINY, closing, params, inputs, state)
        fx, fy, fz = ex * pulled, ey * pulled, ez * pulled
        total_x, total_y, total_z = total_x + fx, total_y + fy, total_z + fz
        force[X, b] -= fx
        force[Y, b] -= fy
        force[Z, b] -= fz
    force[X, a] += total_x
    force[Y, a] += total_y
    force[Z, a] += total_z
