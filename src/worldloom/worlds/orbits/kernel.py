"""A system's life: bodies where they start, then steps of kicks and drifts, a look now and then, judgement. Nothing is random.

A step is a composition of kicks b_k and drifts a_k: K(b_0) D(a_0) K(b_1) D(a_1) … K(b_n). Kicks come first and last, so that the
last acceleration of a step is the first of the next. `fourth` and `sixth` use that kicks depend on positions alone.
Source of both: Blanes and Moan 2002, J. Comput. Appl. Math. 142, 313, methods SRKN 6b and SRKN 11b.
"""

from worldloom.core import extent, lane_code
from worldloom.worlds.orbits import gravity, stability

FOURTH = (0.0829844064174052, 0.396309801498368, -0.0390563049223486), (0.245298957184271, 0.604872665711080)
SIXTH = (
    (0.0414649985182624, 0.198128671918067, -0.0400061921041533, 0.0752539843015807, -0.0115113874206879),
    (0.123229775946271, 0.290553797799558, -0.127049212625417, -0.246331761062075, 0.357208872795928),
)
MOST = 12  # kicks of a step


def both_ways(half, *, even):
    """A palindrome that sums to 1 from its first numbers: an even or odd count of them in all."""
    middle = [0.5 - sum(half)] * 2 if even else [1 - 2 * sum(half)]
    return [*half, *middle, *half[::-1]]


def padded(*schemes):
    """Coefficients as tuples of one length, which compiled code can index."""
    return tuple((*map(float, scheme), *[0.0] * (MOST - len(scheme))) for scheme in schemes)


STAGES = (1, 6, 11)  # by params.scheme: leapfrog, fourth, sixth
KICKS = padded([0.5, 0.5], both_ways(FOURTH[0], even=False), both_ways(SIXTH[0], even=True))
DRIFTS = padded([1.0], both_ways(FOURTH[1], even=True), both_ways(SIXTH[1], even=False))


@lane_code
def reset(i, key, params, inputs, state):
    """Everything where it starts."""
    for axis in range(3):
        for body in range(extent(state.position, 1)):
            state.position[i, axis, body] = inputs.position[i, axis, body]
            state.velocity[i, axis, body] = inputs.velocity[i, axis, body]
    gravity.pull(i, params, inputs, state)
    state.energy[i] = gravity.energy(i, params, inputs, state)
    state.momentum[i, 0], state.momentum[i, 1], state.momentum[i, 2] = gravity.momentum(i, inputs, state)
    stability.begin(i, params, inputs, state)


@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    """One time step."""
    kick(i, params.dt * KICKS[params.scheme][0], state)
    for stage in range(STAGES[params.scheme]):
        drift(i, params.dt * DRIFTS[params.scheme][stage], state)
        gravity.pull(i, params, inputs, state)
        kick(i, params.dt * KICKS[params.scheme][stage + 1], state)
    if (t + 1) % params.watch_every == 0:
        stability.watch(i, params, inputs, state)


@lane_code
def kick(i, duration, state):
    """Velocities follow accelerations."""
    for axis in range(3):
        for body in range(extent(state.position, 1)):
            state.velocity[i, axis, body] += duration * state.acceleration[i, axis, body]


@lane_code
def drift(i, duration, state):
    """Positions follow velocities."""
    for axis in range(3):
        for body in range(extent(state.position, 1)):
            state.position[i, axis, body] += duration * state.velocity[i, axis, body]


@lane_code
def finish(i, params, inputs, state, outcome):
    """What the system was like."""
    stability.judge(i, params, inputs, state, outcome)
