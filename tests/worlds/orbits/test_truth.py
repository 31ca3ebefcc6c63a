"""The truth integrator against closed forms, long double and symmetries; the horizon against twins."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

from tests.worlds.orbits.oracle import baseline, energy, plain, reference
from worldloom.core.errors import InputError
from worldloom.worlds.orbits import truth as module
from worldloom.worlds.orbits.elements import state_of
from worldloom.worlds.orbits.horizon import BOUND, horizon, smallest_axis
from worldloom.worlds.orbits.truth import advance, truth

STABLE, CHAOTIC = baseline(18, 1000.0).centred(), baseline(10).centred()


@pytest.fixture(scope="module")
def stable():
    return truth(STABLE, 60.0)


@pytest.fixture(scope="module")
def chaotic():
    return truth(CHAOTIC, 20.0)


def at_start(trajectory):
    return trajectory.position[0], trajectory.velocity[0]


def error_of_energy(system, trajectory):
    start = energy(system, *at_start(trajectory))
    return max(abs(energy(system, x, v) / start - 1) for x, v in zip(trajectory.position, trajectory.velocity, strict=True))


def off(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).max()


def kepler(e):
    position, velocity = state_of(1.0, 1.0, e, 0, 0, 0, 0.0)
    return plain([0.999, 0.001], [np.zeros(3), position[0]], [np.zeros(3), velocity[0]]).centred()


# ---- gates -----------------------------------------------------------------------------------------------------------------------


def test_stable_dense_system_keeps_energy_and_angular_momentum(stable):
    assert stable.ended == 60.0 and stable.early == ""
    assert error_of_energy(STABLE, stable) <= 1e-14
    assert np.abs(stable.energy_error).max() <= 1e-14 and stable.angular_momentum_error <= 1e-14


def test_stable_dense_system_is_where_long_double_has_it(stable):
    assert off(stable.at([6.0]), reference(STABLE, 6.0, 100)) <= 1e-12
    assert off(stable.position[-1], reference(STABLE, 60.0, 800)) <= 1e-11


def test_chaotic_system_keeps_energy_through_its_encounters(chaotic):
    apart = chaotic.position[:, :, None] - chaotic.position[:, None]
    assert np.sqrt((apart**2).sum(axis=3))[:, *np.triu_indices(11, 1)].min() < 1e-4  # encounters worth the name
    assert chaotic.ended == 20.0
    assert error_of_energy(CHAOTIC, chaotic) <= 1e-9  # in an encounter, that of rounding the positions of the knots
    assert abs(energy(CHAOTIC, chaotic.position[-1], chaotic.velocity[-1]) / energy(CHAOTIC, *at_start(chaotic)) - 1) <= 1e-12
    assert np.abs(chaotic.energy_error).max() <= 1e-12 and chaotic.angular_momentum_error <= 1e-12


@pytest.mark.parametrize(("e", "bound"), [(0.0, 1e-10), (0.5, 1e-10), (0.9, 1e-9), (0.99, 2e-8)])
def test_two_bodies_are_on_their_ellipse_for_a_hundred_orbits(e, bound):
    end = 200 * np.pi
    trajectory, times = truth(kepler(e), end), np.linspace(0, end, 777)
    x = trajectory.at(times)
    assert off(x[:, 1] - x[:, 0], state_of(1.0, 1.0, e, 0, 0, 0, times)[0]) <= bound


@pytest.mark.slow
def test_dense_system_with_full_masses_is_finished():
    trajectory = truth(baseline(18).centred(), 60.0)
    assert trajectory.ended == 60.0 and np.abs(trajectory.energy_error).max() <= 1e-9


def test_rebound_agrees_where_it_is_installed(stable):
    rebound = pytest.importorskip("rebound")
    simulation = rebound.Simulation()
    simulation.G, simulation.integrator = STABLE.G, "ias15"
    for m, x, v in zip(STABLE.mass, STABLE.position, STABLE.velocity, strict=True):
        simulation.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    simulation.integrate(60.0)
    assert off(stable.position[-1], [body.xyz for body in simulation.particles]) <= 1e-11


# ---- closed forms and symmetries -------------------------------------------------------------------------------------------------


def test_figure_eight_returns_and_its_bodies_follow_each_other():
    """Chenciner and Montgomery 2000; initial values of Simó with eight digits, which the return has too."""
    x, v, period = np.array([0.97000436, -0.24308753, 0.0]), np.array([-0.93240737, -0.86473146, 0.0]), 6.32591398
    trajectory = truth(plain([1, 1, 1], [x, -x, 0 * x], [-v / 2, -v / 2, v]), period)
    a, b, c = trajectory.at([period / 3])[0]
    assert off(trajectory.position[-1], trajectory.position[0]) < 1e-6
    assert min(off([a, b, c], trajectory.position[0][list(order)]) for order in ((1, 2, 0), (2, 0, 1))) < 1e-6


def test_reversed_velocities_lead_back():
    there = truth(STABLE, 20.0)
    back = truth(replace(STABLE, position=there.position[-1], velocity=-there.velocity[-1]), 20.0)
    assert off(back.position[-1], STABLE.position) < 1e-11 and off(back.velocity[-1], -STABLE.velocity) < 1e-11


def test_drifting_frame_changes_rounding_only():
    drift = np.array([3.0, -2.0, 1.0])
    moving = truth(replace(STABLE, velocity=STABLE.velocity + drift), 5.0).at([2.0, 5.0])
    assert off(moving - np.array([2.0, 5.0])[:, None, None] * drift, truth(STABLE, 5.0).at([2.0, 5.0])) < 1e-12


def test_turned_system_moves_alike():
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turned = truth(replace(STABLE, position=STABLE.position @ turn, velocity=STABLE.velocity @ turn), 5.0)
    assert off(turned.position[-1] @ turn.T, truth(STABLE, 5.0).position[-1]) < 1e-13


@pytest.mark.parametrize("planets", [4, 7, 18])
def test_order_of_bodies_changes_rounding_only(planets):
    system = baseline(planets, 1000.0).centred()
    order = np.random.default_rng(4).permutation(planets + 1)
    mixed = truth(replace(system, mass=system.mass[order], position=system.position[order], velocity=system.velocity[order]), 5.0)
    assert off(mixed.position[-1], truth(system, 5.0).position[-1][order]) < 1e-13


def test_units_of_length_do_not_matter():
    metres = replace(STABLE, G=STABLE.G * 2.0**111, position=STABLE.position * 2.0**37, velocity=STABLE.velocity * 2.0**37)
    one, other = truth(STABLE, 3.0), truth(metres, 3.0)
    assert off(one.position[-1], other.position[-1] / 2.0**37) < 1e-13 and one.evaluations == other.evaluations


@pytest.mark.parametrize("bodies", [2, 3, 4, 5, 8, 9, 64])
def test_every_number_of_bodies_feels_every_pair(bodies):
    random = np.random.default_rng(bodies)
    system = plain(random.uniform(0.1, 1, bodies), random.normal(size=(bodies, 3)) * 30, random.normal(size=(bodies, 3)) * 0.1)
    trajectory = truth(system, 9.0)
    assert off(trajectory.position[-1], reference(system, 9.0, 8)) < 1e-12


def test_largest_system_runs():
    random = np.random.default_rng(256)
    system = plain(random.uniform(0, 1e-3, 256), random.normal(size=(256, 3)) * 9, random.normal(size=(256, 3)) * 0.1)
    assert np.abs(truth(system, 0.5).energy_error).max() < 1e-13


def test_body_alone_moves_straight():
    trajectory = truth(plain([2.0], [[1, 2, 3]], [[0.1, 0, -0.2]]), 10.0)
    np.testing.assert_allclose(trajectory.at([0.0, 5.0, 10.0])[:, 0], [[1, 2, 3], [1.5, 2, 2], [2, 2, 1]], rtol=1e-15)


def test_bodies_without_mass_follow_and_do_not_pull():
    star, *grains = [0, 0, 0], [1, 0, 0], [1, 0, 0], [-2, 0, 0]  # two of them in one place
    system = plain([1.0, 0, 0, 0], [star, *grains], [[0, 0, 0], [0, 1, 0], [0, 1, 0], [0, -(0.5**0.5), 0]])
    x = truth(system, 2 * np.pi).position[-1]
    assert off(x[:3], [[0, 0, 0], [1, 0, 0], [1, 0, 0]]) < 1e-12
    assert off(np.hypot(*x[3, :2]), 2) < 1e-12


def test_only_massless_bodies_move_straight():
    trajectory = truth(plain([0, 0], [[0, 0, 0], [1, 0, 0]], [[1, 0, 0], [-1, 0, 0]]), 3.0)
    assert off(trajectory.position[-1], [[3, 0, 0], [-2, 0, 0]]) < 1e-14


# ---- dense output ----------------------------------------------------------------------------------------------------------------


def test_polynomials_end_where_the_next_begins(stable, chaotic):
    for trajectory, bound in ((stable, 1e-13), (chaotic, 1e-12)):
        inside = np.nextafter(trajectory.t[1:], 0)
        assert off(trajectory.at(inside), trajectory.position[1:]) < bound


def test_dense_output_between_knots_is_as_good_as_the_knots(stable):
    middle = (stable.t[:-1] + stable.t[1:])[::40] / 2
    for time in middle:
        assert off(stable.at([time])[0], truth(STABLE, float(time), tolerance=1e-16).position[-1]) < 1e-12


def test_velocity_between_knots_is_the_slope_of_the_position(stable):
    times, d = np.array([0.123, 7.7, 31.4]), 1e-5
    slope = (stable.at(times + d) - stable.at(times - d)) / (2 * d)
    assert off(stable.velocity_at(times), slope) < 1e-7
    assert off(stable.velocity_at(stable.t[5:9]), stable.velocity[5:9]) < 1e-14


# ---- ends ------------------------------------------------------------------------------------------------------------------------


def test_head_on_collision_ends_the_trajectory_before_it():
    system = plain([1.0, 1.0, 1e-6], [[-0.5, 0, 0], [0.5, 0, 0], [0, 30, 0]], np.zeros((3, 3)))
    trajectory = truth(system, 5.0)
    collision = np.pi / 4  # from rest at distance 1, G M = 2: pi sqrt(1 / (8 G M))
    assert trajectory.early == "collision"
    assert abs(trajectory.ended - collision) < 1e-4
    assert np.isfinite(trajectory.position).all() and np.isfinite(trajectory.higher).all()
    assert np.isfinite(trajectory.at(np.linspace(0, trajectory.ended, 50))).all()


def test_number_of_steps_ends_it_and_says_so(stable):
    short = truth(STABLE, 60.0, most_steps=100)
    assert short.early == "100 steps" and len(short.t) == 101
    np.testing.assert_array_equal(short.position, stable.position[:101])


def test_growing_arrays_change_no_bit(stable, monkeypatch):
    monkeypatch.setattr(module, "ROOM", 1)
    np.testing.assert_array_equal(truth(STABLE, 60.0).higher, stable.higher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass": [1.0, -1.0]}, "Mass"),
        ({"mass": [1.0, np.nan]}, "mass"),
        ({"position": [[0, 0, 0], [np.inf, 0, 0]]}, "position"),
        ({"position": [[1, 0, 0], [1, 0, 0]]}, "same place"),
        ({"velocity": [[0, 0, 0], [0, np.nan, 0]]}, "velocity"),
    ],
)
def test_system_without_a_future_is_refused(change, message):
    system = plain([1.0, 1e-3], [[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 1, 0]])
    with pytest.raises(InputError, match=message):
        truth(replace(system, **{name: np.array(value, float) for name, value in change.items()}), 1.0)


@pytest.mark.parametrize("options", [{"duration": 0.0}, {"duration": np.inf}, {"tolerance": 0.0}, {"most_steps": 0}])
def test_run_that_makes_no_sense_is_refused(options):
    with pytest.raises(InputError):
        truth(**{"system": STABLE, "duration": 1.0, **options})


# ---- bits ------------------------------------------------------------------------------------------------------------------------


def test_bits_are_those_of_every_machine():
    """Square roots and + - * / alone: a digest of the knots. A change of the integrator changes it, and then the version of the world."""
    trajectory = truth(baseline(10), 1.5)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in (trajectory.t, trajectory.position, trajectory.velocity)))
    assert digest.hexdigest()[:16] == "70acf5dd8ea36c46"


@pytest.mark.slow
def test_compiled_code_fuses_nothing(monkeypatch):
    code = njit(_nrt=False, error_model="numpy")(advance)
    monkeypatch.setattr(module, "compiled", lambda: code)  # compiled here, because code from disk does not show itself
    truth(CHAOTIC, 0.1)
    text = "".join(code.inspect_asm().values())
    assert "sqrt" in text and "fmadd" not in text and "fnmadd" not in text and "fmsub" not in text


# ---- horizon ---------------------------------------------------------------------------------------------------------------------


def twin(system, duration, uncertainty, seed):
    """The system with positions and velocities changed by the uncertainty."""
    random = np.random.default_rng(seed)
    x, v = (uncertainty * random.normal(size=(2, system.bodies, 3)) / 3**0.5) * np.array(
        [np.linalg.norm(array, axis=1)[:, None] for array in (system.position, system.velocity)]
    )
    return truth(replace(system, position=system.position + x, velocity=system.velocity + v), duration)


def test_regular_systems_are_predictable_to_their_end(stable):
    assert horizon(STABLE, 60.0, stable) == np.inf
    assert horizon(STABLE, 60.0, stable, uncertainty=1e-9) == np.inf
    assert horizon(kepler(0.9), 60.0) == np.inf
    assert horizon(plain([1.0], [[0, 0, 0]], [[1, 0, 0]]), 1.0) == np.inf


@pytest.mark.parametrize("uncertainty", [1e-14, 1e-12, 1e-9])
def test_horizon_is_where_twins_part(chaotic, uncertainty):
    bound, times = BOUND * smallest_axis(CHAOTIC), np.linspace(0, 20, 4001)
    found = min(horizon(CHAOTIC, 20.0, chaotic, uncertainty=uncertainty), 20.0)
    other = twin(CHAOTIC, 20.0, uncertainty, 1)
    apart = np.sqrt(((chaotic.at(times) - other.at(times)) ** 2).sum(axis=2)).max(axis=1)
    decades = np.log10(apart[np.searchsorted(times, found) - 1] / (uncertainty * 2))  # which twins are apart by then
    assert 0.5 < decades / np.log10(bound / (uncertainty * 2)) < 2


def test_chaotic_system_has_a_horizon_that_comes_earlier_for_worse_input(chaotic):
    found = [horizon(CHAOTIC, 20.0, chaotic, uncertainty=u) for u in (1e-12, 1e-9, 1e-6)]
    assert 20 > found[0] > found[1] > found[2] > 0
    assert horizon(CHAOTIC, found[1] / 2, chaotic, uncertainty=1e-9) == np.inf


def test_chaotic_system_in_double_precision_is_lost_soon_after_its_twenty_time_units(chaotic):
    assert horizon(CHAOTIC, 20.0, chaotic) == np.inf  # twins of 1e-15 are still together, see the next tolerance
    assert off(chaotic.position[-1], truth(CHAOTIC, 20.0, tolerance=1e-16).position[-1]) < BOUND * smallest_axis(CHAOTIC)
    assert 20 < horizon(CHAOTIC, 30.0) < 30


def test_stable_system_loses_what_its_linear_growth_says(stable):
    other = twin(STABLE, 60.0, 1e-9, 2)
    growth = np.sqrt(((stable.position[-1] - other.position[-1]) ** 2).sum(axis=1)).max() / 1e-9
    reached = BOUND * smallest_axis(STABLE) / growth  # the uncertainty whose bound would be met at the end
    assert horizon(STABLE, 60.0, stable, uncertainty=reached * 10) < 60.0
    assert horizon(STABLE, 60.0, stable, uncertainty=reached / 10) == np.inf


def test_horizon_of_a_trajectory_without_terms_is_much_the_same(stable):
    bare = replace(stable, higher=None)
    found = [horizon(STABLE, 60.0, trajectory, uncertainty=2e-6) for trajectory in (stable, bare)]
    assert found[0] < 60.0 and found[1] == pytest.approx(found[0], rel=0.05)
