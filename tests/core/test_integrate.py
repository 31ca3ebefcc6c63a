"""Steps in time: orders of convergence on an oscillator, energy and reversal for leapfrog, and events found on a cubic."""

import numpy as np
import pytest
from over_lanes import lane_by_lane, over_lanes, same_bits

from worldloom.core.elements import scratch
from worldloom.core.integrate import crossing, hermite, hermite_slope, leapfrog, rk4, semi_implicit
from worldloom.core.lanes import lane_code

STEPS = 2.0 ** -np.arange(2, 8)  # one step length per lane


@lane_code
def pull(x, a, about):
    """A spring of unit frequency in the first component, of frequency 2 in the second."""
    a[0], a[1] = -x[0], x[1] * about


@lane_code
def drive(t, y, rate, about):
    """y' = v, v' = -y, and z' = 5 t**4."""
    rate[0], rate[1], rate[2] = y[1], -y[0], about * t * t * t * t


def oscillator(method, steps):
    """Lane code that takes some steps of a method from m.x, m.v and leaves the state there."""

    @lane_code
    def swing(i, m):
        x, v, a = scratch(i, np.float64, 2), scratch(i, np.float64, 2), scratch(i, np.float64, 2)
        for k in range(2):
            x[k], v[k] = m.x[i, k], m.v[i, k]
        for _ in range(steps):
            method(x, v, a, m.dt[i])
        for k in range(2):
            m.x[i, k], m.v[i, k] = x[k], v[k]

    return swing


@lane_code
def euler_step(x, v, a, dt):
    pull(x, a, -4.0)
    semi_implicit(x, v, a, dt, 2)


@lane_code
def leapfrog_step(x, v, a, dt):
    pull(x, a, -4.0)
    leapfrog(pull, -4.0, x, v, a, dt, 2)


@lane_code
def runge_kutta_step(i, m):
    y, stage, rate = scratch(i, np.float64, 3), scratch(i, np.float64, 3), scratch(i, np.float64, 3)
    y[0], y[1], y[2] = m.x[i, 0], m.v[i, 0], 0
    rk4(drive, 5, m.dt[i] * 0, y, m.dt[i], stage, rate, scratch(i, np.float64, 3), 3)
    m.x[i, 0], m.v[i, 0], m.x[i, 1] = y[0], y[1], y[2]


def at_rest(dt):
    dt = np.asarray(dt, np.float64)
    return {"dt": dt, "x": np.tile([1.0, 0.5], (len(dt), 1)), "v": np.tile([0.25, 1.0], (len(dt), 1))}


def exact(dt):
    return np.cos(dt) + 0.25 * np.sin(dt), 0.25 * np.cos(dt) - np.sin(dt)


@pytest.mark.parametrize(
    ("step", "order"),
    [(oscillator(euler_step, 1), 1), (oscillator(leapfrog_step, 1), 2), (runge_kutta_step, 4)],
    ids=["euler", "leapfrog", "rk4"],
)
def test_error_of_one_step_falls_with_one_power_more_than_the_order(step, order):
    got = over_lanes(step, 16, **at_rest(STEPS))
    x, v = exact(STEPS)
    error = np.hypot(got.x[:, 0] - x, got.v[:, 0] - v)
    powers = np.log2(error[:-1] / error[1:])
    assert abs(powers[-1] - (order + 1)) < 0.1


def test_runge_kutta_sees_time_within_the_step():
    got = over_lanes(runge_kutta_step, 16, **at_rest(STEPS))
    assert np.abs(got.x[:, 1] / STEPS**5 - 25 / 24).max() < 1e-12  # Simpson's rule for t**4


def test_leapfrog_keeps_the_energy_of_ten_thousand_steps_and_euler_does_not_lose_it():
    for method, bound in ((leapfrog_step, 2e-3), (euler_step, 0.12)):
        got = over_lanes(oscillator(method, 10_000), 16, **at_rest([0.05]))
        energy = got.v**2 / 2 + got.x**2 * [1, 4] / 2
        assert np.abs(energy / [[0.53125, 1.0]] - 1).max() < bound


def test_leapfrog_runs_backwards_to_where_it_began():
    there = over_lanes(oscillator(leapfrog_step, 500), 16, **at_rest([0.1, 0.2]))
    back = over_lanes(oscillator(leapfrog_step, 500), 16, dt=there.dt, x=there.x, v=-there.v)
    assert np.abs(back.x - [1.0, 0.5]).max() < 1e-12


def test_uncompiled_steps_give_the_same_bits():
    for step in (oscillator(leapfrog_step, 3), runge_kutta_step):
        a, b = over_lanes(step, 8, **at_rest(STEPS)), lane_by_lane(step, **at_rest(STEPS))
        assert same_bits(a.x, b.x)
        assert same_bits(a.v, b.v)


# ---- events ---------------------------------------------------------------------------------------------------------------------


@lane_code
def find(i, m):
    y0, y1, run0, run1 = m.ends[i, 0], m.ends[i, 1], m.ends[i, 2], m.ends[i, 3]
    share = crossing(y0, y1, run0, run1)
    m.share[i], m.height[i], m.slope[i] = share, hermite(share, y0, y1, run0, run1), hermite_slope(share, y0, y1, run0, run1)


def found(ends, real=np.float64):
    ends = np.asarray(ends, real)
    empty = {name: np.zeros(len(ends), real) for name in ("share", "height", "slope")}
    return over_lanes(find, 16, ends=ends, **empty)


def test_a_ball_meets_the_ground_when_the_closed_form_says():
    v, dt = np.linspace(0.5, 9, 50), 0.1
    y0 = v * dt * 0.5  # above the ground; it falls at v and faster
    got = found(np.stack([y0, y0 - v * dt - 4.9 * dt**2, -v * dt, -(v + 9.8 * dt) * dt], axis=1))
    want = (-v + np.sqrt(v * v + 2 * 9.8 * y0)) / 9.8 / dt  # a parabola is a cubic, so this is exact
    assert np.abs(got.share - want).max() < 1e-14
    assert np.abs(got.slope + np.sqrt(v * v + 2 * 9.8 * y0) * dt).max() < 1e-13


@pytest.mark.parametrize(("real", "bound"), [(np.float32, 1e-6), (np.float64, 2e-15)])
def test_any_change_of_sign_is_found(real, bound):
    rng = np.random.default_rng(2)
    ends = rng.uniform(0.01, 1, (5000, 4)) * [1, -1, 1, 1] * rng.choice([-1, 1], (5000, 1))
    ends[:, 2:] *= rng.choice([-3, -1, 1, 3], (5000, 2))
    got = found(ends, real)
    assert ((got.share >= 0) & (got.share <= 1)).all()
    assert np.abs(got.height).max() < bound


def test_a_crossing_at_either_end_is_found_there():
    got = found([[0, 1, 1, 1], [1, 0, -1, -1], [0, -1, -2, 0]])
    assert got.share.tolist() == [0, 1, 0]


def test_an_event_in_a_smooth_motion_has_an_error_of_fourth_order():
    def error(dt):
        t0, t1 = 1 - 0.3 * dt, 1 + 0.7 * dt
        y0, y1 = np.exp(t0) - np.e, np.exp(t1) - np.e  # crosses zero at 1
        share = found([[y0, y1, np.exp(t0) * dt, np.exp(t1) * dt]]).share[0]
        return abs(t0 + share * dt - 1)

    assert 3.7 < np.log2(error(0.2) / error(0.1)) < 4.3
