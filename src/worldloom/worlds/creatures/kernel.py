"""A creature's life: born, settles, then senses, commands its muscles, is pulled, and moves. Random slots: task.py."""

import numpy as np

from worldloom.core import extent, lane_code, scratch_like
from worldloom.worlds.creatures import task
from worldloom.worlds.creatures.brain import control
from worldloom.worlds.creatures.contact import move
from worldloom.worlds.creatures.springs import pull

X, Y, Z = range(3)


@lane_code
def reset(i, key, params, inputs, state):
    """At birth: in place, at rest, muscles at ease."""
    for axis in range(3):
        for node in range(extent(state.position, 1)):
            state.position[i, axis, node] = inputs.born[i, axis, node]
            state.velocity[i, axis, node] = 0
    for k in range(extent(state.length, 0)):
        state.length[i, k] = inputs.rest[i, k]
        state.goal[i, k] = inputs.rest[i, k]
    task.begin(i, key, params, inputs, state)


@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    """One time step."""
    if t == params.settle_steps:
        task.mark_start(i, inputs, state)
    if t >= params.settle_steps and (t - params.settle_steps) % params.control_every == 0:
        control(i, t, params, inputs, state)
    advance(i, params, inputs, state)
    if t % params.watch_every == 0:
        task.watch(i, inputs, state)
        task.tire(i, inputs, state)
        if params.task == task.PELLETS:
            task.collect(i, key, t, params, inputs, state)


@lane_code
def advance(i, params, inputs, state):
    """Forces, then motion."""
    force = scratch_like(i, state.position, np.float32)
    for axis in range(3):
        for node in range(inputs.node_count[i]):
            force[axis, node] = 0
    for node in range(inputs.node_count[i]):
        pull(i, node, params, inputs, state, force)
    for node in range(inputs.node_count[i]):
        move(i, node, params, inputs, state, force)


@lane_code
def finish(i, params, inputs, state, outcome):
    """What the life was worth."""
    task.judge(i, params, inputs, state, outcome)
