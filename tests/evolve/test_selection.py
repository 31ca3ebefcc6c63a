"""Who survives and who becomes a parent."""

import numpy as np
import pytest
from evolve_problems import INF, LIMBS, NAN, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.keys import run_key
from worldloom.evolve import select

KEY = run_key(5)
TEN = np.arange(10)[::-1].copy()  # individual 9 is the best


@given(st.lists(st.sampled_from([NAN, INF, -INF, -1.0, 0.0, 2.0, 1e300, -1e300]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_ranks_hold_exactly_the_finite_best_first_and_ties_by_index(values):
    fitness = np.array(values, np.float64)
    expected = sorted((k for k in range(len(values)) if np.isfinite(values[k])), key=lambda k: (-values[k], k))
    assert select.ranked(fitness).tolist() == expected


def test_truncation_draws_evenly_from_the_best_share():
    counts = np.bincount(select.truncation(KEY, TEN, 30_000, share=0.3), minlength=10)
    assert counts[:7].sum() == 0
    assert abs(counts[7:] / 10_000 - 1).max() < 0.05


def test_truncation_of_few_keeps_one():
    assert select.truncation(KEY, np.array([4]), 5, share=0.01).tolist() == [4] * 5


def test_tournament_favours_rank_as_the_largest_of_so_many_draws():
    counts = np.bincount(select.tournament(KEY, TEN, 60_000, size=3), minlength=10) / 60_000
    expected = (np.arange(1, 11) ** 3 - np.arange(10) ** 3) / 1000
    assert abs(counts - expected).max() < 0.01


def test_linear_ranking_gives_everyone_the_expected_number_within_one():
    counts = np.bincount(select.ranking(KEY, TEN, 1000, pressure=1.6), minlength=10)[::-1]
    expected = 100 * (1.6 - 1.2 * np.arange(10) / 9)
    assert abs(counts - expected).max() < 1
    assert select.ranking(KEY, np.array([3]), 4, pressure=2.0).tolist() == [3] * 4
    assert len(select.ranking(KEY, TEN, 0, pressure=2.0)) == 0


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_allotted_places_add_up_and_are_within_one_of_their_share(weights, count):
    shares = np.array(weights) / sum(weights)
    places = select.allotted(shares, count)
    assert places.sum() == count
    assert abs(places - shares * count).max() <= 1


def test_distance_is_the_mean_difference_as_a_share_of_the_range():
    genes = numbers(4, -1, 3).genes(np.array([[-1, 0, 1, 3], [3, 0, 1, 3], [-1, 2, 3, 3]], np.float32))
    assert select.distances(select.places(genes), 0) == pytest.approx([0, 0.25, 0.25], abs=1e-6)


def test_distance_counts_structure_as_same_or_different():
    genes = LIMBS.sampled(KEY, 2)
    twin = type(genes)(*(array[[0, 0]].copy() for array in genes))
    twin.joint[1, :2] += 7
    assert select.distances(select.places(twin), 0) == pytest.approx([0, 2 / 26])


def test_distances_do_not_depend_on_the_order_of_genes():
    x = np.random.default_rng(1).uniform(-1, 1, (50, 300)).astype(np.float32)
    genome = numbers(300)
    plain = select.distances(select.places(genome.genes(x)), 3)
    turned = select.distances(select.places(genome.genes(np.ascontiguousarray(x[:, ::-1]))), 3)
    assert plain.tobytes() == turned.tobytes()


def test_species_form_around_the_best_of_each_cluster():
    x = np.array([[-0.5], [-0.52], [0.5], [0.49], [-0.48], [0.0]], np.float32)
    fitness = np.array([3.0, 5.0, 4.0, 1.0, 2.0, NAN])
    species = select.speciated(numbers(1).genes(x), select.ranked(fitness), reach=0.1, limit=8)
    assert species.seeds.tolist() == [1, 2]
    assert species.of.tolist() == [0, 1, 0, 0, 1]  # individuals 1, 2, 0, 4, 3


def test_species_never_exceed_their_limit():
    genes = numbers(20).sampled(KEY, 60)
    species = select.speciated(genes, np.arange(60), reach=0.0, limit=5)
    assert len(species.seeds) == 5
    assert set(species.of) == set(range(5))


def test_a_crowded_species_gets_no_more_offspring_than_an_equally_good_small_one():
    fitness = np.array([1.0] * 8 + [1.0, 0.0])
    species = select.Species(np.array([0, 8, 9]), np.array([0] * 8 + [1, 2]))
    shares = select.shared(fitness, np.arange(10), species)
    assert shares[0] == pytest.approx(shares[1])
    assert 0 < shares[2] < shares[1] / 10


@pytest.mark.parametrize("fitness", [[1e308, -1e308], [5.0, 5.0], [-3.0, -4.0]])
def test_shares_of_species_are_finite_whatever_the_fitness(fitness):
    shares = select.shared(np.array(fitness), np.arange(2), select.Species(np.arange(2), np.arange(2)))
    assert np.isfinite(shares).all()
    assert shares.sum() == pytest.approx(1)


def test_parents_of_one_child_are_of_one_species():
    genes = numbers(1).sampled(KEY, 80)
    fitness = np.linspace(0, 1, 80)
    ranks = select.ranked(fitness)
    species = select.speciated(genes, ranks, reach=0.1, limit=8)
    first, second = select.within((run_key(1), run_key(2)), fitness, ranks, species, 200, size=2)
    of = np.empty(80, int)
    of[ranks] = species.of
    assert len(first) == 200
    assert (of[first] == of[second]).all()
    assert len(set(of[first])) == len(species.seeds)
