"""Small neural networks as lane code: every lane has its own weights, in block form weights[i, row, column].

inputs and outputs are scratch arrays, an activation is any function of one lane value (tanh_net, tanh_rough, relu, linear).
A sum runs over the columns in two chains, even and odd, the bias in the even one: its order depends on nothing but the column.
rows and columns are plain integers, literal or not; the rest of a larger array is left alone.
"""

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
def weighted_sum(i, weights, bias, row, inputs, columns):
    """bias[row] + weights[row] · inputs."""
    even = bias[i, row]
    odd = like(even, 0)
    for n in range(0, columns - 1, 2):
        even = even + weights[i, row, n] * inputs[n]
        odd = odd + weights[i, row, n + 1] * inputs[n + 1]
    if columns % 2 == 1:
        even = even + weights[i, row, columns - 1] * inputs[columns - 1]
    return even + odd


@lane_code
def dense(i, weights, bias, inputs, outputs, rows, columns, activation):
    """outputs[row] = activation(bias[row] + weights[row] · inputs)."""
    for row in range(rows):
        outputs[row] = activation(weighted_sum(i, weights, bias, row, inputs, columns))


@lane_code
def by_subtraction(membrane, threshold):
    """What a membrane falls to after a spike: what exceeds the threshold is kept."""
    return membrane - threshold


@lane_code
def to_zero(membrane, threshold):
    """What a membrane falls to after a spike: nothing is kept."""
    return like(membrane, 0)


@lane_code
def lif(i, weights, bias, inputs, membrane, spikes, rows, columns, decay, threshold, reset):
    """One step of leaky integrate-and-fire neurons: membrane[i, row] is state, spikes[row] becomes 1 or 0.

    The membrane decays, takes in the weighted inputs, and fires at the threshold or above.
    decay: the share that is left after a step, exp(-dt / time constant); reset: by_subtraction or to_zero.
    Source: Gerstner and others 2014, Neuronal Dynamics, 1.3, in discrete time.
    """
    for row in range(rows):
        level = membrane[i, row] * decay + weighted_sum(i, weights, bias, row, inputs, columns)
        fires = level >= threshold
        spikes[row] = where(fires, like(level, 1), like(level, 0))
        membrane[i, row] = where(fires, reset(level, threshold), level)
