"""Networks: agreement with NumPy, a fixed order of sums, and neurons that fire as their equations say."""

import numpy as np
import pytest
from over_lanes import lane_by_lane, over_lanes, same_bits

from worldloom.core.elementary import tanh_rough
from worldloom.core.elements import scratch
from worldloom.core.inner import dot
from worldloom.core.lanes import lane_code
from worldloom.core.nets import by_subtraction, dense, lif, linear, relu, to_zero

LANES = 37


@lane_code
def two_layers(i, m):
    inputs, hidden, outputs = scratch(i, np.float32, 7), scratch(i, np.float32, 6), scratch(i, np.float32, 3)
    for n in range(7):
        inputs[n] = m.x[i, n]
    dense(i, m.first, m.first_bias, inputs, hidden, tanh_rough)
    dense(i, m.second, m.second_bias, hidden, outputs, linear)
    for k in range(3):
        m.out[i, k] = outputs[k]


def network(lanes=LANES):
    rng = np.random.default_rng(5)
    shapes = {"x": (7,), "first": (6, 7), "first_bias": (6,), "second": (3, 6), "second_bias": (3,), "out": (3,)}
    return {name: rng.normal(size=(lanes, *shape)).astype(np.float32) for name, shape in shapes.items()}


def test_two_layers_agree_with_numpy():
    m = network()
    hidden = np.tanh(np.einsum("lkn,ln->lk", m["first"].astype(float), m["x"]) + m["first_bias"])
    want = np.einsum("lkn,ln->lk", m["second"].astype(float), hidden) + m["second_bias"]
    assert np.abs(over_lanes(two_layers, 16, **m).out - want).max() < 1e-3  # tanh_rough: 1e-4 for each of six inputs


def test_a_lane_alone_at_any_width_and_uncompiled_gives_the_same_bits():
    m = network()
    want = over_lanes(two_layers, 16, **m).out
    assert same_bits(over_lanes(two_layers, 4, **m).out, want)
    assert same_bits(lane_by_lane(two_layers, **m).out, want)
    assert same_bits(over_lanes(two_layers, 16, **{name: array[20:21] for name, array in m.items()}).out, want[20:21])


def row_of(columns):
    @lane_code
    def one_row(i, m):
        inputs = scratch(i, np.float32, 12)  # more than are used
        for n in range(12):
            inputs[n] = m.x[i, n]
        m.out[i] = relu(dot(i, m.weights, 0, inputs, m.bias[i]))

    rng = np.random.default_rng(columns)
    shapes = {"x": (12,), "weights": (1, columns), "bias": (), "out": ()}
    return one_row, {name: rng.normal(size=(20, *shape)).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 11, 12])
def test_an_inner_product_of_any_length_agrees_with_numpy_and_with_itself_uncompiled(columns):
    one_row, m = row_of(columns)
    got = over_lanes(one_row, 16, **m).out
    want = (m["weights"][:, 0].astype(float) * m["x"][:, :columns]).sum(axis=1) + m["bias"]
    assert np.abs(got - np.maximum(want, 0)).max() < 1e-5
    assert same_bits(lane_by_lane(one_row, **m).out, got)


def test_an_inner_product_sums_in_four_chains():
    """The documented order, on numbers for which the order shows."""
    one_row, m = row_of(8)
    big = np.float32([1e8, 1, -1e8, 1, 1e8, 1, -1e8, 1])
    m["weights"][:, 0], m["x"][:], m["bias"][:] = big, 1, 0.5
    want = ((np.float32(0.5) + big[0] + big[4]) + (big[1] + big[5])) + ((big[2] + big[6]) + (big[3] + big[7]))
    assert (over_lanes(one_row, 16, **m).out == want).all()


def neurons(reset):
    @lane_code
    def fire(i, m):
        inputs, spikes = scratch(i, np.float32, 1), scratch(i, np.float32, 2)
        inputs[0] = m.current[i]
        for t in range(20):
            lif(i, m.weights, m.bias, inputs, m.membrane, spikes, 0.75, 1.0, reset)
            m.spikes[i, t, 0], m.spikes[i, t, 1] = spikes[0], spikes[1]

    return fire


def resting(current):
    current, zeros = np.asarray(current, np.float32), np.zeros
    lanes = len(current)
    return {
        "current": current,
        "weights": np.tile(np.float32([[1.0], [0.5]]), (lanes, 1, 1)),
        "bias": zeros((lanes, 2), np.float32),
        "membrane": zeros((lanes, 2), np.float32),
        "spikes": np.full((lanes, 20, 2), 9, np.float32),
    }


@pytest.mark.parametrize(("reset", "keep"), [(by_subtraction, True), (to_zero, False)])
def test_neurons_follow_their_equation(reset, keep):
    m = resting(np.linspace(0, 2.5, 18))
    got = over_lanes(neurons(reset), 16, **m)
    level = np.zeros((18, 2), np.float32)
    for t in range(20):
        level = level * np.float32(0.75) + m["current"][:, None] * np.float32([1, 0.5])
        fires = level >= 1
        assert (got.spikes[:, t] == fires).all()
        level = np.where(fires, level - 1 if keep else np.float32(0), level).astype(np.float32)
    assert same_bits(got.membrane, level)
    assert same_bits(lane_by_lane(neurons(reset), **m).membrane, got.membrane)


def test_a_neuron_below_its_rheobase_never_fires_and_settles():
    got = over_lanes(neurons(to_zero), 16, **resting([0.2]))
    assert got.spikes.sum() == 0
    assert abs(got.membrane[0, 0] - 0.2 / 0.25) < 0.01  # current / (1 - decay), less what is left of the start
