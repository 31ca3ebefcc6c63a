"""Every operation of lane code as PTX: it compiles, spells out its rounding, and stays in the precision that the world declares."""

from typing import NamedTuple

import numpy as np
import pytest

from worldloom.core import (
    Field,
    World,
    any_lane,
    atan,
    atan2,
    below,
    bitcast,
    cast,
    cbrt,
    cos,
    exp,
    exp2,
    floor,
    inverse_sqrt,
    lane_code,
    like,
    log,
    log2,
    maximum,
    minimum,
    normal,
    pow,
    scratch,
    sin,
    sincos_turns,
    sqrt,
    tan,
    tanh,
    tanh_net,
    tanh_rough,
    uniform,
    where,
)  # fmt: skip
from worldloom.core.lanes import high_product
from worldloom.testing.crowd import gather
from worldloom.testing.cuda import declares_double, instructions, kernel_ptx
from worldloom.testing.worlds import check_plain

DRAW = 0  # random slot


class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.1)


class Inputs(NamedTuple):
    x: np.ndarray = Field("1", "a number", low=-1, high=1)
    n: np.ndarray = Field("1", "a whole number", dtype=np.int32, low=0, high=9)


class State(NamedTuple):
    floats: np.ndarray = Field("1", "results", (40,))
    i8: np.ndarray = Field("1", "small", dtype=np.int8)
    u8: np.ndarray = Field("1", "small", dtype=np.uint8)
    i16: np.ndarray = Field("1", "short", dtype=np.int16)
    i32: np.ndarray = Field("1", "whole", dtype=np.int32)
    u32: np.ndarray = Field("1", "whole", dtype=np.uint32)
    i64: np.ndarray = Field("1", "long", dtype=np.int64)
    u64: np.ndarray = Field("1", "long", dtype=np.uint64)
    mask: np.ndarray = Field("1", "truth", dtype=np.bool_)


class Doubles(NamedTuple):
    x: np.ndarray = Field("1", "results", (12,), dtype=np.float64)
    whole: np.ndarray = Field("1", "long", (4,), dtype=np.int64)


class Outcome(NamedTuple):
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


@lane_code
def nothing(i, key, params, inputs, state):
    pass


@lane_code
def finish(i, params, inputs, state, outcome):
    outcome.status[i] = 0


@lane_code
def toolbox_step(i, key, t, params, inputs, action, state, obs):
    x, y, r = inputs.x[i], inputs.x[i] * params.dt, state.floats
    r[i, 0], r[i, 1], r[i, 2], r[i, 3] = sin(x), cos(x), tan(x), exp(x)
    r[i, 4], r[i, 5], r[i, 6], r[i, 7] = exp2(x), tanh(x), log(x), log2(x)
    r[i, 8], r[i, 9], r[i, 10], r[i, 11] = atan(x), cbrt(x), atan2(x, y), pow(x, y)
    r[i, 12], r[i, 13] = sincos_turns(x)
    r[i, 14], r[i, 15], r[i, 16], r[i, 17] = inverse_sqrt(x), tanh_net(x), tanh_rough(x), sqrt(x)
    r[i, 18], r[i, 19] = uniform(key, t, DRAW), normal(key, t, DRAW)
    r[i, 20], r[i, 21], r[i, 22], r[i, 23] = minimum(x, 0), maximum(x, y), floor(x), abs(x) - x / y
    room = scratch(i, np.float32, 4)
    for k in range(4):
        room[k] = like(x, k) + x * y
    r[i, 24], r[i, 25] = room[2], where(x < y, -x, y)
    whole_numbers(i, key, t, x, inputs.n[i], state)


@lane_code
def whole_numbers(i, key, t, x, n, state):
    """Casts to every integer type, and what integers can do."""
    state.i8[i], state.u8[i], state.i16[i], state.i32[i] = cast(x, np.int8), cast(x, np.uint8), cast(x, np.int16), cast(x, np.int32)
    state.i64[i], state.u64[i] = cast(x, np.int64), cast(x, np.uint64)
    state.u32[i] = high_product(bitcast(x, np.uint32), cast(n, np.uint32)) >> 3
    state.i32[i] = ((n // 7) & 5) | below(key, t, DRAW, 6) ^ ~n
    busy = n > 1
    while any_lane(busy):
        n = where(busy, n >> 1, n)
        busy = n > 1
    state.mask[i] = (n == 1) | cast(x, np.bool_)


@lane_code
def double_step(i, key, t, params, inputs, action, state, obs):
    x = cast(inputs.x[i], np.float64)
    y = x * 0.1
    state.x[i, 0], state.x[i, 1], state.x[i, 2], state.x[i, 3] = sin(x), exp(x), log(x), atan2(x, y)
    state.x[i, 4], state.x[i, 5], state.x[i, 6], state.x[i, 7] = x + y, x - y, x * y, x / y
    state.x[i, 8], state.x[i, 9], state.x[i, 10], state.x[i, 11] = sqrt(x), maximum(x, 0), floor(x), pow(x, y)
    state.whole[i, 0], state.whole[i, 1] = cast(x, np.int64), cast(cast(x, np.int32), np.int64)
    state.whole[i, 2], state.whole[i, 3] = cast(cast(x, np.uint8), np.int64), bitcast(cast(x, np.uint64), np.int64)


def world(step, state):
    return World(
        name=step.__name__,
        version=1,
        params=Params,
        inputs=Inputs,
        state=state,
        outcome=Outcome,
        reset=nothing,
        step=step,
        finish=finish,
    )


def test_everything_a_world_can_say_compiles_for_cuda_in_single_precision_with_rounding_spelled_out():
    toolbox = world(toolbox_step, State)
    found = instructions(kernel_ptx(toolbox))
    assert not found.faults(double=declares_double(toolbox)) and not declares_double(toolbox)
    for name in ("add.rn.f32", "mul.rn.f32", "div.rn.f32", "sqrt.rn.f32", "selp.f32", "cvt.rmi.f32.f32"):
        assert found.counts[name], name


def test_casts_on_cuda_are_those_that_saturate_and_nan_is_set_to_zero_beside_them():
    found = instructions(kernel_ptx(world(toolbox_step, State)))
    for kind in ("s32", "u32", "s64", "u64"):
        assert found.counts[f"cvt.rzi.{kind}.f32"], kind
    assert not found.matching(r"cvt\.rzi\.[su](8|16)\.") and found.counts["setp.nan.f32"] >= 1


def test_a_world_of_doubles_has_double_instructions_and_no_others_that_round_freely():
    doubles = world(double_step, Doubles)
    found = instructions(kernel_ptx(doubles))
    assert declares_double(doubles) and not found.faults(double=True) and found.faults(double=False)
    for name in ("add.rn.f64", "mul.rn.f64", "div.rn.f64", "sqrt.rn.f64", "selp.f64", "cvt.rzi.s64.f64", "cvt.rzi.s32.f64"):
        assert found.counts[name], name


@pytest.mark.parametrize("step", (toolbox_step, double_step), ids=lambda step: step.__name__)
def test_the_same_worlds_keep_their_bits_uncompiled(step):
    check_plain(gather(world(step, State if step is toolbox_step else Doubles), 20), 3, simulator=False)
