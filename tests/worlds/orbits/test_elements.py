"""Kepler's elements against closed forms, conservation laws and arithmetic with 50 digits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worldloom.core.errors import InputError
from worldloom.worlds.orbits.elements import eccentric_anomaly, elements_of, state_of

GM = 4 * math.pi**2  # au3/yr2
ELLIPSES = [0.0, 1e-10, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-8, 1 - 1e-12]
HYPERBOLAS = [1 + 1e-12, 1 + 1e-8, 1.0001, 1.1, 2.0, 10.0, 1e4]
angle = st.floats(0.01, 2 * math.pi - 0.01)


def exact_anomaly(mean, e, near, sine):
    """The root of Kepler's equation with 50 digits."""
    with mpmath.workdps(50):
        sign = 1 if sine is mpmath.sin else -1
        mean, e = mpmath.mpf(mean), mpmath.mpf(e)
        return mpmath.findroot(lambda x: sign * (x - e * sine(x)) - mean, mpmath.mpf(near))


@pytest.mark.parametrize("e", ELLIPSES + HYPERBOLAS)
def test_keplers_equation_is_solved_to_the_last_digits(e):
    largest = math.pi if e < 1 else 1e8
    means = np.concatenate([np.linspace(-0.999, 0.999, 15) * math.pi, np.geomspace(1e-15, largest, 40)])
    found = eccentric_anomaly(means, e, hyperbolic=e > 1)
    for mean, x in zip(means.tolist(), found.tolist(), strict=True):
        exact = exact_anomaly(mean, e, x, mpmath.sin if e < 1 else mpmath.sinh)
        assert abs(exact - x) <= 4e-16 * abs(exact)


def test_mean_anomalies_of_ellipses_count_modulo_a_turn():
    means = np.linspace(-3, 3, 7)
    assert eccentric_anomaly(means + 2 * math.pi, 0.4, hyperbolic=False) == pytest.approx(
        eccentric_anomaly(means, 0.4, hyperbolic=False), abs=1e-14
    )


def test_a_circle_goes_round_evenly_once_a_year():
    times = np.arange(9) / 8
    position, velocity = state_of(GM, 1.0, 0.0, 0.0, 0.0, 0.0, 2 * math.pi * times)
    assert position[:, :2] == pytest.approx(np.stack([np.cos(2 * math.pi * times), np.sin(2 * math.pi * times)], axis=1), abs=1e-14)
    assert velocity[0] == pytest.approx([0, 2 * math.pi, 0], abs=1e-14)


def test_ends_of_an_ellipse_are_where_and_as_fast_as_they_must_be():
    a, e = 2.0, 0.6
    position, velocity = state_of(GM, a, e, 0.0, 0.0, 0.0, [0.0, math.pi])
    assert position[:, 0] == pytest.approx([a * (1 - e), -a * (1 + e)])
    speed = math.sqrt(GM / a * (1 + e) / (1 - e))
    assert velocity[:, 1] == pytest.approx([speed, -GM / a / speed])


def test_the_plane_is_where_the_angles_say():
    quarter = math.pi / 2
    polar, _ = state_of(GM, 1.0, 0.0, quarter, 0.0, 0.0, quarter)
    turned, _ = state_of(GM, 1.0, 0.0, 0.3, quarter, 0.0, 0.0)
    late, _ = state_of(GM, 1.0, 0.5, 0.0, 0.0, quarter, 0.0)
    assert polar[0] == pytest.approx([0, 0, 1], abs=1e-15)
    assert turned[0] == pytest.approx([0, 1, 0], abs=1e-15)
    assert late[0] == pytest.approx([0, 0.5, 0], abs=1e-15)


@given(
    a=st.floats(1e-2, 1e2), e=st.floats(0, 0.9999), inclination=st.floats(0, math.pi), node=angle, periapsis=angle, mean=st.floats(-3, 3),
)  # fmt: skip
def test_energy_and_angular_momentum_are_those_of_the_elements(a, e, inclination, node, periapsis, mean):
    position, velocity = state_of(GM, a, e, inclination, node, periapsis, mean)
    distance, momentum = np.linalg.norm(position[0]), np.cross(position[0], velocity[0])
    kinetic, potential = 0.5 * np.sum(velocity**2), -GM / distance
    assert kinetic + potential == pytest.approx(-GM / (2 * a), abs=1e-13 * (kinetic - potential))
    assert np.linalg.norm(momentum) == pytest.approx(math.sqrt(GM * a * (1 - e) * (1 + e)), rel=1e-12)
    assert momentum[2] == pytest.approx(np.linalg.norm(momentum) * math.cos(inclination), abs=1e-12 * np.linalg.norm(momentum))


@given(
    size=st.floats(1e-2, 1e2), e=st.one_of(st.floats(1e-3, 0.99), st.floats(1.01, 50)), inclination=st.floats(0.01, 3.13), node=angle,
    periapsis=angle, mean=st.floats(-3, 3),
)  # fmt: skip
def test_elements_come_back_from_their_state(size, e, inclination, node, periapsis, mean):
    a = size if e < 1 else -size
    found = elements_of(GM, *state_of(GM, a, e, inclination, node, periapsis, mean))
    assert found.a[0] == pytest.approx(a, rel=1e-9)
    assert found.e[0] == pytest.approx(e, rel=1e-10)
    assert found.inclination[0] == pytest.approx(inclination, abs=1e-9)
    for name, value in (("node", node), ("periapsis", periapsis), ("mean_anomaly", mean)):
        apart = getattr(found, name)[0] - value
        assert abs(math.remainder(apart, 2 * math.pi)) < 1e-9 / min(e, 1), name


component = st.floats(-3, 3).map(lambda x: round(x, 3))


@given(position=st.tuples(component, component, component), velocity=st.tuples(component, component, component))
def test_states_come_back_from_their_elements(position, velocity):
    position, velocity = np.array(position), np.array(velocity)
    distance = np.linalg.norm(position)
    assume(distance >= 0.1 and abs(2 / distance - velocity @ velocity) >= 1e-2)  # not in the centre, and no parabola
    again = state_of(1.0, *elements_of(1.0, position, velocity))
    turning = np.linalg.norm(np.cross(position, velocity)) ** 2 / distance  # the periapsis of narrow orbits magnifies rounding
    scale = 1e-12 * (1 + 1 / max(turning, 1e-3)) ** 2
    assert again[0][0] == pytest.approx(position, abs=scale * 10)
    assert again[1][0] == pytest.approx(velocity, abs=scale * 10 * (1 + np.linalg.norm(velocity)))


@pytest.mark.parametrize("mean", [0.7, math.pi, -2.0])
def test_circular_orbits_have_their_periapsis_at_the_node(mean):
    found = elements_of(GM, *state_of(GM, 1.5, 0.0, 0.4, 1.0, 0.0, mean))
    assert (found.e[0], found.periapsis[0]) == (0, 0)
    assert abs(math.remainder(found.mean_anomaly[0] - mean, 2 * math.pi)) < 1e-13


@pytest.mark.parametrize("inclination", [0.0, math.pi])
def test_planar_orbits_have_their_node_at_x(inclination):
    state = state_of(GM, 1.5, 0.3, inclination, 0.0, 1.2, 0.5)
    found = elements_of(GM, *state)
    assert (found.inclination[0], found.node[0]) == (inclination, 0)
    assert found.periapsis[0] == pytest.approx(1.2) and found.mean_anomaly[0] == pytest.approx(0.5)


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, 0.0, 2.0), (0.5, -0.7, 0.3)])
@pytest.mark.parametrize("speed", [0.0, 0.4, -0.4, 9.0, -9.0])
def test_a_fall_on_a_line_is_an_orbit_of_eccentricity_one(direction, speed):
    position = np.array(direction)
    velocity = speed * position
    found = elements_of(1.0, position, velocity)
    again = state_of(1.0, *found)
    assert found.e[0] == pytest.approx(1, abs=1e-12)
    assert again[0][0] == pytest.approx(position, abs=1e-12) and again[1][0] == pytest.approx(velocity, abs=1e-11)


def test_a_body_let_go_at_one_au_falls_for_the_known_time():
    """From rest at 1 au the Sun is reached after pi sqrt(0.5^3 / GM), 64.57 days, which is half the period of a = 0.5."""
    found = elements_of(GM, [1.0, 0, 0], [0.0, 0, 0])
    motion = math.sqrt(GM / found.a[0] ** 3)
    assert (2 * math.pi - abs(found.mean_anomaly[0])) / motion == pytest.approx(math.pi * math.sqrt(0.125 / GM))


def test_open_orbits_leave_with_the_speed_that_a_says():
    _, velocity = state_of(1.0, -0.5, 1.5, 0.0, 0.0, 0.0, 1e9)
    assert np.linalg.norm(velocity) == pytest.approx(math.sqrt(2), rel=1e-8)


def test_many_orbits_at_once_are_those_orbits_one_by_one():
    a, e, mean = np.array([1.0, 5.2, -3.0]), np.array([0.1, 0.9, 1.7]), np.array([0.3, -2.0, 40.0])
    together = state_of(GM, a, e, 0.1, 0.2, 0.3, mean)
    for k in range(3):
        alone = state_of(GM, a[k], e[k], 0.1, 0.2, 0.3, mean[k])
        assert np.array_equal(together[0][k], alone[0][0]) and np.array_equal(together[1][k], alone[1][0])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"a": -1.0}, "a = -1 with e = 0.1"),
        ({"e": 1.5}, "e = 1.5"),
        ({"e": -0.1}, "e = -0.1"),
        ({"gm": 0.0}, "gm"),
        ({"node": math.nan}, "angle"),
    ],
)
def test_what_is_no_orbit_is_refused(change, what):
    orbit = {"gm": 1.0, "a": 1.0, "e": 0.1, "inclination": 0.0, "node": 0.0, "periapsis": 0.0, "mean_anomaly": 0.0} | change
    with pytest.raises(InputError, match=what):
        state_of(**orbit)


def test_states_without_elements_are_refused():
    with pytest.raises(InputError, match="parabola"):
        elements_of(1.0, [2.0, 0, 0], [0, 1.0, 0])
    with pytest.raises(InputError, match="centre"):
        elements_of(1.0, [0.0, 0, 0], [0, 1.0, 0])
    with pytest.raises(InputError, match="centre of its orbit"):
        state_of(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
