"""How the genes of two parents become a child's."""

import numpy as np
import pytest
from evolve_problems import LIMBS
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.keys import run_key, uniforms
from worldloom.evolve.crossover import INTERPOLATION, PIECE, UNIFORM, coins, crossed, either, mixed, root, simulated_binary, spread

KEY = run_key(11)
SBX = simulated_binary(2)
EVERY = pytest.mark.parametrize("crossing", [UNIFORM, INTERPOLATION, SBX], ids=["uniform", "interpolation", "sbx"])


def child(crossing, first, second, key=KEY):
    made = first.copy()
    mixed(key, made, second, crossing)
    return made


def test_coins_are_fair_and_unrelated_to_their_neighbours():
    tossed = coins(KEY, 1000, 400).astype(float)
    assert abs(tossed.mean() - 0.5) < 0.003
    for shift in (1, 2, 8, 16):
        assert abs(np.corrcoef(tossed[:, shift:].ravel(), tossed[:, :-shift].ravel())[0, 1]) < 0.006


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_either_copies_bits(dtype):
    first, second = np.array([-0.0, np.nan, 1e-40, 3], dtype), np.array([0.0, 2, 5, -np.inf], dtype)
    wins = np.array([False, False, True, True])
    assert either(wins, first, second).tobytes() == np.where(wins, second, first).tobytes()


@given(st.floats(2.0**-24, 1, width=32), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_root_is_the_root(value, degree):
    found = root(np.array([value], np.float32), degree)[0]
    assert found == pytest.approx(float(np.float32(value)) ** (1 / degree), rel=4e-7)


def test_uniform_crossover_takes_half_of_the_genes_from_each_parent_unchanged():
    first, second = uniforms(KEY, 500, 100), uniforms(run_key(1), 500, 100)
    made = child(UNIFORM, first, second)
    from_first = made == first
    assert ((made == second) | from_first).all()
    assert abs(from_first.mean() - 0.5) < 0.01
    assert abs(from_first.mean(axis=1).std() - 0.05) < 0.006  # binomial: sqrt(0.25 / 100)


def test_interpolation_goes_the_same_share_of_the_way_in_all_genes():
    first, second = np.zeros((2000, 5), np.float32), np.tile(np.arange(1, 6, dtype=np.float32), (2000, 1))
    share = child(INTERPOLATION, first, second) / second
    assert np.ptp(share, axis=1).max() < 1e-6
    assert 0 <= share.min() < 0.01 and 0.99 < share.max() <= 1
    assert abs(share.mean() - 0.5) < 0.02


def test_simulated_binary_crossover_keeps_the_mean_of_the_parents():
    first, second = np.full((1000, 200), 1, np.float32), np.full((1000, 200), 3, np.float32)
    assert child(SBX, first, second).mean() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("eta", [0, 2, 5, 20])
def test_spread_of_simulated_binary_crossover_is_distributed_as_eta_says(eta):
    beta = spread(uniforms(KEY, 400_000), eta=eta)
    assert abs((beta < 0).mean() - 0.5) < 0.004
    size = abs(beta)
    for at in (0.25, 0.5, 0.9, 1.0):
        assert (size <= at).mean() == pytest.approx(0.5 * at ** (eta + 1), abs=0.004)
    for at in (1.1, 1.5, 3.0):
        assert (size <= at).mean() == pytest.approx(1 - 0.5 * at ** -(eta + 1), abs=0.004)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_parents_have_children_of_the_same_bits(crossing, dtype):
    first = (uniforms(KEY, 300, 70) * 7 - 3).astype(dtype)
    assert child(crossing, first, first.copy()).tobytes() == first.tobytes()


@EVERY
def test_rows_do_not_depend_on_the_pieces_that_work_is_done_in(crossing):
    rows, width = 3 * PIECE // 40, 40
    first, second = uniforms(KEY, rows, width), uniforms(run_key(2), rows, width)
    whole = crossing.mix(crossing.draw(KEY, rows, width), first, second)
    assert child(crossing, first, second).tobytes() == whole.tobytes()


@EVERY
def test_structure_comes_whole_from_the_first_parent(crossing):
    genes = LIMBS.sampled(KEY, 40)
    parents = np.stack([np.arange(40), (np.arange(40) * 7 + 3) % 40], axis=1)
    made = crossed(KEY, genes, parents, crossing)
    assert (made.joint == genes.joint).all()
    assert (made.kind == genes.kind).all()
    assert not (made.length == genes.length).all()
    assert [array.dtype for array in made] == [array.dtype for array in genes]


def test_a_child_without_second_parent_is_a_copy_and_shares_no_memory():
    genes = LIMBS.sampled(KEY, 6)
    made = crossed(KEY, genes, np.array([[4, -1], [2, -1]]), UNIFORM)
    for copy, array in zip(made, genes, strict=True):
        assert (copy == array[[4, 2]]).all()
        assert not np.shares_memory(copy, array)
