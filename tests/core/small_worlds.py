"""Worlds small enough to compile in a moment: a walker that is pushed about, one that does nothing, one that goes its own way."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from worldloom.core import Field, Mode, World, any_lane, cast, lane_code, uniform, where

GUST = 0  # random slot


class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.1, low=0.001, high=1)
    rounds: np.int32 = Field("1", "how often a step is repeated", dtype=np.int32, default=1, low=1)


class Inputs(NamedTuple):
    speed: np.ndarray = Field("m/s", "to begin with", low=-1, high=1)


class State(NamedTuple):
    place: np.ndarray = Field("m", "where it is")
    speed: np.ndarray = Field("m/s", "how fast it goes")


class Outcome(NamedTuple):
    fitness: np.ndarray = Field("m", "how far it came")
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


@lane_code
def reset(i, key, params, inputs, state):
    state.place[i] = 0
    state.speed[i] = inputs.speed[i]


@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    for _ in range(params.rounds):
        gust = uniform(key, t, GUST) - 0.5
        state.speed[i] += (gust + action[i, 0]) * params.dt
        state.place[i] += state.speed[i] * params.dt
    obs[i, 0] = state.place[i]
    obs[i, 1] = state.speed[i]


@lane_code
def backwards(i, key, t, params, inputs, action, state, obs):
    state.place[i] -= state.speed[i] * params.dt


@lane_code
def finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = state.place[i]
    outcome.status[i] = cast(abs(state.place[i]) > 100, np.int8)


WALKER = World(
    name="walker", version=1, params=Params, inputs=Inputs, state=State, outcome=Outcome, reset=reset, step=step, finish=finish,
    observation=Field("m, m/s", "place and speed", (2,)), action=Field("m/s2", "push", (1,), low=-1, high=1),
    modes={
        "accurate": Mode(doc="as it is"),
        "coarse": Mode(doc="longer steps", params={"dt": 0.2}),
        "reversed": Mode(doc="the other way", step=backwards),
    },
)  # fmt: skip


@lane_code
def idle_reset(i, key, params, inputs, state):
    state.place[i] = 0


@lane_code
def idle_step(i, key, t, params, inputs, action, state, obs):
    pass


IDLE = replace(WALKER, name="idle", modes={}, reset=idle_reset, step=idle_step)


@lane_code
def branching_step(i, key, t, params, inputs, action, state, obs):
    if uniform(key, t, GUST) < 0.5:
        state.place[i] += 1
    else:
        state.place[i] -= inputs.speed[i]


COIN = replace(WALKER, name="coin", modes={}, step=branching_step, scalar=True)


@lane_code
def collapsing_step(i, key, t, params, inputs, action, state, obs):
    """Collatz: as many rounds as each lane needs."""
    n = cast(abs(inputs.speed[i]) * 1000, np.int32) + 1
    busy = n > 1
    while any_lane(busy):
        odd = (n & 1) == 1
        n = where(busy, where(odd, 3 * n + 1, n >> 1), n)
        state.place[i] += where(busy, 1, 0 * state.place[i])
        busy = n > 1


COLLATZ = replace(WALKER, name="collatz", modes={}, step=collapsing_step)


def inputs_of(lanes):
    """Speeds from -1 to 1."""
    return Inputs(np.linspace(-1, 1, lanes, dtype=np.float32))
