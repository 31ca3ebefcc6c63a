"""Creatures obey physics, and what is no locomotion earns nothing."""

import numpy as np
import pytest

from tests.worlds.creatures import reference
from worldloom.core.keys import fold, run_key
from worldloom.core.rollout import Rollout
from worldloom.worlds.creatures import WORLD
from worldloom.worlds.creatures.spec import Genes


def lives(count, seed=5, mode=None, genes=None, **settings):
    """(rollout, genes) of sampled creatures that have not begun to live."""
    params = WORLD.filled(mode, settings)
    genome = WORLD.genome(params, WORLD.sized())
    genes = genome.sampled(run_key(seed), count) if genes is None else genome.repair(genes)
    keys = fold(run_key(seed), np.arange(count))
    return Rollout(WORLD, params, genome.express(genes), keys, mode=mode, threads=2), genes


def outcome(count, **options):
    rollout, _ = lives(count, **options)
    return rollout.run(WORLD.steps(rollout.params))


def tower(height, lean):
    """A mast of two muscles on a broad foot that leans towards +x: it can only fall."""
    _, genes = lives(1)
    alive = np.zeros((1, 8), np.int8)
    alive[0, :4] = 1
    position = np.zeros((1, 8, 3), np.float32)
    position[0, :4] = [[-0.2, 0, -0.2], [-0.2, 0, 0.2], [0.2, 0, 0], [lean, height, 0]]
    pair, muscle = np.zeros((1, 15, 2), np.int8), np.zeros((1, 15), np.int8)
    pair[0, :6], muscle[0, :6] = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], 1
    rest = genes.rest.copy()
    for k in range(6):
        rest[0, k] = np.linalg.norm(position[0, pair[0, k, 0]] - position[0, pair[0, k, 1]])
    return genes._replace(alive=alive, position=position, pair=pair, muscle=muscle, rest=rest, size=np.full((1, 8), 0.2, np.float32),
                          friction=np.ones((1, 8), np.float32), amplitude=np.zeros((1, 15), np.float32))  # fmt: skip


def spearman(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]


def test_kernel_agrees_with_the_reference_over_a_short_life():
    rollout, _ = lives(20, brain="oscillator", settle_steps=0)
    inputs, params = rollout.world.inputs(*_edge_inputs(rollout)), rollout.params
    rollout.reset()
    rollout.advance(60)
    state = rollout.state()
    for k in (0, 3, 16, 19):
        body = reference.Body(inputs, k)
        for t in range(60):
            reference.step(body, t, params)
        alive = np.isfinite(body.mass)
        assert np.abs(state.position[k].T - body.x)[alive].max() < 2e-4
        assert np.abs(state.velocity[k].T - body.v)[alive].max() < 2e-2


def _edge_inputs(rollout):
    """The rollout's inputs: lanes as [lane, *shape], per-block fields as [block, *shape]."""
    from worldloom.core.field import fields, lanes_of

    return [
        np.array(array) if field.per == "block" else lanes_of(array, rollout.lanes)
        for array, field in zip(rollout._inputs, fields(WORLD.inputs).values(), strict=True)
    ]


def test_energy_never_rises_with_muscles_off():
    rollout, _ = lives(32, drive=0, life=6)
    inputs = WORLD.inputs(*_edge_inputs(rollout))
    rollout.reset()
    before = None
    for _ in range(60):
        state = rollout.state()
        now = np.array([
            reference.energy(state.position[k].astype(float), state.velocity[k].astype(float), inputs, k, state.length[k], -9.8)
            for k in range(32)
        ])  # fmt: skip
        if before is not None:
            assert (now <= before * 1.002 + 2e-3).all(), (now - before).max()
        before = now
        rollout.advance(24)


def test_bodies_that_have_settled_do_not_drift():
    off = outcome(500, drive=0, settle_steps=3600, life=20)
    assert np.abs(off.distance).max() < 0.05
    assert (off.status == 0).all()


def test_a_life_that_ends_before_the_muscles_wake_earns_nothing():
    for settings in ({"life": 1}, {"life": 3, "settle_steps": 100000}):
        assert (outcome(60, **settings).fitness == 0).all()


def test_falling_over_is_not_walking():
    for height in (1.0, 2.0):
        for lean in (0.15, 0.3, 0.6):
            rollout, _ = lives(1, genes=tower(height, lean), settle_steps=0)
            assert rollout.run(2400).fitness[0] < 0.1 * height


@pytest.mark.parametrize("stroke", [0.5, 1.6])
def test_contracting_or_stretching_once_earns_nothing(stroke):
    """All rest lengths change by one factor after birth, and no rhythm follows: one end of the body moves, the other does not."""
    _, genes = lives(200)
    still = genes._replace(amplitude=np.zeros_like(genes.amplitude))
    one_way = WORLD.filled(None, {"settle_steps": 1200, "brain": "pure"})
    calm = WORLD.genome(one_way, WORLD.sized()).express(still)
    pushed = calm._replace(
        reach=np.where(calm.stiffness > 0, calm.rest * np.float32(abs(stroke - 1)), 0), weights_out=np.zeros_like(calm.weights_out),
        bias_out=np.full_like(calm.bias_out, np.sign(stroke - 1) * 5),
    )  # fmt: skip
    found = Rollout(WORLD, one_way, pushed, fold(run_key(5), np.arange(200))).run(2400)
    assert np.quantile(found.fitness, 0.95) < 0.3


def test_vibrating_muscles_earn_no_distance():
    """Small, fast, simultaneous strokes of every muscle, at the fastest rhythm that genes allow."""
    _, genes = lives(300)
    shaking = genes._replace(
        frequency=np.full_like(genes.frequency, 5), tempo=np.full_like(genes.tempo, 3), phase=np.zeros_like(genes.phase),
        amplitude=np.full_like(genes.amplitude, 0.05),
    )  # fmt: skip
    rollout, _ = lives(300, genes=shaking, brain="oscillator", settle_steps=960, life=14)
    assert np.quantile(rollout.run(3360).fitness, 0.95) < 0.5


def test_half_the_time_step_ranks_creatures_alike():
    base = outcome(400)
    half = outcome(400, dt=1 / 480, settle_steps=960, control_every=32, watch_every=32)
    assert spearman(base.fitness, half.fitness) > 0.85


@pytest.mark.parametrize("mode", ["fast", "ultra_fast", "extreme"])
def test_modes_keep_their_declared_error(mode):
    """Bodies that the coarsest step holds, ranked by the accurate mode and by another."""
    params = WORLD.filled("extreme")
    genes = WORLD.genome(params, WORLD.sized()).sampled(run_key(11), 600)
    accurate, other = outcome(600, genes=genes), outcome(600, genes=genes, mode=mode)
    for measure, value in WORLD.error(accurate, other).items():
        assert value <= WORLD.modes[mode].error[measure]


def test_effort_is_a_mean_and_costs_what_it_should():
    short, long = outcome(50, brain="oscillator", life=6), outcome(50, brain="oscillator", life=12)
    assert np.abs(short.effort - long.effort).max() < 0.05
    assert ((short.effort >= 0) & (short.effort <= 1)).all()
    paid = outcome(50, effort_cost=2)
    free = outcome(50)
    assert np.allclose(free.fitness - paid.fitness, 2 * free.effort, atol=1e-5)


def test_exploding_bodies_are_disqualified_and_earn_nothing():
    rollout, genes = lives(40)
    stiff = genes._replace(stiffness=np.full_like(genes.stiffness, 1e6))  # past every limit: as if genes had not been checked
    inputs = WORLD.genome(rollout.params, WORLD.sized()).express(stiff)
    rollout.load(inputs, fold(run_key(5), np.arange(40)))
    wild = rollout.run(2400)
    assert (wild.status == 1).any()
    assert (wild.fitness[wild.status == 1] == 0).all()
    assert all(np.isfinite(array).all() for array in wild)


def test_the_time_step_holds_every_body_that_a_mode_accepts():
    _, genes = lives(300)
    hard = Genes(**{**genes._asdict(), "stiffness": np.full_like(genes.stiffness, 1000), "damping": np.full_like(genes.damping, 10),
                    "mass": np.full_like(genes.mass, 0.3)})  # fmt: skip
    for mode in WORLD.modes:
        assert (outcome(300, genes=hard, mode=mode).status == 0).all()


def test_a_target_that_is_reached_pays_no_more():
    assert outcome(200, target=1).fitness.max() <= 1


def test_pellets_bank_progress_and_are_counted():
    near = outcome(300, task="pellets", pellet_gap=0.8, pellet_radius=0.75)
    assert near.collected.max() >= 1
    assert (near.collected <= 3).all()
    first = near.fitness[near.collected >= 1]
    assert (first >= 0.8 - 1e-6).all()
    assert (near.fitness >= 0).all()


@pytest.mark.parametrize("brain", ["oscillator", "hybrid", "pure"])
@pytest.mark.parametrize("clock", ["none", "cyclic", "sin", "raw"])
@pytest.mark.parametrize("proprioception", ["no", "yes"])
def test_every_kind_of_brain_lives(brain, clock, proprioception):
    found = outcome(32, brain=brain, clock=clock, proprioception=proprioception, life=3)
    assert (found.status == 0).all()
    assert len(np.unique(found.fitness)) > 20
