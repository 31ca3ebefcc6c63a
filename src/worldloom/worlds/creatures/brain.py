"""What drives the muscles: a rhythm of their own, a small network, or both."""

import numpy as np

from worldloom.core import extent, lane_code, maximum, minimum, scratch, scratch_like, sincos_turns, sqrt, tanh_rough
from worldloom.worlds.creatures.spec import BASIC_SENSES, BRAINS, CLOCKS
from worldloom.worlds.creatures.task import aim, mean

OSCILLATOR, HYBRID, PURE = (BRAINS.index(name) for name in ("oscillator", "hybrid", "pure"))
NO_CLOCK, CYCLIC, SINE, RAW = (CLOCKS.index(name) for name in ("none", "cyclic", "sin", "raw"))
X, Y, Z = range(3)
NEAR = 0.05  # 1/m: brings the distances of an arena near 1
MOST_SENSES = BASIC_SENSES + 2
SHORTEST, LONGEST = 0.1, 10.0  # m: a muscle's rest length stays within


@lane_code
def perceive(i, t, params, inputs, state, seen):
    """Velocity, direction and distance to the target, and time."""
    for axis in range(3):
        seen[axis] = mean(i, state.velocity, axis, inputs)
    dx, dz = aim(i, params, state, mean(i, state.position, X, inputs), mean(i, state.position, Z, inputs))
    dy = -mean(i, state.position, Y, inputs)
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
def row(i, weights, k, cells, count, start):
    """start + weights[k] . cells, summed in two chains."""
    even, odd = start + weights[i, k, 0] * cells[0], start * 0
    for n in range(1, count - 1, 2):
        odd += weights[i, k, n] * cells[n]
        even += weights[i, k, n + 1] * cells[n + 1]
    if count % 2 == 0:
        odd += weights[i, k, count - 1] * cells[count - 1]
    return even + odd


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
    seen, count = scratch(i, np.float32, MOST_SENSES), extent(inputs.weights_in, 1)
    perceive(i, t, params, inputs, state, seen)
    for k in range(extent(inputs.bias_in, 0)):
        start = inputs.bias_in[i, k]
        if params.proprioception:
            start += feel(i, k, inputs, state)
        hidden[k] = tanh_rough(row(i, inputs.weights_in, k, seen, count, start))


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
    told = tanh_rough(row(i, inputs.weights_out, k, hidden, extent(inputs.weights_out, 1), inputs.bias_out[i, k]))
    if params.brain == PURE:
        return told
    return rhythm(i, k, t, params, inputs) * (0.5 + 0.5 * told)


@lane_code
def control(i, t, params, inputs, state):
    """A brain tick: sets the rest length that each muscle makes for."""
    hidden = scratch_like(i, inputs.bias_in, np.float32)
    if params.brain != OSCILLATOR:
        think(i, t, params, inputs, state, hidden)
    effort = state.effort[i]
    for k in range(inputs.edge_count[i]):
        told = command(i, k, t, params, inputs, hidden) * params.drive
        goal = inputs.rest[i, k] + inputs.reach[i, k] * told
        state.goal[i, k] = minimum(maximum(goal, SHORTEST), LONGEST)
        effort += told * told * inputs.one_of[i, k]
    state.effort[i] = effort
