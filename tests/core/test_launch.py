"""Drivers: chunks, threads, what a launch costs, what the machine code is made of, and what an author is told."""

import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from over_lanes import same_bits
from small_worlds import COIN, COLLATZ, IDLE, WALKER, Inputs, inputs_of

from worldloom.core import lane_code
from worldloom.core.errors import WorldAuthorError
from worldloom.core.field import BLOCK
from worldloom.core.keys import fold
from worldloom.core.launch import BEGIN, END, chunks, driver, edges_of, lane_width, on_threads
from worldloom.core.rollout import Rollout

LAUNCH = 20e-6  # s: what a launch of an empty world may cost


@given(st.integers(0, 5000), st.integers(1, 64))
def test_chunks_cover_all_lanes_exactly_once_in_whole_blocks(lanes, threads):
    found = chunks(lanes, threads)
    whole = -(-lanes // BLOCK) * BLOCK
    assert [first for first, _ in found] == [0, *(last for _, last in found)][: len(found)]
    assert (found[-1][1] if found else 0) == whole and all(first % BLOCK == last % BLOCK == 0 for first, last in found)
    assert all(first < last for first, last in found) and (threads > 1 or len(found) <= 1)


@given(st.integers(0, 300), st.integers(1, 9))
def test_threads_run_every_lane_once_and_hand_the_arguments_on(lanes, threads):
    visits = np.zeros(-(-lanes // BLOCK) * BLOCK, int)

    def run(first, last, step):
        visits[first:last] += step

    on_threads(run, lanes, threads, 2)
    assert (visits == 2).all()


@pytest.mark.parametrize("threads", (1, 2, 5))
def test_an_error_in_any_thread_reaches_the_caller_and_no_thread_stays(threads):
    before = threading.active_count()

    def run(first, last):
        if first <= 480 < last:
            raise ArithmeticError(f"lanes {first} to {last}")

    with pytest.raises(ArithmeticError, match="lanes"):
        on_threads(run, 1000, threads)
    assert threading.active_count() == before


@pytest.mark.parametrize("world", (WALKER, COLLATZ, COIN), ids=lambda world: world.name)
def test_widths_threads_and_lane_counts_change_no_bit(world):
    widths = (1,) if world.scalar else (1, 4, 8, 16)
    assert lane_width(world) in widths
    keys, everyone = np.asarray(fold(np.uint64(5), np.arange(100)), np.uint64), inputs_of(100)
    whole = Rollout(world, world.filled(), everyone, keys, width=1).run(30)
    for width in widths:
        for lanes, threads in ((1, 1), (16, 2), (17, 1), (100, 3)):
            part = Rollout(world, world.filled(), Inputs(everyone.speed[:lanes]), keys[:lanes], width=width, threads=threads).run(
                30
            )
            assert same_bits(part.fitness, whole.fitness[:lanes]) and same_bits(part.status, whole.status[:lanes])


def test_modes_that_differ_in_numbers_alone_share_a_driver():
    assert driver(WALKER, "accurate", {}) is driver(WALKER, "coarse", {}) is driver(WALKER, None, {})
    assert driver(WALKER, "reversed", {}) is not driver(WALKER, None, {})
    assert driver(WALKER, "accurate", {}, 1) is not driver(WALKER, "accurate", {}, 16)


def test_two_worlds_of_one_name_and_file_do_not_share_machine_code():
    one, other = (replace(world, name="twin", modes={}) for world in (WALKER, IDLE))
    keys = np.arange(20, dtype=np.uint64)
    assert (Rollout(one, one.filled(), inputs_of(20), keys).run(5).fitness != 0).all()
    assert (Rollout(other, other.filled(), inputs_of(20), keys).run(5).fitness == 0).all()


def test_a_launch_of_an_empty_world_costs_a_few_microseconds():
    rollout = Rollout(IDLE, IDLE.filled(), inputs_of(16), np.zeros(16, np.uint64))
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            rollout.advance()
        best = min(best, (time.perf_counter() - start) / 200)
    assert best <= 3 * LAUNCH  # three times: the machine may be busy


def test_the_machine_code_fuses_no_multiplication_with_an_addition(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_CACHE", str(tmp_path))
    fresh = driver(replace(WALKER), None, {})  # another World object: compiled anew
    (text,) = fresh.dispatcher.inspect_asm().values()
    assert (
        not fresh.from_disk
        and re.search(r"mul[ps]s|fmul", text)
        and not re.search(r"vfn?m(add|sub)|\bfn?m(add|sub)\b|fml[as]", text)
    )


def test_kernels_that_were_made_inside_a_function_are_compiled_but_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_CACHE", str(tmp_path))

    def stepping(by):
        @lane_code
        def step(i, key, t, params, inputs, action, state, obs):
            state.place[i] += by

        return step

    fitness = []
    for by in (1, 2):
        world = replace(IDLE, step=stepping(by))
        fitness.append(Rollout(world, world.filled(), inputs_of(1), np.zeros(1, np.uint64)).run(3).fitness[0])
    assert fitness == [3, 6] and not list(tmp_path.iterdir())


@lane_code
def broken_step(i, key, t, params, inputs, action, state, obs):
    nearly(i, state)


@lane_code
def nearly(i, state):
    if state.place[i] > 1:
        state.place[i] = 0


@lane_code
def misspelt_step(i, key, t, params, inputs, action, state, obs):
    state.place[i] = inputs.sped[i]


def test_a_world_that_does_not_compile_tells_its_author_the_line_and_the_remedy():
    with pytest.raises(WorldAuthorError) as error:
        driver(replace(IDLE, name="broken", step=broken_step), None, {}, 16)
    told = str(error.value)
    assert told.startswith("World 'broken' does not compile: truth(Lane(bool, 16)) has no meaning, at ") and len(told) < 400
    assert f"{__file__}:" in told and "if state.place[i] > 1:" in told and told.endswith("or give the World scalar=True.")
    with pytest.raises(
        WorldAuthorError, match=r"Unknown attribute 'sped' of type Inputs, at .*test_launch.py:\d+: state.place\[i\] ="
    ):
        driver(replace(IDLE, name="misspelt", step=misspelt_step), None, {}, 16)


def test_a_scalar_world_may_branch_and_runs_at_width_one():
    assert lane_width(COIN) == 1 and driver(COIN, None, {}).width == 1
    with pytest.raises(WorldAuthorError, match="scalar=True"):
        driver(COIN, None, {}, 4)


def test_a_driver_may_be_asked_for_from_many_threads_at_once():
    world, found = replace(IDLE), []
    askers = [threading.Thread(target=lambda: found.append(driver(world, None, {}))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(found) == 4 and len({each.dispatcher for each in found}) <= 4
    keys = np.zeros(16, np.uint64)
    rollout = Rollout(world, world.filled(), inputs_of(16), keys)
    for each in found:
        each.run(0, 16, 0, 1, BEGIN | END, rollout._table)
    assert (rollout.outcome().fitness == 0).all()


def test_a_world_without_observation_or_action_exchanges_nothing():
    edges = edges_of(replace(IDLE, observation=None, action=None))
    assert edges._fields == ("key", "action", "obs") and edges._field_defaults["obs"].shape == (1,)
