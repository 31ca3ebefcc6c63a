"""Keys: the published vectors of Philox, the same numbers in kernels, in Python and on arrays, and draws that look independent."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from over_lanes import lane_by_lane, over_lanes, same_bits

from worldloom.core.errors import InputError
from worldloom.core.keys import below, fold, integers, normal, normals, permutation, philox, run_key, uniform, uniforms
from worldloom.core.lanes import lane_code

KEY = run_key(2024)
WORDS = np.uint32(0xFFFFFFFF)
# key, counter, answer: philox4x32 with 10 rounds in kat_vectors of Random123 (Salmon et al., github.com/DEShawResearch/random123)
PUBLISHED = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0xA4093822, 0x299F31D0),  # digits of pi
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@lane_code
def four_words(i, m):
    a = m.words
    a[i, 0], a[i, 1], a[i, 2], a[i, 3] = philox(m.key[i, 0], m.key[i, 1], a[i, 0], a[i, 1], a[i, 2], a[i, 3])


@lane_code
def draws(i, m):
    key, t = m.key[i], m.t[i]
    m.real[i, 0], m.real[i, 1] = uniform(key, 5, 3), normal(key, t, 3)
    m.whole[i] = below(key, t, t, m.t[i] + 7)
    m.child[i, 0], m.child[i, 1], m.child[i, 2] = fold(key, 5), fold(key, t), fold(key, m.large[i])


def lanes_of_draws(count):
    keys = fold(KEY, np.arange(count))
    return {
        "key": keys,
        "t": np.arange(count, dtype=np.int32),
        "large": np.arange(count, dtype=np.int64) * 10_000_000_019 - 7,
        "real": np.zeros((count, 2), np.float32),
        "whole": np.zeros(count, np.int32),
        "child": np.zeros((count, 3), np.uint64),
    }


@pytest.mark.parametrize(("key", "counter", "answer"), PUBLISHED)
def test_philox_gives_the_published_words(key, counter, answer):
    assert philox(*map(np.uint32, (*key, *counter))) == answer
    words = over_lanes(four_words, 16, key=np.full((17, 2), key, np.uint32), words=np.full((17, 4), counter, np.uint32)).words
    assert (words == answer).all()


@pytest.mark.parametrize("width", [1, 4, 8])
def test_draws_have_the_same_bits_at_every_width(width):
    a, b = (over_lanes(draws, w, **lanes_of_draws(100)) for w in (width, 16))
    assert all(same_bits(x, y) for x, y in zip(a, b, strict=True))


def test_draws_have_the_same_bits_in_uncompiled_python():
    a, b = over_lanes(draws, 16, **lanes_of_draws(40)), lane_by_lane(draws, **lanes_of_draws(40))
    assert all(same_bits(x, y) for x, y in zip(a, b, strict=True))


def test_fold_is_the_same_in_kernels_on_scalars_and_on_arrays():
    lanes = lanes_of_draws(40)
    child = over_lanes(draws, 16, **lanes).child
    assert (child == np.stack([fold(lanes["key"], n) for n in (5, lanes["t"], lanes["large"])], axis=1)).all()
    assert [int(fold(KEY, n)) for n in range(40)] == lanes["key"].tolist()
    assert fold(lanes["key"][:, None], np.arange(3)).shape == (40, 3)
    assert type(fold(KEY, 1)) is np.uint64


def test_fold_takes_all_64_bits_of_a_number():
    numbers = [0, 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    assert len({int(fold(KEY, n)) for n in numbers}) == len(numbers)
    assert fold(KEY, -1) == fold(KEY, np.int32(-1)) == fold(KEY, np.uint64(2**64 - 1))


def test_folding_in_another_order_or_depth_gives_another_key():
    paths = {(a, b): int(fold(fold(KEY, a), b)) for a in range(50) for b in range(50)}
    once = {int(fold(KEY, a)) for a in range(5000)}
    assert len(set(paths.values()) | once) == len(paths) + len(once)


def test_keys_and_draws_of_different_functions_share_no_words():
    words = np.concatenate([fold(KEY, np.arange(4096)).view(np.uint32), (uniforms(KEY, 4096) * 2**24).astype(np.uint32) << 8])
    assert len(set((words[:8192] >> 8).tolist()) & set((words[8192:] >> 8).tolist())) < 10  # by chance: 8192 * 4096 / 2**24 = 2
    first = uniforms(KEY, 16)
    assert not np.isin(first, [uniform(KEY, t, 0) for t in range(16)]).any()


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_a_seed_that_is_no_64_bit_number_is_refused(seed):
    with pytest.raises(InputError, match="Expected a whole number from 0 to 18446744073709551615"):
        run_key(seed)


def test_fold_refuses_fractions():
    with pytest.raises(InputError, match="Expected whole numbers"):
        fold(KEY, np.array([0.5]))


def test_seeds_give_unrelated_keys():
    keys = [int(run_key(seed)) for seed in range(2000)]
    assert len(set(keys)) == 2000
    changed = [(a ^ b).bit_count() for a, b in pairwise(keys)]
    assert abs(np.mean(changed) - 32) < 0.5


def test_known_draws_never_change():
    """Stored runs depend on them."""
    assert (int(KEY), int(fold(KEY, 1))) == (3184548826755332700, 6457015022898203170)
    assert uniforms(KEY, 2).tolist() == [0.7505823373794556, 0.7751970887184143]
    assert normals(KEY, 2).tolist() == [-0.8057856559753418, -0.006234460510313511]
    assert integers(KEY, 1000, 4).tolist() == [240, 623, 125, 358]
    assert permutation(KEY, 6).tolist() == [2, 1, 0, 3, 4, 5]
    found = float(uniform(KEY, 1, 2)), float(normal(KEY, 1, 2)), int(below(KEY, 1, 2, 1000))
    assert found == (0.18369966745376587, 0.5964776277542114, 594)


def test_longer_arrays_begin_with_the_shorter_ones():
    for draw in (uniforms, normals, lambda key, n: integers(key, 9, n)):
        assert (draw(KEY, 1000)[:77] == draw(KEY, 77)).all()
    assert (uniforms(KEY, 3, 5).ravel() == uniforms(KEY, 15)).all()
    assert uniforms(KEY, 0).shape == normals(KEY, 3, 0).shape == permutation(KEY, 0).shape == (0,) or normals(KEY, 3, 0).shape == (
        3,
        0,
    )
    assert uniforms(KEY).shape == ()


def test_array_types_are_as_documented():
    found = [uniforms(KEY, 3).dtype, normals(KEY, 3).dtype, integers(KEY, 5, 3).dtype, permutation(KEY, 3).dtype]
    assert found == [np.float32, np.float32, np.int64, np.int64]


# ---- do they look random? limits of five standard deviations; the key is fixed -----------------------------------------------


def chi_square(counts):
    """Standard deviations by which counts of equally likely outcomes differ too much (or, negative, too little)."""
    counts = np.asarray(counts, np.float64)
    expected, freedom = counts.mean(), counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2 * freedom)


def test_uniforms_fill_the_unit_interval_evenly_alone_and_in_pairs():
    u = uniforms(KEY, 1_000_000)
    assert u.min() >= 0
    assert u.max() < 1
    assert (u * 2**24 % 1 == 0).all()
    assert abs(chi_square(np.bincount((u * 1000).astype(int)))) < 5
    pairs = (u[:-1] * 64).astype(int) * 64 + (u[1:] * 64).astype(int)
    assert abs(chi_square(np.bincount(pairs, minlength=4096))) < 5


def test_draws_along_time_slots_and_folded_keys_are_even_and_uncorrelated():
    keys, count = fold(KEY, np.arange(300)), 300
    table = np.array([[uniform(keys[k], t, 1) for t in range(count // 5)] for k in range(count // 5)])
    assert abs(chi_square(np.bincount((table.ravel() * 16).astype(int), minlength=16))) < 5
    for other in (table[1:, :], table[:, 1:]):
        r = np.corrcoef(table[: other.shape[0], : other.shape[1]].ravel(), other.ravel())[0, 1]
        assert abs(r) < 5 / math.sqrt(other.size)


def test_normals_are_normal():
    z = normals(KEY, 1_000_000).astype(np.float64)
    for power, mean, deviation in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
        assert abs((z**power).mean() - mean) < 5 * deviation / 1000
    edges = np.array([-3, -2, -1, 0, 1, 2, 3])
    share = np.array([0.5 * math.erfc(-e / math.sqrt(2)) for e in edges])
    assert (np.abs((z[:, None] < edges).mean(axis=0) - share) < 5 * np.sqrt(share * (1 - share)) / 1000).all()
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.005


def test_integers_are_even_and_below_the_bound():
    for bound in (1, 2, 6, 1000):
        n = integers(KEY, bound, 200_000)
        assert n.min() >= 0
        assert n.max() < bound
        assert bound == 1 or abs(chi_square(np.bincount(n, minlength=bound))) < 5
    assert integers(KEY, 2**32 - 1, 1000).max() > 2**31
    with pytest.raises(InputError, match="Expected a bound from 1"):
        integers(KEY, 0, 3)


def test_below_scales_64_bits_exactly():
    lanes = lanes_of_draws(60)
    whole = over_lanes(draws, 16, **lanes).whole
    assert ((whole >= 0) & (whole < lanes["t"] + 7)).all()
    for bound in (1, 6, 2**31 - 1):
        u = [below(key, 0, 0, 2**31 - 1) / (2**31 - 1) for key in lanes["key"]]
        assert all(abs(below(key, 0, 0, bound) - u[k] * bound) <= 1 for k, key in enumerate(lanes["key"]))


def test_permutation_holds_every_number_once_and_favours_no_place():
    assert (np.sort(permutation(KEY, 10_007)) == np.arange(10_007)).all()
    places = np.array([permutation(fold(KEY, k), 6) for k in range(6000)])
    assert all(abs(chi_square(np.bincount(places[:, k], minlength=6))) < 5 for k in range(6))


@pytest.mark.slow
def test_a_million_draws_take_milliseconds():
    for draw, limit in ((uniforms, 0.010), (normals, 0.025)):
        draw(KEY, 10)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            draw(KEY, 1_000_000)
            times.append(time.perf_counter() - start)
        assert min(times) < limit
