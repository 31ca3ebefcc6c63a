"""The genetic algorithm: what it reaches, what it promises, what it survives."""

from dataclasses import replace

import numpy as np
import pytest
from evolve_problems import (
    INF,
    LIMBS,
    NAN,
    evolved,
    exclusive_or,
    numbers,
    rastrigin,
    same,
    sphere,
    two_peaks,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.field import lane_count
from worldloom.core.genome import rows
from worldloom.core.keys import fold, run_key
from worldloom.evolve.strategies.genetic import GeneticAlgorithm

SELECTIONS = ["truncation", "tournament", "rank", "species"]
VARIANTS = [
    *({"selection": name} for name in SELECTIONS),
    {"crossover": "sbx", "mutation": "polynomial"},
    {"crossover": "interpolation", "decay": "exponential", "immigrants": 0.1},
]
EACH = pytest.mark.parametrize("options", VARIANTS, ids=lambda options: "-".join(map(str, options.values())))


def genetic(genome, population, **options):
    return GeneticAlgorithm(genome=genome, population=population, **options)


def limbs_fitness(genes):
    return -(genes.length.astype(np.float64) ** 2).sum(axis=1) - (genes.weight**2).sum(axis=(1, 2)) + (genes.kind == 1)


# ---- sanity problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sphere_of_10_dimensions_is_solved_to_1e_3_in_60_generations(seed):
    _, best, _ = evolved(genetic(numbers(10), 100), sphere, 60, seed)
    assert best[-1] > -1e-3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sphere_of_400_dimensions_falls_to_an_eighth_in_60_generations(seed):
    _, best, _ = evolved(genetic(numbers(400), 200), sphere, 60, seed)
    assert best[-1] > best[0] / 8


@EACH
def test_every_variant_solves_a_sphere_of_5_dimensions_to_1e_2(options):
    _, best, _ = evolved(genetic(numbers(5), 100, **options), sphere, 40)
    assert best[-1] > -1e-2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rastrigin_of_10_dimensions_falls_below_1_tenth_per_dimension_in_100_generations(seed):
    _, best, _ = evolved(genetic(numbers(10, -5.12, 5.12), 200), rastrigin, 100, seed)
    assert best[-1] > -0.1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_small_net_learns_exclusive_or_in_50_generations(seed):
    _, best, _ = evolved(genetic(numbers(13, -8, 8), 150), exclusive_or, 50, seed)
    assert best[-1] > 3.95


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_species_with_shared_fitness_keep_both_peaks_and_plain_selection_loses_one(seed):
    def shares(selection):
        strategy = genetic(numbers(2), 60, selection=selection, reach=0.2, octaves=1, scale=0.03)
        x = evolved(strategy, two_peaks, 60, seed)[0].x
        return [float((abs(x - at).max(axis=1) < 0.2).mean()) for at in (-0.6, 0.6)]

    assert min(shares("species")) > 0.2
    assert min(shares("truncation")) < 0.05


# ---- elites and lineage ------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("population", [2, 3, 50])
def test_the_best_never_falls_on_a_deterministic_problem(options, population):
    _, best, _ = evolved(genetic(numbers(6), population, **options), rastrigin, 30)
    assert best == sorted(best)


@EACH
def test_lineage_names_the_parents_of_everyone(options):
    strategy = genetic(LIMBS, 30, elites=3, rate=0.0, pairs=0.5, **options)
    old, _, state = evolved(strategy, limbs_fitness, 4)
    genes, after = strategy.ask(run_key(9), state)
    parents, streak = after["parents"], after["streak"]
    assert parents.dtype == streak.dtype == np.int32
    assert parents.shape == (30, 2)
    assert parents.min() >= -1 and parents.max() < 30
    assert (parents[:3, 0] == np.argsort(-state["fitness"], kind="stable")[:3]).all()
    alone = (parents[:, 0] >= 0) & (parents[:, 1] < 0)
    assert same(rows(genes, alone), rows(old, parents[alone, 0]))
    survived = streak > 0
    assert survived[:3].all()
    assert (streak[survived] == state["streak"][parents[survived, 0]] + 1).all()
    mixed = parents[:, 1] >= 0
    assert mixed.any() and (genes.joint[mixed] == old.joint[parents[mixed, 0]]).all()


def test_streak_counts_the_generations_of_a_lasting_champion():
    strategy = genetic(numbers(3), 10, elites=1)
    state = strategy.start(run_key(1))
    for generation in range(5):
        genes, state = strategy.ask(run_key(generation), state)
        assert state["streak"][0] == generation
        state = strategy.tell(state, genes, np.arange(10)[::-1].astype(float))


def test_immigrants_are_new_and_come_last():
    strategy = genetic(numbers(4), 40, elites=2, immigrants=0.25)
    _, _, state = evolved(strategy, sphere, 3)
    _, after = strategy.ask(run_key(1), state)
    assert (after["parents"][-9:] == -1).all()  # a quarter of the 38 that are not elites
    assert (after["parents"][:-9, 0] >= 0).all()


def test_a_generation_of_immigrants_alone_is_possible():
    genes, _, _ = evolved(genetic(LIMBS, 8, immigrants=1.0, elites=0), limbs_fitness, 3)
    assert lane_count(genes) == 8


# ---- fitness that is not finite ----------------------------------------------------------------------------------------


@EACH
@given(values=st.lists(st.sampled_from([NAN, INF, -INF, 0.0, 1.0]), min_size=12, max_size=12))
@settings(max_examples=25, deadline=None)
def test_nobody_without_a_finite_fitness_survives_or_becomes_a_parent(options, values):
    strategy = genetic(numbers(3), 12, **options)
    fitness = np.array(values)
    genes, state = strategy.ask(run_key(1), strategy.start(run_key(0)))
    told = strategy.tell(state, genes, fitness)
    _, after = strategy.ask(run_key(2), told)
    used = after["parents"][after["parents"] >= 0]
    assert np.isfinite(fitness[used]).all()
    assert len(used) or not np.isfinite(fitness).any()
    finite = fitness[np.isfinite(fitness)]
    assert told["best"][0] == (finite.max() if len(finite) else -INF)


@EACH
@pytest.mark.parametrize("population", [1, 2, 20])
def test_a_run_in_which_nobody_is_finite_goes_on_with_fresh_individuals(options, population):
    def hopeless(genes):
        return np.full(len(genes.x), NAN)

    strategy = genetic(numbers(3), population, **options)
    genes, _, state = evolved(strategy, hopeless, 3)
    again, after = strategy.ask(run_key(5), state)
    assert (after["parents"] == -1).all()
    assert not same(genes, again)


@EACH
@pytest.mark.parametrize("population", [1, 2])
def test_populations_of_one_and_two_work(options, population):
    genes, _, state = evolved(genetic(LIMBS, population, **options), limbs_fitness, 6)
    assert lane_count(genes) == population
    assert len(state["streak"]) == population


@EACH
def test_equal_fitness_for_all_keeps_the_first_as_elites(options):
    strategy = genetic(numbers(3), 20, elites=2, **options)
    _, _, state = evolved(strategy, lambda genes: np.zeros(20), 2)
    _, after = strategy.ask(run_key(5), state)
    assert after["parents"][:2, 0].tolist() == [0, 1]


# ---- same bits, whatever happened before -------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_run_stored_after_ask_and_continued_gives_the_same_bits(options, stop):
    key = run_key(3)
    strategy = genetic(LIMBS, 16, patience=2, **options)
    state = strategy.start(key)
    for generation in range(7):
        genes, state = strategy.ask(fold(key, generation), state)
        if generation == stop:
            stored = {k: v.copy() for k, v in state.items()}, type(genes)(*(v.copy() for v in genes)), limbs_fitness(genes)
        state = strategy.tell(state, genes, limbs_fitness(genes))
    again = replace(strategy).tell(*stored)
    for generation in range(stop + 1, 7):
        other, again = replace(strategy).ask(fold(key, generation), again)
        again = strategy.tell(again, other, limbs_fitness(other))
    assert same(again, state)


@EACH
def test_ask_and_tell_leave_what_they_are_given_as_it_was(options):
    strategy = genetic(LIMBS, 16, **options)
    genes, _, state = evolved(strategy, limbs_fitness, 3)
    fitness = limbs_fitness(genes)
    for array in (*genes, *state.values(), fitness):
        array.flags.writeable = False
    before = {name: array.copy() for name, array in state.items()}
    strategy.ask(run_key(1), strategy.tell(state, genes, fitness))
    assert same(before, state)


def test_state_after_ask_is_small_and_flat():
    strategy = genetic(numbers(400), 50)
    _, _, state = evolved(strategy, sphere, 2)
    _, after = strategy.ask(run_key(1), state)
    assert set(after) == {"asked", "best", "stagnant", "parents", "streak"}
    assert sum(array.nbytes for array in after.values()) < 13 * 50
    assert all(type(array) is np.ndarray and array.ndim for array in after.values())


def test_a_population_can_grow_and_shrink_between_generations():
    small, large = genetic(numbers(3), 6), genetic(numbers(3), 15)
    _, _, state = evolved(small, sphere, 2)
    genes, state = large.ask(run_key(1), state)
    assert lane_count(genes) == len(state["streak"]) == 15
    genes, state = small.ask(run_key(2), large.tell(state, genes, sphere(genes)))
    assert lane_count(genes) == 6


# ---- the genome's own functions, schedules -----------------------------------------------------------------------------


def test_children_pass_through_the_world_mutation_then_bounds_then_repair():
    def shift(key, genes, rate):
        assert rate == 0.5
        return genes._replace(length=genes.length + 5)

    def halve(genes):
        return genes._replace(weight=genes.weight / 2)

    strategy = genetic(replace(LIMBS, mutate=shift, repair=halve), 20, elites=1, structure=0.5)
    genes, _, state = evolved(strategy, limbs_fitness, 2)
    children = rows(genes, state["streak"] == 0)
    assert (children.length == np.float32(2)).all()
    assert abs(children.weight).max() <= 2
    assert lane_count(children) == 19


@EACH
def test_genes_stay_within_their_bounds_and_keep_their_types(options):
    genes, _, _ = evolved(genetic(LIMBS, 40, rate=1.0, scale=3.0, **options), limbs_fitness, 5)
    LIMBS.from_arrays(genes._asdict())
    assert [a.dtype for a in genes] == [np.float32, np.float64, np.int32, np.int8]


def test_boost_begins_with_stagnation_and_ends_with_a_new_best():
    strategy = genetic(numbers(3), 10, patience=2, boost=3.0, rate=0.1, scale=0.2)
    state, strengths = strategy.start(run_key(0)), []
    for generation, value in enumerate([1.0, 1.0, 1.0, 2.0, 2.0]):
        genes, state = strategy.ask(run_key(generation), state)
        state = strategy.tell(state, genes, np.full(10, value))
        strengths.append(strategy.strength(5, int(state["stagnant"][0])))
    assert strengths == [(0.1, 0.2), (0.1, 0.2), pytest.approx((0.3, 0.6)), (0.1, 0.2), (0.1, 0.2)]


@pytest.mark.parametrize(("decays", "expected"), [("scale", (0.2, 0.05)), ("rate", (0.1, 0.1)), ("both", (0.1, 0.05))])
def test_decay_falls_on_what_it_is_told_to(decays, expected):
    strategy = genetic(numbers(3), 10, rate=0.2, scale=0.1, decay="linear", decays=decays, horizon=20, floor=0.5)
    assert strategy.strength(20, 0) == pytest.approx(expected)
    assert strategy.strength(0, 0) == pytest.approx((0.2, 0.1))


def test_decay_makes_later_children_differ_less():
    strategy = genetic(numbers(50), 50, pairs=0.0, decay="exponential", horizon=30, floor=0.01)
    _, _, early = evolved(strategy, sphere, 1)
    steps = []
    for asked in (1, 30):
        state = {**early, "asked": np.array([asked])}
        genes, after = strategy.ask(run_key(1), state)
        steps.append(abs(genes.x - early["genes.x"][after["parents"][:, 0]]).max())
    assert steps[1] < steps[0] / 20
