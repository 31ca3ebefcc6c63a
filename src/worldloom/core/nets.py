"""Small neural networks as lane code: every lane has its own weights, in block form weights[i, row, column].

inputs and outputs are scratch arrays, an activation is any function of one lane value (tanh_net, tanh_rough, relu, linear).
Rows and columns are those of the weights. Sums are those of `dot` (core/inner.py): their order depends on the column alone.
"""

from worldloom.core.elements import extent
from worldloom.core.inner import dot
from worldloom.core.lanes import lane_code, like, maximum, where


@lane_code
def linear(x):
    """x: the activation of an output layer."""
    return x


@lane_code
def relu(x):
    """x where positive, else 0."""
    return maximum(x, like(x, 0))


@lane_code
def dense(i, weights, bias, inputs, outputs, activation):
    """outputs[row] = activation(bias[row] + weights[row] · inputs)."""
    for row in range(extent(bias, 0)):
        outputs[row] = activation(dot(i, weights, row, inputs, bias[i, row]))


@lane_code
def by_subtraction(membrane, threshold):
    """What a membrane falls to after a spike: what exceeds the threshold is kept."""
    return membrane - threshold


@lane_code
def to_zero(membrane, threshold):
    """What a membrane falls to after a spike: nothing is kept."""
    return like(membrane, 0)


@lane_code
def lif(i, weights, bias, inputs, membrane, spikes, decay, threshold, reset):
    """One step of leaky integrate-and-fire neurons: membrane[i, row] is state, spikes[row] becomes 1 or 0.

    The membrane decays, takes in the weighted inputs, and fires at the threshold or above.
    decay: the share that is left after a step, exp(-dt / time constant); reset: by_subtraction or to_zero.
    Source: Gerstner and others 2014, Neuronal Dynamics, 1.3, in discrete time.
    """
    for row in range(extent(bias, 0)):
        level = membrane[i, row] * decay + dot(i, weights, row, inputs, bias[i, row])
        fires = level >= threshold
        spikes[row] = where(fires, like(level, 1), like(level, 0))
        membrane[i, row] = where(fires, reset(level, threshold), level)
