"""Nodes between air and ground: semi-implicit Euler, restitution, and Coulomb friction whose impulse is at most mu m g dt."""

from worldloom.core import lane_code, maximum, sqrt, where

X, Y, Z = range(3)
RESTING = 2.0  # an impact slower than this many g dt does not bounce: gravity alone makes resting nodes that fast
TINY = 1e-9  # m/s: keeps the direction of no motion finite


@lane_code
def move(i, node, params, inputs, state, force):
    """One step of one node. It ends at or above the ground."""
    x, v, dt = state.position, state.velocity, params.dt
    kept, fall = 1 - params.drag * dt, params.gravity * dt
    push = inputs.lightness[i, node] * dt
    vx = (v[i, X, node] + force[X, node] * push) * kept
    vy = (v[i, Y, node] + force[Y, node] * push) * kept + fall
    vz = (v[i, Z, node] + force[Z, node] * push) * kept
    floor, y = inputs.radius[i, node], x[i, Y, node] + vy * dt
    touching = y < floor
    vy = where(touching, where(vy < fall * RESTING, -params.restitution * vy, 0), vy)
    grip = where(touching, inputs.friction[i, node] * fall, 0)  # negative: gravity points down
    kept_sliding = maximum(1 + grip / (sqrt(vx * vx + vz * vz) + TINY), 0)
    vx, vz = vx * kept_sliding, vz * kept_sliding
    v[i, X, node], v[i, Y, node], v[i, Z, node] = vx, vy, vz
    x[i, X, node] += vx * dt
    x[i, Y, node] = maximum(y, floor)
    x[i, Z, node] += vz * dt
