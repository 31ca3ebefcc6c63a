"""One system by leapfrog and its compositions: closed forms, orders, symmetries, conservation, the reference, refusals."""

import numpy as np
import pytest

from tests.worlds.orbits import reference
from worldloom.core import InputError
from worldloom.worlds.orbits.leapfrog import COMPOSITIONS, leapfrog

ORDERS = sorted(COMPOSITIONS)


def two_bodies(e=0.3, mass=0.2):
    """Two bodies on Kepler's ellipse with a = 1 about each other, at the periapsis; G = 1, period 2 pi / sqrt(1 + mass)."""
    v = np.sqrt((1 + mass) * (1 + e) / (1 - e))
    return reference.system_of([1, mass], [[0, 0, 0], [1 - e, 0, 0]], [[0, 0, 0], [0, v, 0]]).centred()


def rotated(vectors, angle=0.7):
    """About an axis that is none of the coordinates'."""
    c, s = np.cos(angle), np.sin(angle)
    about_z, about_x = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return vectors @ (about_z @ about_x).T


@pytest.mark.parametrize("bodies", [1, 2, 3, 8, 9, 17])
def test_leapfrog_agrees_with_the_reference_for_every_number_of_bodies(bodies):
    system = reference.planets(bodies - 1, mass=1e-3, spread=0.2)
    found = leapfrog(system, 4.0, 0.02)
    x, v = reference.leapfrog(system.gm, system.position, system.velocity, 0.02, 200)
    assert np.abs(found.position[-1] - x).max() < 1e-12
    assert np.abs(found.velocity[-1] - v).max() < 1e-12
    assert np.abs(found.acceleration[-1] - reference.accelerations(system.gm, x)).max() < 1e-11


def test_two_bodies_return_after_a_period():
    system = two_bodies()
    found = leapfrog(system, 2 * np.pi / np.sqrt(1.2), 2 * np.pi / np.sqrt(1.2) / 1000, order=8)
    assert np.abs(found.position[-1] - system.position).max() < 1e-12
    halfway = found.position[500, 1] - found.position[500, 0]
    assert np.abs(halfway - [-1.3, 0, 0]).max() < 1e-12


@pytest.mark.parametrize("order", ORDERS)
def test_a_composition_converges_with_its_order(order):
    system, steps = reference.planets(3, mass=1e-3, e=0.1), {2: 800, 4: 400, 6: 100, 8: 50}[order]
    truth = leapfrog(system, 20.0, 0.01, order=8).position[-1]
    errors = [np.abs(leapfrog(system, 20.0, 20 / n, order=order).position[-1] - truth).max() for n in (steps, 2 * steps)]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.8


@pytest.mark.parametrize("order", ORDERS)
def test_time_runs_backwards_as_well(order):
    system = reference.planets(5, mass=1e-3)
    there = leapfrog(system, 10.0, 0.05, order=order)
    back = leapfrog(system.chosen(position=there.position[-1], velocity=-there.velocity[-1]), 10.0, 0.05, order=order)
    assert np.abs(back.position[-1] - system.position).max() < 1e-11
    assert np.abs(there.position[-1] - system.position).max() > 0.1


def test_a_moving_observer_sees_the_same():
    system, wind = reference.planets(4, mass=1e-3), np.array([0.3, -0.2, 0.1])
    still, moving = leapfrog(system, 5.0, 0.05), leapfrog(system.chosen(velocity=system.velocity + wind), 5.0, 0.05)
    assert np.abs(moving.position - wind * moving.t[:, None, None] - still.position).max() < 1e-12


def test_a_turned_observer_sees_the_same_turned():
    system = reference.planets(4, mass=1e-3)
    turned = system.chosen(position=rotated(system.position), velocity=rotated(system.velocity))
    assert np.abs(leapfrog(turned, 5.0, 0.05).position - rotated(leapfrog(system, 5.0, 0.05).position)).max() < 1e-12


def test_the_order_of_bodies_does_not_matter():
    system, order = reference.planets(6, mass=1e-3), np.array([0, 3, 1, 6, 5, 2, 4])
    mixed = system.chosen(mass=system.mass[order], position=system.position[order], velocity=system.velocity[order])
    assert np.abs(leapfrog(mixed, 5.0, 0.05).position - leapfrog(system, 5.0, 0.05).position[:, order]).max() < 1e-12


def test_momentum_is_kept_to_rounding_and_the_energy_error_stays_bounded():
    system = reference.planets(3, mass=1e-5)
    found = leapfrog(system, 2000.0, 0.1, every=20)
    momentum = np.einsum("b,tbk->tk", system.gm, found.velocity)
    assert np.abs(momentum).max() < 1e-15
    assert found.angular_momentum_error < 2e-14
    early, late = found.energy_error[: len(found.t) // 4].max(), found.energy_error[-len(found.t) // 4 :].max()
    assert 1e-8 < early < 1e-3
    assert late < 2 * early


def test_the_energy_error_of_a_knot_is_that_of_its_bodies():
    system = reference.planets(4, mass=3e-3)
    found = leapfrog(system, 10.0, 0.1)
    before = reference.energy(system.gm, system.position, system.velocity)
    expected = [abs(reference.energy(system.gm, found.position[k], found.velocity[k]) / before - 1) for k in (1, 50, 100)]
    assert np.abs(found.energy_error[[1, 50, 100]] - expected).max() < 1e-14


def test_fewer_knots_are_the_same_knots():
    system = reference.planets(4)
    every, seldom = leapfrog(system, 5.0, 0.05), leapfrog(system, 5.0, 0.05, every=7)
    chosen = [*range(0, 100, 7), 100]
    assert (seldom.position == every.position[chosen]).all()
    assert (seldom.t == every.t[chosen]).all()
    assert (seldom.energy_error == every.energy_error[chosen]).all()


def test_positions_between_knots_are_of_the_motion():
    system = reference.planets(3, e=0.0)
    coarse, fine = leapfrog(system, 5.0, 0.05, order=8), leapfrog(system, 5.0, 0.0125, order=8)
    assert np.abs(coarse.at(fine.t) - fine.position).max() < 1e-8


def test_massless_and_single_bodies_move_as_they_should():
    alone = leapfrog(reference.system_of([2.0], [[1, 2, 3]], [[0.5, 0, -1]]), 4.0, 0.5)
    assert np.abs(alone.position[-1, 0] - [3, 2, -1]).max() < 1e-14
    free = leapfrog(reference.system_of([0, 0], [[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]]), 2.0, 0.5)
    assert (free.position[-1] == [[0, 0, 0], [1, 2, 0]]).all()
    assert (free.energy_error == 0).all()


@pytest.mark.parametrize(
    ("duration", "dt", "options", "message"),
    [
        (1.0, 0.0, {}, "no steps"), (1.0, -0.1, {}, "no steps"), (1.0, np.nan, {}, "no steps"), (np.inf, 1.0, {}, "no steps"),
        (1.0, 0.3, {}, "whole number"), (1.0, 0.1, {"order": 3}, "order = 3"), (1.0, 0.1, {"every": 0}, "every"),
        (1e9, 1e-3, {}, "too much"),
    ],
)  # fmt: skip
def test_what_makes_no_steps_is_refused_in_a_sentence(duration, dt, options, message):
    with pytest.raises(InputError, match=message):
        leapfrog(reference.planets(2), duration, dt, **options)


def test_bodies_in_one_place_are_refused_and_give_no_samples():
    system = reference.system_of([1, 1], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match="Bodies met"):
        leapfrog(system, 1.0, 0.1)
