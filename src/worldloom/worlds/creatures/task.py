"""What creatures are asked to do: walk towards +x, or collect pellets. Where to go, what counts, and what disqualifies."""

import numpy as np

from worldloom.core import cast, floor, lane_code, like, maximum, minimum, sincos_turns, sqrt, uniform, where
from worldloom.worlds.creatures.spec import TASKS

DISTANCE, PELLETS = (TASKS.index(name) for name in ("distance", "pellets"))
X, Y, Z = range(3)
PELLET = 0  # random slot: the direction of a pellet
PELLET_COUNT = 3
ARENA, CEILING = 50.0, 30.0  # m: a body outside is disqualified
ENDLESS = 1e6  # m: further than any body


@lane_code
def mean(i, values, axis, inputs):
    """Mass-weighted mean of positions or velocities along one axis."""
    total = values[i, axis, 0] * inputs.share[i, 0]
    for node in range(1, inputs.node_count[i]):
        total += values[i, axis, node] * inputs.share[i, node]
    return total


@lane_code
def aim(i, params, state, x, z):
    """(x, z) from a point to where the creature should go."""
    if params.task == PELLETS:
        return state.pellet[i, 0] - x, state.pellet[i, 1] - z
    return params.target - x, -z


@lane_code
def ends(i, inputs, state):
    """x of the hindmost and of the foremost edge of the body."""
    rear, front = like(state.rear[i], ENDLESS), like(state.rear[i], -ENDLESS)
    for node in range(inputs.node_count[i]):
        x, radius, alive = state.position[i, X, node], inputs.radius[i, node], inputs.lightness[i, node] > 0
        rear = where(alive, minimum(x - radius, rear), rear)
        front = where(alive, maximum(x + radius, front), front)
    return rear, front


@lane_code
def mark_start(i, inputs, state):
    """Progress counts from here."""
    state.rear[i], state.front[i] = ends(i, inputs, state)


@lane_code
def place_pellet(i, key, t, params, state, x, z, away):
    """A new pellet `away` metres from (x, z), in a random direction."""
    sine, cosine = sincos_turns(uniform(key, t, PELLET))
    return x + away * cosine, z + away * sine


@lane_code
def begin(i, key, params, inputs, state):
    """Before the first step: nothing earned, the first pellet out."""
    state.rear[i], state.front[i] = 1, 0  # back to front: the muscles have not woken
    state.effort[i] = 0
    state.collected[i] = 0
    state.broken[i] = state.position[i, X, 0] != state.position[i, X, 0]
    x, z = mean(i, state.position, X, inputs), mean(i, state.position, Z, inputs)
    state.pellet[i, 0], state.pellet[i, 1] = place_pellet(i, key, 0, params, state, x, z, params.pellet_gap)
    state.gap[i] = params.pellet_gap


@lane_code
def to_pellet(i, inputs, state):
    """Horizontal distance from the body's centre to the pellet."""
    dx = state.pellet[i, 0] - mean(i, state.position, X, inputs)
    dz = state.pellet[i, 1] - mean(i, state.position, Z, inputs)
    return sqrt(dx * dx + dz * dz)


@lane_code
def collect(i, key, t, params, inputs, state):
    """A pellet within reach counts, and the next one appears further away."""
    had = state.collected[i]
    got = (to_pellet(i, inputs, state) < params.pellet_radius) & (had < PELLET_COUNT)
    state.collected[i] = where(got, had + 1, had)
    away = params.pellet_gap * (had + 2)
    x, z = place_pellet(i, key, t, params, state, state.pellet[i, 0], state.pellet[i, 1], away)
    more = got & (had + 1 < PELLET_COUNT)
    state.pellet[i, 0] = where(more, x, state.pellet[i, 0])
    state.pellet[i, 1] = where(more, z, state.pellet[i, 1])
    state.gap[i] = where(more, away, state.gap[i])


@lane_code
def watch(i, inputs, state):
    """Marks bodies that left the arena or hold a number that is not finite; once marked, always marked."""
    inside = ~state.broken[i]
    for node in range(inputs.node_count[i]):
        x, y, z = state.position[i, X, node], state.position[i, Y, node], state.position[i, Z, node]
        inside = inside & (abs(x) <= ARENA) & (abs(z) <= ARENA) & (abs(y) <= CEILING)
    state.broken[i] = ~inside


@lane_code
def tire(i, inputs, state):
    """Adds the mean square activation of this moment to the effort."""
    effort = state.effort[i]
    for k in range(inputs.edge_count[i]):
        strain = (state.goal[i, k] - inputs.rest[i, k]) * inputs.toil[i, k]
        effort += strain * strain
    state.effort[i] = effort


@lane_code
def progress(i, params, inputs, state):
    """Metres that count: of the body towards +x, capped; or collected gaps and the way to the next pellet.

    A body has come as far as the end of it that lags: falling and stretching move the front alone, contracting the rear alone.
    """
    rear, front = ends(i, inputs, state)
    awake = state.front[i] >= state.rear[i]
    behind = where(awake, minimum(rear - state.rear[i], front - state.front[i]), 0)
    walked = minimum(maximum(behind, -params.target), params.target)
    if params.task == DISTANCE:
        return walked, walked
    had = state.collected[i]
    banked = params.pellet_gap * had * (had + 1) * 0.5
    closer = maximum(state.gap[i] - to_pellet(i, inputs, state), 0)
    return walked, where(had < PELLET_COUNT, banked + closer, banked)


@lane_code
def judge(i, params, inputs, state, outcome):
    """Fitness and what it is made of. A disqualified body has earned nothing."""
    watch(i, inputs, state)
    walked, paid = progress(i, params, inputs, state)
    checks = maximum(floor((params.life / params.dt - params.settle_steps) / params.watch_every), 1)
    effort = minimum(state.effort[i] / checks, 1)
    broken = state.broken[i]
    outcome.distance[i] = where(broken, 0, walked)
    outcome.collected[i] = where(broken, 0, state.collected[i])
    outcome.effort[i] = where(broken, 0, effort)
    outcome.fitness[i] = where(broken, 0, paid - params.effort_cost * effort)
    outcome.status[i] = cast(broken, np.int8)
