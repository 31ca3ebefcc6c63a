"""Polynomials between knots."""

import numpy as np
import pytest

from worldloom.worlds.orbits.trajectory import Trajectory

T = np.array([0.0, 0.3, 0.5, 1.4])


def along(coefficients, terms=None):
    """Trajectory of two bodies whose coordinates are polynomials in time [power, body, 3]; terms: how many of its own it has."""
    power = np.arange(len(coefficients))

    def derivative(order, times):
        factor = np.prod([power - k for k in range(order)], axis=0) if order else np.ones(len(power))
        return np.einsum("tp,p,pbk->tbk", times[:, None] ** np.maximum(power - order, 0), factor, coefficients)

    higher = None
    if terms is not None:
        h = np.diff(T)[:, None, None]
        scale = [h ** (k + 1) / np.prod(np.arange(1.0, k + 2)) for k in range(terms)]
        higher = np.stack([derivative(k + 3, T[:-1]) * scale[k] for k in range(terms)], axis=1)
    return derivative, Trajectory(
        t=T, position=derivative(0, T), velocity=derivative(1, T), acceleration=derivative(2, T), higher=higher, energy_error=0 * T
    )


@pytest.mark.parametrize(("degree", "terms"), [(5, None), (9, 7), (9, 8), (20, 18), (4, 2)])
def test_polynomial_of_the_degree_that_the_terms_allow_is_reproduced(degree, terms):
    derivative, trajectory = along(np.random.default_rng(degree).normal(size=(degree + 1, 2, 3)), terms)
    times = np.linspace(0, 1.4, 37)
    np.testing.assert_allclose(trajectory.at(times), derivative(0, times), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(trajectory.velocity_at(times), derivative(1, times), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("degree", "terms"), [(6, None), (9, 6)])
def test_polynomial_of_a_higher_degree_is_not(degree, terms):
    derivative, trajectory = along(np.random.default_rng(degree).normal(size=(degree + 1, 2, 3)), terms)
    assert np.abs(trajectory.at([1.1]) - derivative(0, np.array([1.1]))).max() > 1e-5


@pytest.mark.parametrize("terms", [None, 3])
def test_velocity_is_the_derivative_of_the_position_whatever_the_motion(terms):
    _, trajectory = along(np.random.default_rng(7).normal(size=(12, 2, 3)), terms)
    times, d = np.array([0.05, 0.4, 0.9, 1.2]), 1e-5
    slope = (trajectory.at(times + d) - trajectory.at(times - d)) / (2 * d)
    np.testing.assert_allclose(trajectory.velocity_at(times), slope, rtol=1e-6, atol=1e-6)


def test_knots_are_met_and_times_may_come_in_any_order():
    _, trajectory = along(np.random.default_rng(8).normal(size=(6, 2, 3)))
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(trajectory.at(T[order]), trajectory.position[order], rtol=1e-12, atol=1e-13)
    assert trajectory.segment(np.array([0.0, 0.29, 0.3, 1.4])).tolist() == [0, 0, 1, 2]


def test_coefficients_of_some_segments_are_those_of_all():
    _, trajectory = along(np.random.default_rng(9).normal(size=(6, 2, 3)), 4)
    assert trajectory.coefficients().shape == (3, 7, 2, 3)
    np.testing.assert_array_equal(trajectory.coefficients(1, 3), trajectory.coefficients()[1:3])


def test_it_is_valid_until_its_last_knot():
    _, trajectory = along(np.ones((3, 2, 3)))
    assert trajectory.ended == 1.4 and trajectory.early == ""
