"""The loop: fused equals stepped, with and without a policy; memory is used again; actions and observations find their lanes."""

import numpy as np
import pytest
from over_lanes import same_bits
from small_worlds import IDLE, WALKER, Inputs, inputs_of

from worldloom.core.errors import UnknownName
from worldloom.core.keys import fold
from worldloom.core.rollout import Batch, Rollout
from worldloom.core.span import listening


def rollout(lanes=37, **how):
    keys = np.asarray(fold(np.uint64(3), np.arange(lanes)), np.uint64)
    return Rollout(WALKER, WALKER.filled(how.get("mode")), inputs_of(lanes), keys, **how)


class Homing:
    """Pushes towards where it began, each lane as hard as its own weight says; remembers how often it acted."""

    size = 1

    def start(self, lanes):
        return 0

    def act(self, weights, memory, obs):
        assert obs.shape == (len(weights), 2)
        return -weights * obs[:, :1], memory + 1


class Still:
    size = 0

    def start(self, lanes):
        return None

    def act(self, weights, memory, obs):
        return np.zeros((len(obs), 1), np.float32), memory


def same(a, b):
    return all(same_bits(x, y) for x, y in zip(a, b, strict=True))


def test_one_launch_and_one_launch_a_step_are_the_same_life():
    fused, stepped = rollout(), rollout()
    outcome = fused.run(40)
    stepped.reset()
    for _ in range(40):
        stepped.advance()
    assert same(outcome, stepped.finish()) and same(fused.state(), stepped.state()) and stepped.t == fused.t == 40
    assert same_bits(fused.observation(), stepped.observation())
    assert same(outcome, rollout().run_with(Still(), np.zeros((37, 0)), 40))


def test_a_life_may_be_divided_into_launches_anywhere():
    whole, parts = rollout().run(40), rollout()
    parts.reset()
    for count in (1, 13, 0, 26):
        parts.advance(count)
    assert same(whole, parts.finish())


def test_a_policy_acts_on_its_own_lane_and_a_lane_alone_does_the_same():
    weights = np.linspace(0, 3, 37, dtype=np.float32)[:, None]
    together = rollout().run_with(Homing(), weights, 25)
    keys = np.asarray(fold(np.uint64(3), np.arange(37)), np.uint64)
    for lane in (0, 16, 36):
        one = slice(lane, lane + 1)
        alone = Rollout(WALKER, WALKER.filled(), Inputs(inputs_of(37).speed[one]), keys[one]).run_with(Homing(), weights[one], 25)
        assert same(alone, type(together)(*(array[one] for array in together)))
    assert not same(together, rollout().run(25))


def test_actions_stay_until_the_next_ones_and_are_forgotten_with_new_lanes():
    pushed, steady = rollout(), rollout()
    pushed.reset()
    pushed.act(np.ones((37, 1)))
    pushed.advance(10)
    steady.reset()
    for _ in range(10):
        steady.act(np.ones((37, 1)))
        steady.advance()
    assert same(pushed.finish(), steady.finish())
    assert (pushed.outcome().fitness > rollout().run(10).fitness).all()
    pushed.load(inputs_of(37), np.asarray(fold(np.uint64(3), np.arange(37)), np.uint64))
    assert same(pushed.run(10), rollout().run(10))


def test_memory_is_used_again_for_other_lanes_and_earlier_outcomes_stay_as_they_were():
    one = rollout()
    first = one.run(20)
    kept = [array.copy() for array in first]
    table, keys = one._table.copy(), np.asarray(fold(np.uint64(8), np.arange(37)), np.uint64)
    one.load(Inputs(-inputs_of(37).speed), keys)
    second = one.run(20)
    assert (one._table == table).all() and same(first, kept) and not same(first, second)
    assert same(second, Rollout(WALKER, WALKER.filled(), Inputs(-inputs_of(37).speed), keys).run(20))


def test_other_numbers_of_lanes_are_refused():
    with pytest.raises(ValueError, match="36 lanes and 37 keys were given; this rollout holds 37"):
        rollout().load(inputs_of(36), np.zeros(37, np.uint64))
    with pytest.raises(ValueError, match="37 lanes and 36 keys"):
        rollout().load(inputs_of(37), np.zeros(36, np.uint64))


def test_a_mode_brings_its_own_numbers_or_its_own_step():
    still = {mode: rollout(mode=mode).run(10).fitness for mode in ("accurate", "coarse", "reversed")}
    assert same_bits(rollout().run(10).fitness, still["accurate"])
    assert not same_bits(still["coarse"], still["accurate"])
    assert np.allclose(still["reversed"], -inputs_of(37).speed, atol=1e-5)
    with pytest.raises(UnknownName, match="Did you mean 'coarse'"):
        WALKER.filled("corse")


def test_no_lanes_are_no_work():
    empty = Rollout(IDLE, IDLE.filled(), inputs_of(0), np.zeros(0, np.uint64), threads=2)
    assert empty.run(5).fitness.shape == (0,) and empty.observation().shape == (0, 2)


def test_a_life_is_timed_for_whoever_listens():
    with listening() as profile:
        rollout().run(5)
    assert profile.spans["physics"].count == 1 and profile.spans["physics"].lanes == 37


def test_a_batch_knows_how_many_lanes_it_has():
    assert Batch(world="walker", version=1, keys=np.zeros(5, np.uint64), steps=3).lanes == 5
