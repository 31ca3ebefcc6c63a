"""Bodies: sampled ones are sound, mutation keeps them sound, and what a block visits changes no bit of any of its creatures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.errors import InputError
from worldloom.core.field import fields
from worldloom.core.genome import rows
from worldloom.core.keys import fold, run_key
from worldloom.core.rollout import Rollout
from worldloom.worlds.creatures import WORLD
from worldloom.worlds.creatures.express import edges_of, pairs
from worldloom.worlds.creatures.genome import connected, load, valid


def genome(**sizes):
    return WORLD.genome(WORLD.filled(), WORLD.sized(sizes))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63), nodes=st.integers(3, 20), muscles=st.integers(2, 50), hidden=st.integers(1, 64),
    count=st.integers(1, 40),
)  # fmt: skip
def test_sampled_bodies_are_valid_and_within_their_limits(seed, nodes, muscles, hidden, count):
    made = genome(nodes=nodes, muscles=muscles, hidden=hidden)
    genes = made.sampled(run_key(seed), count)
    assert valid(genes).all()
    made.from_arrays(genes._asdict())  # raises where a number is outside its limits


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63), rate=st.floats(0, 1), nodes=st.integers(3, 12))
def test_structural_mutation_keeps_bodies_valid_and_its_argument_whole(seed, rate, nodes):
    made = genome(nodes=nodes)
    genes = made.sampled(run_key(seed), 60)
    before = [array.copy() for array in genes]
    changed = made.mutate(run_key(seed + 1), genes, rate)
    assert valid(changed).all()
    made.from_arrays(changed._asdict())
    assert all((a == b).all() for a, b in zip(before, genes, strict=True))


def test_structural_mutation_changes_about_the_share_that_it_is_asked_to():
    made = genome()
    genes = made.sampled(run_key(1), 2000)
    changed = made.mutate(run_key(2), genes, 0.5)
    differs = (
        (changed.pair != genes.pair).any((1, 2)) | (changed.muscle != genes.muscle).any(1) | (changed.alive != genes.alive).any(1)
    )
    assert 0.15 < differs.mean() < 0.5  # invalid changes are not made
    assert (edges_of(changed) >= 0).sum() != (edges_of(genes) >= 0).sum()


def test_a_creature_lives_the_same_life_beside_any_neighbours():
    """Alone, among others, and in another order: the edges that its block visits differ, its bits do not."""
    made = genome()
    genes, keys = made.sampled(run_key(3), 48), fold(run_key(3), np.arange(48))
    params = WORLD.filled(None, {"life": 4})
    together = Rollout(WORLD, params, made.express(genes), keys).run(960)
    turned = np.arange(48)[::-1]
    back = Rollout(WORLD, params, made.express(rows(genes, turned)), keys[turned]).run(960)
    for k in (0, 5, 17, 47):
        alone = Rollout(WORLD, params, made.express(rows(genes, slice(k, k + 1))), keys[k : k + 1]).run(960)
        for name in together._fields:
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[k].tobytes()
            assert getattr(back, name)[47 - k].tobytes() == getattr(together, name)[k].tobytes()


def test_order_puts_like_topologies_side_by_side():
    made = genome()
    genes = made.sampled(run_key(4), 480)
    visited = [made.express(rows(genes, order)).edge_count.sum() for order in (slice(None), made.order(genes))]
    assert visited[1] < 0.9 * visited[0]
    assert sorted(made.order(genes).tolist()) == list(range(480))


def test_repair_softens_what_the_step_cannot_hold_and_nothing_else():
    made = WORLD.genome(WORLD.filled("extreme"), WORLD.sized())
    genes = made.sample(run_key(5), 100)
    stiff = genes._replace(stiffness=np.full_like(genes.stiffness, 1000))
    held = made.repair(stiff)
    assert (load(1 / 30, held) <= 3.0001).all()
    assert (held.stiffness <= stiff.stiffness).all()
    same = [name for name in genes._fields if name not in ("stiffness", "damping")]
    assert all(getattr(held, name) is getattr(stiff, name) for name in same)
    soft = genes._replace(stiffness=np.ones_like(genes.stiffness), damping=np.zeros_like(genes.damping))
    assert made.repair(soft) is soft


def test_bodies_stand_on_the_ground_above_their_centre_of_mass():
    made = genome()
    genes = made.sampled(run_key(6), 50)
    inputs = made.express(genes)
    alive = genes.alive == 1
    assert np.abs((inputs.born[:, 1] - inputs.radius)[alive].reshape(-1)).min() < 1e-6
    lowest = np.where(alive, inputs.born[:, 1] - inputs.radius, 9).min(1)
    assert (np.abs(lowest) < 1e-6).all()
    for axis in (0, 2):
        assert np.abs((inputs.born[:, axis] * inputs.share).sum(1)).max() < 1e-5
    assert np.allclose(inputs.share.sum(1), 1)


def test_connectedness_agrees_with_a_walk_along_the_edges():
    draw = np.random.default_rng(0)
    for _ in range(200):
        alive, joined = draw.random((1, 6)) < 0.8, np.triu(draw.random((1, 6, 6)) < 0.25, 1)
        joined = (joined | joined.swapaxes(1, 2)) & alive[:, :, None] & alive[:, None, :]
        living = np.flatnonzero(alive[0]).tolist()
        found, waiting = set(living[:1]), living[:1]
        while waiting:
            here = waiting.pop()
            fresh = set(np.flatnonzero(joined[0, here]).tolist()) - found
            found |= fresh
            waiting += fresh
        assert connected(alive, joined)[0] == (found == set(living))


def test_edges_are_numbered_in_the_order_of_their_nodes():
    first, second, number = pairs(5)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(a, b) for a in range(5) for b in range(a + 1, 5)]
    assert number[2, 4] == number[4, 2] == list(zip(first, second, strict=True)).index((2, 4))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("stiffness", 2000, r"stiffness\[0\]\[0\] = 2000"),
        ("mass", 0, r"mass\[0\]\[0\] = 0"),
        ("friction", np.nan, r"friction\[0\]\[0\] = nan"),
    ],
)
def test_a_gene_outside_its_limits_is_refused_by_its_path(field, value, told):
    made = genome()
    genes = made.sampled(run_key(7), 3)._asdict()
    genes[field] = genes[field].copy()
    genes[field][0, 0] = value
    with pytest.raises(InputError, match=told):
        made.from_arrays(genes)


def test_every_gene_has_bounds_unit_and_meaning():
    for name, gene in fields(genome().genes).items():
        assert gene.unit and gene.doc and gene.low is not None and gene.high is not None, name
