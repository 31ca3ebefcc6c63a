"""Replays of stored individuals, and the cache of their frames."""

import numpy as np
import pytest

from worldloom.core.world import counted
from worldloom.runtime.arrays import unpack_with_meta
from worldloom.runtime.frames import frames, kept
from worldloom.runtime.replay import replay
from worldloom.runtime.run import fork, planned, start
from worldloom.runtime.store_memory import MemoryStore
from worldloom.worlds.find import find

GIVEN = {"life": 3, "settle_steps": 120}


@pytest.fixture(scope="module")
def stored():
    """(store, run) of a small finished run that keeps the frames of 2 best, 1 drawn and 1 worst."""
    store, world = MemoryStore(), find("creatures")
    run = planned(world, population=20, generations=4, seed=5, given=GIVEN, keep="2,1,1")
    start(run, store, workers=1)
    return store, run


def test_every_individual_of_every_generation_lives_again_bit_for_bit(stored):
    store, run = stored
    for generation in range(4):
        rows = store.rows(run.id, generation)
        for individual in (0, 7, 19):
            life = replay(store, run.id, f"{generation}-{individual}")
            assert life.same is True
            assert life.outcome.fitness[0].tobytes() == rows.outcome["fitness"][individual].tobytes()
            assert np.isfinite(life.arrays["positions"]).all() and len(life.t) == len(life.arrays["positions"])


def test_a_fork_replays_what_it_shares(stored):
    store, run = stored
    child = fork(run.id, store, 2)
    same = [replay(store, ref, "2-3").arrays["positions"].tobytes() for ref in (run.id, child.id)]
    assert same[0] == same[1]


def test_the_policy_names_the_best_the_worst_and_some_drawn_by_the_seed(stored):
    store, run = stored
    rows = store.rows(run.id, 1)
    ranked = np.argsort(-counted(rows.outcome["fitness"], rows.outcome["status"]), kind="stable")
    named = kept(store, run.id, 1, seed=run.seed, policy="2,1,1")
    assert {*ranked[:2].tolist(), int(ranked[-1])} <= named and len(named) <= 4
    assert kept(store, run.id, 1, seed=run.seed, policy="2,1,1") == named
    assert kept(store, run.id, 1, seed=run.seed, policy="none") == set()
    assert kept(store, run.id, 1, seed=run.seed, policy="all") == set(range(20))
    drawn = [kept(store, run.id, 1, seed=seed, policy="0,1,0") for seed in range(20)]
    assert len(set(map(frozenset, drawn))) > 5


def test_frames_are_the_replay_in_half_precision_and_only_the_named_are_cached(stored):
    store, run = stored
    named = kept(store, run.id, 3, seed=run.seed, policy="2,1,1")
    for individual in (min(named), min(set(range(20)) - named)):
        blob = frames(store, run.id, 3, individual)
        arrays, meta = unpack_with_meta(blob)
        life = replay(store, run.id, f"3-{individual}").arrays
        assert meta == {"world": "creatures", "individual": f"3-{individual}"}
        assert arrays["positions"].dtype == np.float16
        assert np.abs(arrays["positions"] - life["positions"]).max() < 0.01
        assert store.frames(run.id, 3, individual) == (blob if individual in named else None)
        assert frames(store, run.id, 3, individual) == blob


def test_fitness_without_an_ok_status_counts_for_nothing():
    values = counted(np.array([3.0, 9.0, np.nan, np.inf, 1.0]), np.array([0, 1, 0, 0, 0]))
    assert values.tolist() == [3.0, -np.inf, -np.inf, -np.inf, 1.0]
