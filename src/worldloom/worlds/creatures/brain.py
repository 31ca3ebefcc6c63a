"""What drives the muscles: a rhythm of their own, a small network, or both."""

import numpy as np

from worldloom.core import dot, extent, lane_code, minimum, scratch, scratch_like, sincos_turns, sqrt, tanh_rough
from worldloom.worlds.creatures.spec import BASIC_SENSES, BRAINS, CLOCKS
from worldloom.worlds.creatures.task import aim

OSCILLATOR, HYBRID, PURE = (BRAINS.index(name) for name in ("oscillator", "hybrid", "pure"))
NO_CLOCK, CYCLIC, SINE, RAW = (CLOCKS.index(name) for name in ("none", "cyclic", "sin", "raw"))
X, Y, Z = range(3)
NEAR = 0.05  # 1/m: brings the distances of an arena near 1
MOST_SENSES = BASIC_SENSES + 2


@lane_code
def centre(i, inputs, state):
    """Position and velocity of the centre of mass, in one pass over the nodes."""
    p, v, w = state.position, state.velocity, inputs.share[i, 0]
    x, y, z = p[i, X, 0] * w, p[i, Y, 0] * w, p[i, Z, 0] * w
    vx, vy, vz = v[i, X, 0] * w, v[i, Y, 0] * w, v[i, Z, 0] * w
    for node in range(1, inputs.node_count[i]):
        w = inputs.share[i, node]
        x, y, z = x + p[i, X, node] * w, y + p[i, Y, node] * w, z + p[i, Z, node] * w
        vx, vy, vz = vx + v[i, X, node] * w, vy + v[i, Y, node] * w, vz + v[i, Z, node] * w
    return x, y, z, vx, vy, vz


@lane_code
def perceive(i, t, params, inputs, state, seen):
    """Velocity, direction and distance to the target, and time."""
    x, y, z, seen[X], seen[Y], seen[Z] = centre(i, inputs, state)
    dx, dz = aim(i, params, state, x, z)
    dy = -y
    distance = sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
    nearness = 1 / distance
    seen[3], seen[4], seen[5], seen[6] = dx * nearness, dy * nearness, dz * nearness, distance * NEAR
    if params.clock == RAW:
        seen[BASIC_SENSES] = params.dt * t / params.life
    elif params.clock != NO_CLOCK:
        sine, cosine = sincos_turns(params.dt * t * inputs.tempo[i])
        seen[BASIC_SENSES] = sine
        if params.clock == CYCLIC:
            seen[BASIC_SENSES + 1] = cosine


@lane_code
def feel(i, k, inputs, state):
    """What hidden cell k gets from the body itself: strain of muscles, velocity and ground contact of nodes."""
    total = inputs.bias_in[i, k] * 0
    for n in range(inputs.edge_count[i]):
        total += inputs.weights_strain[i, k, n] * (state.length[i, n] / inputs.rest[i, n] - 1)
    for node in range(inputs.node_count[i]):
        for axis in range(3):
            total += inputs.weights_motion[i, k, node, axis] * state.velocity[i, axis, node]
        lifted = minimum((state.position[i, Y, node] - inputs.radius[i, node]) * 10, 1)
        total += inputs.weights_motion[i, k, node, 3] * (1 - lifted)
    return total


@lane_code
def think(i, t, params, inputs, state, hidden):
    """The hidden layer."""
    seen = scratch(i, np.float32, MOST_SENSES)
    perceive(i, t, params, inputs, state, seen)
    for k in range(extent(inputs.bias_in, 0)):
        start = inputs.bias_in[i, k]
        if params.proprioception:
            start += feel(i, k, inputs, state)
        hidden[k] = tanh_rough(dot(i, inputs.weights_in, k, seen, start))


@lane_code
def rhythm(i, k, t, params, inputs):
    """The muscle's own oscillation, -1 to 1."""
    sine, _ = sincos_turns(params.dt * t * inputs.frequency[i, k] + inputs.phase[i, k])
    return sine


@lane_code
def command(i, k, t, params, inputs, hidden):
    """What muscle k is told, -1 (shorten) to 1 (lengthen)."""
    if params.brain == OSCILLATOR:
        return rhythm(i, k, t, params, inputs)
    told = tanh_rough(dot(i, inputs.weights_out, k, hidden, inputs.bias_out[i, k]))
    if params.brain == PURE:
        return told
    return rhythm(i, k, t, params, inputs) * (0.5 + 0.5 * told)


@lane_code
def control(i, t, params, inputs, state):
    """A brain tick: sets the rest length that each muscle makes for."""
    hidden = scratch_like(i, inputs.bias_in, np.float32)
    if params.brain != OSCILLATOR:
        think(i, t, params, inputs, state, hidden)
    for k in range(inputs.edge_count[i]):
        state.goal[i, k] = inputs.rest[i, k] + inputs.reach[i, k] * command(i, k, t, params, inputs, hidden)
