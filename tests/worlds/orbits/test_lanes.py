"""Batches of systems: physics of the lanes, what the outcome says of a system, and genes."""

import numpy as np
import pytest

from tests.worlds.orbits import reference
from worldloom.core import InputError, Rollout
from worldloom.core.keys import run_key
from worldloom.core.world import Status
from worldloom.worlds.orbits import WORLD
from worldloom.worlds.orbits.spec import Inputs
from worldloom.worlds.orbits.stability import JUST, WORTH
from worldloom.worlds.orbits.view import SIDES, frame, track


def lanes_of(*systems):
    """Systems with equally many bodies as Inputs."""
    arrays = [(s.gm, s.position.T, s.velocity.T) for s in systems]
    return Inputs(*(np.array(part) for part in zip(*arrays, strict=True)))


def lived(inputs, steps, mode=None, **settings):
    """(outcome, state) after so many steps."""
    rollout = Rollout(WORLD, WORLD.filled(mode, settings), inputs, np.zeros(len(inputs.gm), np.uint64), mode=mode)
    return rollout.run(steps), rollout.state()


def sampled(count, seed=3, **sizes):
    params, sizes = WORLD.filled(), WORLD.sized(sizes)
    genome = WORLD.genome(params, sizes)
    genes = genome.sampled(run_key(seed), count)
    return genome, genes


def pair(ratio, mass=1e-6):
    """Two planets on circles whose periods have that ratio; G = 1, a star of 1, the inner period 1 year."""
    a = np.array([1.0, ratio ** (2 / 3)])
    x = [[0, 0, 0], [1, 0, 0], [-a[1], 0, 0]]
    return reference.system_of([1, mass, mass], x, [[0, 0, 0], [0, 1, 0], [0, -(a[1] ** -0.5), 0]]).centred()


def test_lanes_agree_with_the_reference():
    systems = [reference.planets(3, mass=1e-3, seed=k) for k in range(3)]
    _, state = lived(lanes_of(*systems), 300, dt=0.02, scheme="leapfrog")
    for k, system in enumerate(systems):
        x, v = reference.leapfrog(system.gm, system.position, system.velocity, 0.02, 300)
        assert np.abs(state.position[k].T - x).max() < 1e-11
        assert np.abs(state.velocity[k].T - v).max() < 1e-11


@pytest.mark.parametrize(("scheme", "order", "steps"), [("leapfrog", 2, 400), ("fourth", 4, 400), ("sixth", 6, 100)])
def test_a_scheme_converges_with_its_order(scheme, order, steps):
    inputs = lanes_of(reference.planets(3, mass=1e-3, e=0.1))
    _, truth = lived(inputs, 2000, dt=0.01, scheme="sixth")
    errors = [np.abs(lived(inputs, n, dt=20 / n, scheme=scheme)[1].position - truth.position).max() for n in (steps, 2 * steps)]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.6


def test_energy_and_momentum_errors_are_those_of_the_bodies():
    system = reference.planets(3, mass=3e-3)
    outcome, state = lived(lanes_of(system), 157, dt=0.1, scheme="leapfrog")
    x, v = state.position[0].T, state.velocity[0].T
    before = reference.energy(system.gm, system.position, system.velocity)
    assert np.isclose(outcome.energy_error[0], abs(reference.energy(system.gm, x, v) / before - 1), rtol=1e-6)
    assert outcome.angular_momentum_error[0] < 1e-13
    assert (outcome.position[0] == state.position[0]).all()


def test_closest_is_the_distance_in_mutual_hill_radii():
    a, mass = 1.5 ** (2 / 3), 1e-6
    outcome, _ = lived(lanes_of(pair(1.5, mass)), 6000, dt=0.01)
    hill = 0.5 * (1 + a) * np.cbrt(2 * mass / 3)
    assert np.isclose(outcome.closest[0], (a - 1) / hill, rtol=2e-3)


def test_a_look_now_and_then_misses_no_approach():
    system = lanes_of(pair(1.5, 1e-6))
    often, seldom = (lived(system, 6000, dt=0.01, watch_every=n)[0].closest[0] for n in (1, 40))
    assert abs(often / seldom - 1) < 0.05


def test_planets_that_meet_or_leave_are_unstable_and_worth_nothing():
    calm = reference.planets(2, mass=1e-6)
    x, v = [[0, 0, 0], [1, 0, 0], [-0.99, 0.3, 0]], [[0, 0, 0], [0, 1, 0], [0.3, 0.93, 0]]  # against the other: they pass at 0.03
    meeting = reference.system_of([1, 1e-4, 1e-4], x, v).centred()
    leaving = calm.chosen(velocity=calm.velocity * np.array([[1], [1], [1.6]]))
    together = calm.chosen(position=calm.position[[0, 1, 1]])
    outcome, _ = lived(lanes_of(calm, meeting, leaving, together), 3000, dt=0.01)
    assert outcome.status.tolist() == [Status.OK, *[Status.UNSTABLE] * 3]
    assert outcome.fitness[0] > 0
    assert (outcome.fitness[1:] == 0).all()
    assert all(np.isfinite(array).all() for array in outcome)


def test_a_step_that_does_not_resolve_an_orbit_is_unstable():
    outcome, _ = lived(lanes_of(reference.planets(2, mass=1e-6, e=0.9)), 100, dt=1.0, scheme="leapfrog")
    assert outcome.status[0] == Status.UNSTABLE


def test_consonance_prefers_simple_ratios_and_falls_off_beside_them():
    outcome, _ = lived(lanes_of(*(pair(ratio) for ratio in (2, 1.5, 4 / 3, 1.5 * 2 ** (1 / 48), 1.43))), 100, dt=0.05)
    octave, fifth, fourth, near_fifth, nothing = outcome.consonance
    assert np.isclose([octave, fifth, fourth], [1, 2 / (1 + np.log2(6)), 2 / (1 + np.log2(12))], atol=1e-3).all()
    assert np.isclose(near_fifth, fifth / 2, rtol=0.02)
    assert nothing < 0.2


def test_just_intervals_are_worth_less_the_larger_their_numbers():
    products = [product for _, product in JUST]
    assert sorted(WORTH, reverse=True) == [WORTH[k] for k in np.argsort(products, kind="stable")]


def test_migration_is_seen_where_a_passing_body_moves_a_planet():
    quiet, heavy = (lived(lanes_of(reference.planets(2, mass=mass)), 2000, dt=0.02)[0].migration[0] for mass in (1e-7, 1e-3))
    assert quiet < 1e-5
    assert heavy > 1e-3


def test_two_stars_may_hold_planets():
    x = [[0.1, 0, 0], [-0.1, 0, 0], [3, 0, 0]]
    binary = reference.system_of(
        [0.5, 0.5, 1e-9], x, [[0, np.sqrt(1 / 0.2) / 2, 0], [0, -np.sqrt(1 / 0.2) / 2, 0], [0, 3**-0.5, 0]]
    )
    outcome, _ = lived(lanes_of(binary), 5000, dt=0.005, stars=2)
    assert outcome.status[0] == Status.OK
    assert outcome.migration[0] < 0.02
    assert outcome.consonance[0] == 0


def test_genes_become_the_orbits_that_they_say():
    from worldloom.worlds.orbits.elements import elements_of
    from worldloom.worlds.orbits.system import ASTRO_G

    genome, genes = sampled(20, bodies=2 + 1)
    inputs = genome.express(genes)
    mass = 10.0 ** genes.mass.astype(float)
    for k in range(20):
        x, v, gm = inputs.position[k].T, inputs.velocity[k].T, inputs.gm[k]
        inner = elements_of(gm[0] + gm[1], x[1] - x[0], v[1] - v[0])
        assert np.isclose(inner.a[0], np.cbrt((1 + mass[k, 0]) * float(genes.period[k]) ** 2), rtol=1e-9)
        assert np.isclose(inner.e[0], genes.eccentricity[k, 0], atol=1e-9)
        assert np.isclose(inner.inclination[0], genes.inclination[k, 0], atol=1e-9)
        centre, drift = gm[:2] @ x[:2] / gm[:2].sum(), gm[:2] @ v[:2] / gm[:2].sum()
        outer = elements_of(gm.sum(), x[2] - centre, v[2] - drift)
        period = float(genes.period[k]) * float(genes.ratio[k, 0])
        assert np.isclose(outer.a[0], np.cbrt(gm.sum() / ASTRO_G * period**2), rtol=1e-9)
        assert np.isclose(outer.periapsis[0] / (2 * np.pi), genes.periapsis[k, 1], atol=1e-6)
        assert np.isclose(outer.node[0] / (2 * np.pi), genes.node[k, 1], atol=1e-6)
    assert np.abs(np.einsum("lb,lab->la", inputs.gm, inputs.velocity)).max() < 1e-12


def test_genes_of_several_stars_are_refused():
    with pytest.raises(InputError, match="one star"):
        WORLD.genome(WORLD.filled(None, {"stars": 2}), WORLD.sized())


@pytest.mark.parametrize("mode", [name for name in WORLD.modes if name != "accurate"])
def test_modes_keep_their_declared_error_and_need_it(mode):
    genome, genes = sampled(160, seed=11)
    inputs = genome.express(genes)
    ends = {name: lived(inputs, WORLD.steps(WORLD.filled(name)), mode=name)[0] for name in ("accurate", mode)}
    found = WORLD.error(ends["accurate"], ends[mode])
    for measure, bound in WORLD.modes[mode].error.items():
        assert found[measure] <= bound
    assert found["position"] > WORLD.modes[mode].error["position"] / 30


def test_breeding_finds_stable_and_consonant_systems():
    from worldloom.evolve.search import ask, begin, tell
    from worldloom.runtime.evaluate import Threads

    search, threads, best = begin(WORLD, population=64, seed=5, settings={"life": 1.0}, mode="fast"), Threads(2, WORLD), []
    for _ in range(14):
        search, batch = ask(search)
        outcome = threads.outcome(batch)
        search = tell(search, outcome)
        best.append(np.where(outcome.status == 0, outcome.fitness, 0).max())
    assert best[-1] > 1.3 * best[0]
    assert best[-1] > 0.45


def test_pictures_show_every_body_and_a_closed_line_for_every_planet():
    genome, genes = sampled(2)
    inputs = genome.express(genes)
    _, state = lived(inputs, 3)
    stars, planets, path, orbits = frame(WORLD.filled(), inputs, state, 1)
    assert len(stars.xyz) + len(planets.xyz) == 8
    assert len(path.xyz) == len(orbits.pairs) == 7 * SIDES
    away = np.abs(path.xyz.reshape(7, SIDES, 3) - planets.xyz[:, None]).max(2).min(1) / np.abs(planets.xyz).max(1)
    assert (away < 2 * np.pi / SIDES).all()


def test_a_replay_has_positions_by_frame_and_body():
    genome, genes = sampled(1)
    inputs = genome.express(genes)
    states = type(lived(inputs, 1)[1])(*(np.repeat(array, 5, axis=0) for array in lived(inputs, 1)[1]))
    found = track(WORLD.filled(), inputs, states)
    assert found["positions"].shape == found["velocities"].shape == (5, 8, 3)
    assert (found["positions"][0] == states.position[0].T).all()


def test_the_same_genes_give_the_same_inputs_alone_and_in_a_crowd():
    genome, genes = sampled(40)
    whole = genome.express(genes)
    alone = genome.express(type(genes)(*(array[17:18] for array in genes)))
    assert all((a[17] == b[0]).all() for a, b in zip(whole, alone, strict=True))
