"""Wisdom-Holman steps: Kepler's closed form, orders and correctors, symmetries, the outer planets for 100,000 years, refusals."""

import numpy as np
import pytest

from tests.worlds.orbits import reference
from worldloom.core import InputError
from worldloom.worlds.orbits.elements import elements_of, state_of
from worldloom.worlds.orbits.kepler import kepler
from worldloom.worlds.orbits.leapfrog import leapfrog
from worldloom.worlds.orbits.presets import preset
from worldloom.worlds.orbits.wisdom_holman import CORRECTORS, corrections, strengths, wisdom_holman


def moved(x, v, mu, t):
    """Position and velocity after a time t, by the drift."""
    change = np.array(kepler(*map(np.float64, (*x, *v, mu, t))))
    return x + change[:3], v + change[3:]


@pytest.mark.parametrize(("a", "e"), [(1.0, 0.0), (1.0, 0.05), (2.5, 0.6), (1.0, 0.99), (-1.0, 1.2), (-0.3, 5.0)])
@pytest.mark.parametrize("share", [1e-4, 0.03, 0.4, 1.0, 3.7, -0.03, -2.2])
def test_a_drift_is_keplers_motion(a, e, share):
    mu, elements = 1.7, (a, e, 0.4, 1.1, 2.0)
    rate = np.sqrt(mu / abs(a) ** 3)
    x, v = (vectors[0] for vectors in state_of(mu, *elements, 0.8))
    expected_x, expected_v = (vectors[0] for vectors in state_of(mu, *elements, 0.8 + 2 * np.pi * share))
    found_x, found_v = moved(x, v, mu, 2 * np.pi * share / rate)
    tolerance = 2e-13 / (1 - e) if e < 1 else 1e-12
    assert np.abs(found_x - expected_x).max() < tolerance * np.abs(expected_x).max()
    assert np.abs(found_v - expected_v).max() < tolerance * max(np.abs(expected_v).max(), np.abs(v).max())


def test_a_drift_there_and_back_is_none():
    draw = np.random.default_rng(4)
    for _ in range(60):
        x, v, t = draw.normal(size=3), draw.normal(size=3), 10 ** draw.uniform(-3, 0.3)
        there = moved(x, v, 1.0, t)
        back = moved(*there, 1.0, -t)
        assert np.abs(back[0] - x).max() < 1e-12 * max(1, np.abs(there[0]).max() ** 2)


def test_correctors_are_those_of_the_paper():
    spacing = np.sqrt(7 / 40)
    assert np.isclose(
        float(strengths(1)[0]) / spacing, 0.024900596027799867, rtol=1e-15
    )  # Rein and Tamayo 2015, table in section 2.6
    assert np.allclose([float(b) / spacing for b in strengths(2)], [0.041500993379666, -0.0083001986759333], rtol=1e-13)
    drifts, kicks = corrections(17)[0]
    assert abs(drifts.sum()) < 1e-14
    assert abs(kicks.sum()) < 1e-16


def test_one_planet_moves_as_kepler_says_at_any_step():
    system = reference.system_of([1, 0.05], [[0, 0, 0], [0.7, 0, 0]], [[0, 0, 0], [0, 1.4, 0.2]]).centred()
    found = wisdom_holman(system, 300.0, 3.0, corrector=0)
    mu, relative = 1.05, [found.position[:, 1] - found.position[:, 0], found.velocity[:, 1] - found.velocity[:, 0]]
    start = elements_of(mu, relative[0][0], relative[1][0])
    rate = np.sqrt(mu / start.a[0] ** 3)
    expected, _ = state_of(mu, *start[:5], start.mean_anomaly + rate * found.t)
    assert np.abs(relative[0] - expected).max() < 1e-11
    assert np.abs(np.einsum("b,tbk->tk", system.gm, found.position)).max() < 1e-14


def test_the_step_agrees_with_a_leapfrog_of_eighth_order():
    system = reference.planets(9, mass=1e-4, spread=0.3)  # two registers of planets
    truth = leapfrog(system, 20.0, 0.02, order=8)
    found = wisdom_holman(system, 20.0, 0.02, every=10)
    assert np.abs(found.position[-1] - truth.position[-1]).max() < 3e-7
    assert np.abs(found.velocity[-1] - truth.velocity[-1]).max() < 3e-7
    assert np.abs(found.acceleration[-1] - reference.accelerations(system.gm, found.position[-1])).max() < 1e-12


def test_the_error_falls_with_the_square_of_the_step():
    system = reference.planets(3, mass=1e-4)
    truth = leapfrog(system, 20.0, 0.01, order=8).position[-1]
    errors = [np.abs(wisdom_holman(system, 20.0, dt, corrector=0).position[-1] - truth).max() for dt in (0.1, 0.05)]
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.4


def test_the_error_falls_with_the_planets_mass_and_the_corrector_takes_all_but_its_square():
    def energy_error(mass, corrector):
        return wisdom_holman(reference.planets(3, mass=mass), 40.0, 0.1, corrector=corrector).energy_error.max()

    assert 5 < energy_error(1e-4, 0) / energy_error(1e-5, 0) < 200
    plain, corrected = energy_error(1e-6, 0), energy_error(1e-6, 11)
    assert corrected < plain / 100


def test_correctors_of_higher_order_are_better_where_masses_are_small():
    system = reference.planets(3, mass=1e-9, e=0.02)
    errors = [wisdom_holman(system, 40.0, 0.25, corrector=order).energy_error.max() for order in (0, 3, 7)]
    assert errors[0] > 5 * errors[1]
    assert errors[1] > 5 * errors[2]


@pytest.mark.parametrize("corrector", CORRECTORS)
def test_time_runs_backwards_as_well(corrector):
    system = reference.planets(4, mass=1e-5)
    there = wisdom_holman(system, 20.0, 0.2, corrector=corrector, every=50)
    returned = system.chosen(position=there.position[-1], velocity=-there.velocity[-1])
    back = wisdom_holman(returned, 20.0, 0.2, corrector=corrector, every=50)
    assert np.abs(back.position[-1] - system.position).max() < (
        1e-12 if corrector == 0 else 1e-8
    )  # a corrector is not its own reverse
    assert np.abs(there.position[-1] - system.position).max() > 0.1


def test_observers_and_the_order_of_planets_do_not_matter():
    system, wind, order = reference.planets(4, mass=1e-4), np.array([0.3, -0.2, 0.1]), np.array([0, 3, 1, 4, 2])
    still = wisdom_holman(system, 10.0, 0.1)
    moving = wisdom_holman(system.chosen(velocity=system.velocity + wind), 10.0, 0.1)
    assert np.abs(moving.position - wind * moving.t[:, None, None] - still.position).max() < 1e-12
    mixed = wisdom_holman(
        system.chosen(mass=system.mass[order], position=system.position[order], velocity=system.velocity[order]), 10.0, 0.1
    )
    assert (mixed.position == still.position[:, order]).all()
    flipped = wisdom_holman(system.chosen(position=system.position[:, ::-1], velocity=system.velocity[:, ::-1]), 10.0, 0.1)
    assert np.abs(flipped.position[:, :, ::-1] - still.position).max() < 1e-12


def test_fewer_knots_are_the_same_knots():
    system = reference.planets(4)
    every, seldom = wisdom_holman(system, 10.0, 0.1), wisdom_holman(system, 10.0, 0.1, every=7)
    chosen = [*range(0, 100, 7), 100]
    assert (seldom.position == every.position[chosen]).all()
    assert (seldom.energy_error == every.energy_error[chosen]).all()


def test_massless_planets_hyperbolas_and_a_lonely_star_are_fine():
    system = reference.planets(3, mass=0.0)
    assert wisdom_holman(system, 10.0, 0.5).position[-1] == pytest.approx(
        leapfrog(system, 10.0, 0.01, order=8).position[-1], abs=1e-9
    )
    passing = reference.system_of([1, 1e-6, 1e-6], [[0, 0, 0], [1, 0, 0], [-4, 3, 0]], [[0, 0, 0], [0, 1, 0], [1.5, 0, 0]])
    assert np.abs(wisdom_holman(passing, 6.0, 0.01).position[-1] - leapfrog(passing, 6.0, 0.001, order=8).position[-1]).max() < 1e-5
    alone = wisdom_holman(reference.system_of([2.0], [[1, 2, 3]], [[0.5, 0, -1]]), 4.0, 0.5)
    assert (alone.position[-1, 0] == [3, 2, -1]).all()


def test_the_outer_planets_keep_their_energy_for_100_000_years():
    system = preset("outer-solar-system")
    found = wisdom_holman(system, 1e5, 0.4, every=250)
    assert found.energy_error.max() < 2e-9
    assert found.angular_momentum_error < 1e-12
    running = [found.energy_error[found.t <= end].max() for end in (1e4, 1e5)]
    assert running[1] < running[0] * np.sqrt(10)


def test_rounding_errors_of_the_angular_momentum_do_not_add_up_step_by_step():
    """250,000 steps that all rounded alike would leave 250,000 * 1.1e-16 = 3e-11; at random 5e-14."""
    found = wisdom_holman(preset("outer-solar-system"), 1e5, 0.4, every=250_000)
    assert found.angular_momentum_error < 2e-13


def test_systems_without_a_dominant_star_are_refused_in_a_sentence():
    twins = reference.system_of([1, 0.5], [[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]])
    with pytest.raises(InputError, match="no star dominates"):
        wisdom_holman(twins, 1.0, 0.1)
    with pytest.raises(InputError, match="no star dominates"):
        wisdom_holman(reference.planets(2).chosen(stars=2), 1.0, 0.1)
    with pytest.raises(InputError, match="corrector = 4"):
        wisdom_holman(reference.planets(2), 1.0, 0.1, corrector=4)
