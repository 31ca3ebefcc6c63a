"""How large a mutation is, how often, and how that changes over a run."""

from functools import partial

import numpy as np
import pytest
from evolve_problems import LIMBS, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.keys import run_key
from worldloom.evolve import mutation

KEY = run_key(3)


def changed(rate, scale=0.1, count=2000, steps=mutation.gaussian, genome=LIMBS):
    before = genome.sampled(KEY, count)
    after = type(before)(*(array.copy() for array in before))
    mutation.mutate(run_key(4), after, rate=rate, scale=np.full(count, scale, np.float32), steps=steps)
    return before, after


def test_the_chosen_share_of_float_genes_mutates_and_no_structure():
    before, after = changed(0.2)
    assert (after.length != before.length).mean() == pytest.approx(0.2, abs=0.02)
    assert (after.weight != before.weight).mean() == pytest.approx(0.2, abs=0.01)
    assert (after.joint == before.joint).all() and (after.kind == before.kind).all()


def test_steps_are_scaled_by_each_gene_own_range():
    before, after = changed(1.0, 0.05)
    assert (after.length - before.length).std() == pytest.approx(0.05 * 1.9, rel=0.03)
    assert (after.weight - before.weight).std() == pytest.approx(0.05 * 8, rel=0.03)


def test_every_individual_has_its_own_scale():
    genes = numbers(400).genes(np.zeros((2, 400), np.float32))
    mutation.mutate(KEY, genes, rate=1.0, scale=np.array([0.0, 0.1], np.float32), steps=mutation.gaussian)
    assert (genes.x[0] == 0).all()
    assert genes.x[1].std() == pytest.approx(0.2, rel=0.1)


def test_rate_0_changes_nothing():
    before, after = changed(0.0)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_gaussian_steps_are_normal():
    steps = mutation.gaussian(KEY, 100_000)
    assert [steps.mean(), steps.std(), (steps**4).mean()] == pytest.approx([0, 1, 3], abs=0.06)


@pytest.mark.parametrize("eta", [0, 5, 20, 63])
def test_polynomial_steps_have_deviation_1_their_bound_and_their_distribution(eta):
    steps = mutation.polynomial(KEY, 200_000, eta=eta)
    bound = mutation.largest(eta)
    assert abs(steps).max() <= bound
    assert steps.mean() == pytest.approx(0, abs=0.01)
    assert steps.std() == pytest.approx(1, rel=0.02)
    for at in (0.02, 0.1, 0.5):  # of the bound: P(|step| <= at) = 1 - (1 - at) ** (eta + 1)
        assert (abs(steps) <= at * bound).mean() == pytest.approx(1 - (1 - at) ** (eta + 1), abs=0.005)


def test_polynomial_mutation_moves_no_gene_further_than_its_bound():
    before, after = changed(1.0, 0.1, genome=numbers(50), steps=partial(mutation.polynomial, eta=20))
    assert abs(after.x - before.x).max() <= 0.2 * mutation.largest(20) * (1 + 1e-6)


def test_scales_are_halved_equally_often():
    scales = mutation.scales(KEY, 40_000, scale=0.1, octaves=4)
    values, counts = np.unique(scales, return_counts=True)
    assert values == pytest.approx([0.0125, 0.025, 0.05, 0.1])
    assert abs(counts / 10_000 - 1).max() < 0.05
    assert (mutation.scales(KEY, 10, scale=0.1, octaves=1) == np.float32(0.1)).all()


def test_a_small_genome_mutates_two_genes_on_average_and_a_large_one_as_told():
    assert mutation.enough(numbers(8), 0.1) == 0.25
    assert mutation.enough(numbers(1), 0.1) == 1.0
    assert mutation.enough(numbers(400), 0.1) == 0.1
    assert mutation.enough(LIMBS, 0.01) == pytest.approx(2 / 20)
    assert mutation.enough(numbers(8), 0.0) == 0.0


def test_decay_falls_from_1_to_the_floor_and_stays_there():
    linear = [mutation.decayed("linear", g, horizon=10, floor=0.2) for g in (0, 5, 10, 99)]
    assert linear == pytest.approx([1, 0.6, 0.2, 0.2])
    exponential = [mutation.decayed("exponential", g, horizon=10, floor=0.01) for g in (0, 5, 10, 99)]
    assert exponential == pytest.approx([1, 0.1, 0.01, 0.01])
    assert mutation.decayed("none", 50, horizon=10, floor=0.2) == 1


@given(st.floats(1e-6, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_power_from_square_roots_is_the_power(base, exponent):
    assert mutation.fraction_of_power(base, exponent) == pytest.approx(base**exponent, rel=1e-10)


def test_boost_comes_after_patience_and_goes_in_turns():
    factors = [mutation.boosted(stagnant, patience=3, boost=2.0) for stagnant in range(10)]
    assert factors == [1, 1, 1, 2, 2, 2, 1, 1, 1, 2]
