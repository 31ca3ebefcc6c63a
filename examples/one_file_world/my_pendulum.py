"""A pendulum in gusty wind: find the constant torque that keeps it upright. Units: SI."""

from typing import NamedTuple

import numpy as np

from worldloom.core import Field, World, lane_code, sin, uniform

WIND, START = range(2)  # random slots


class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.05)
    g: np.float32 = Field("m/s2", "gravity", default=9.81)
    length: np.float32 = Field("m", "pivot to mass", default=1.0)


class Inputs(NamedTuple):
    torque: np.ndarray = Field("1/s2", "constant torque tried in this lane, per unit inertia", low=-20, high=20)


class State(NamedTuple):
    angle: np.ndarray = Field("rad", "from upright")
    rate: np.ndarray = Field("rad/s", "angular velocity")
    cost: np.ndarray = Field("rad2", "squared angle, summed over steps")


class Outcome(NamedTuple):
    fitness: np.ndarray = Field("rad2", "minus the cost; higher is better")
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


@lane_code
def reset(i, key, params, inputs, state):
    state.angle[i] = uniform(key, 0, START) - 0.5
    state.rate[i] = 0
    state.cost[i] = 0


@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    wind = uniform(key, t, WIND) - 0.5
    accel = params.g / params.length * sin(state.angle[i]) + inputs.torque[i] + action[i, 0] + wind
    state.rate[i] += accel * params.dt  # semi-implicit Euler: rate first, then angle
    state.angle[i] += state.rate[i] * params.dt
    state.cost[i] += state.angle[i] * state.angle[i]
    obs[i, 0] = state.angle[i]
    obs[i, 1] = state.rate[i]


@lane_code
def finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = -state.cost[i]
    outcome.status[i] = 0


WORLD = World(
    name="pendulum",
    version=1,
    doc="a pendulum in gusty wind, held upright by a constant torque",
    params=Params,
    inputs=Inputs,
    state=State,
    outcome=Outcome,
    observation=Field("rad, rad/s", "angle, rate", (2,)),
    action=Field("1/s2", "push", (1,)),
    reset=reset,
    step=step,
    finish=finish,
)
