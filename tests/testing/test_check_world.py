"""check_world finds each broken promise, and says in one sentence which number of which lane broke it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from worldloom.core import Field, Mode, Size, World, any_lane, cast, lane_code
from worldloom.core.elements import lane_number
from worldloom.testing import check_world
from worldloom.testing.crowd import gather
from worldloom.testing.cuda import instructions, kernel_ptx, simulate
from worldloom.testing.plain import run_plainly
from worldloom.testing.worlds import (
    check_declarations,
    check_ends,
    check_garbage,
    check_modes,
    check_neighbours,
    check_plain,
    check_ptx,
    check_splits,
    check_threads,
    check_widths,
    measured_error,
    moments,
    standard_digest,
)

STEPS = 20
TENTH = np.float64(0.1)  # NumPy's double: beside a float32 lane it stays double in plain Python only


class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.1)
    limit: np.int32 = Field("m", "further is lost", dtype=np.int32, default=50)


class Inputs(NamedTuple):
    speed: np.ndarray = Field("m/s", "of travel", low=-1, high=1)


class State(NamedTuple):
    place: np.ndarray = Field("m", "where it is")
    spare: np.ndarray = Field("m", "never used", (2,))


class Outcome(NamedTuple):
    fitness: np.ndarray = Field("m", "how far it came")
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


@lane_code
def reset(i, key, params, inputs, state):
    state.place[i] = 0


@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    state.place[i] += (inputs.speed[i] + action[i, 0]) * params.dt
    obs[i, 0] = state.place[i]


@lane_code
def finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = state.place[i]
    outcome.status[i] = cast(abs(state.place[i]) > params.limit, np.int8)


GOOD = World(
    name="road", version=1, params=Params, inputs=Inputs, state=State, outcome=Outcome, reset=reset, step=step, finish=finish,
    observation=Field("m", "place", (1,)), action=Field("m/s", "push", (1,)), steps=lambda params: STEPS,
)  # fmt: skip


def crowd(**changes):
    return gather(replace(GOOD, **changes), 40)


def told(error: pytest.ExceptionInfo) -> str:
    line = str(error.value)
    assert line.startswith("World 'road'") and line.endswith((".", "?")) and "\n" not in line
    return line


def test_a_world_that_keeps_every_promise_passes_and_gives_its_digest():
    digest = check_world(GOOD, lanes=40)
    assert digest == check_world(GOOD, lanes=17, steps=5, digest=digest, simulator=False, ptx=False) and len(digest) == 64


def test_results_that_moved_are_told_with_both_digests():
    with pytest.raises(
        AssertionError, match=r"version 1: results moved. The digest is .{64}, expected abc: raise version or mend"
    ) as error:
        check_world(GOOD, lanes=17, steps=5, digest="abc", simulator=False, ptx=False)
    assert told(error)


# ---- declarations ----------------------------------------------------------------------------------------------------------------


class NoUnit(NamedTuple):
    speed: np.ndarray = Field(" ", "of travel")


class NoDoc(NamedTuple):
    place: np.ndarray = Field("m", "")


class NoDefault(NamedTuple):
    dt: np.float32 = Field("s", "time step")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inputs": NoUnit}, "inputs.speed has no unit"),
        ({"state": NoDoc}, "state.place has no doc"),
        ({"params": NoDefault}, "params.dt has no default"),
        ({"observation": Field("", "place", (1,))}, "observation has no unit"),
        ({"modes": {"quick": Mode(doc="")}}, "mode 'quick' has no doc"),
        ({"sizes": {"nodes": Size(doc="", default=3)}}, "size 'nodes' has no doc"),
    ],
)
def test_numbers_without_unit_meaning_or_default_are_found(changes, fault):
    with pytest.raises(AssertionError, match=fault) as error:
        check_declarations(replace(GOOD, **changes))
    assert told(error)


def test_a_mode_that_sets_a_parameter_that_does_not_exist_is_found():
    with pytest.raises(AssertionError, match=r"Unknown parameter 'td'") as error:
        check_world(replace(GOOD, modes={"quick": Mode(doc="quick", params={"td": 1})}))
    assert told(error)


class Unbounded(NamedTuple):
    speed: np.ndarray = Field("m/s", "of travel")


def test_inputs_without_bounds_need_a_sampler_and_have_one_from_the_caller():
    world = replace(GOOD, inputs=Unbounded)
    with pytest.raises(
        AssertionError, match=r"cannot be sampled: Gene 'speed' has no bounds.* Or give check_world inputs="
    ) as error:
        check_world(world)
    assert told(error)
    with pytest.raises(AssertionError, match=r"inputs\(key, 40\) gave 39 lanes. Give 40") as error:
        gather(world, 40, inputs=lambda key, lanes: Unbounded(np.zeros(lanes - 1, np.float32)))
    given = gather(world, 40, inputs=lambda key, lanes: Unbounded(np.linspace(-1, 1, lanes, dtype=np.float32)))
    check_neighbours(given, STEPS)


# ---- compiled code ----------------------------------------------------------------------------------------------------------------


@lane_code
def silent_finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = state.place[i]


@lane_code
def odd_finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = state.place[i]
    outcome.status[i] = 7


@lane_code
def infinite_finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = 1 / (state.place[i] * 0)
    outcome.status[i] = 0


@lane_code
def greedy_step(i, key, t, params, inputs, action, state, obs):
    inputs.speed[i] = 2
    state.place[i] = 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"finish": silent_finish}, "outcome.status of lane 0 is never written. Write it in finish"),
        ({"finish": odd_finish}, "status of lane 0 is 7. Expected one of OK, UNSTABLE, FULL, TIMEOUT"),
        ({"finish": infinite_finish}, "outcome.fitness of lane 0 is not finite though its status is OK"),
        ({"step": greedy_step}, "inputs.speed of lane 0 was written. Inputs are only read"),
    ],
)
def test_a_life_without_a_proper_end_is_found(changes, fault):
    with pytest.raises(AssertionError, match=fault) as error:
        check_ends(crowd(**changes), STEPS)
    assert told(error)


@lane_code
def forgetful_reset(i, key, params, inputs, state):
    state.spare[i, 0] = 0


def test_reading_what_reset_did_not_write_is_found_and_what_nobody_writes_is_left_out():
    with pytest.raises(
        AssertionError, match=r"state.place of lane 0 is .* in clean memory, but .* in memory full of 0xAA|outcome.fitness"
    ) as error:
        check_garbage(crowd(reset=forgetful_reset), STEPS)
    assert "reset must write whatever step and finish read" in told(error)
    check_garbage(crowd(), STEPS)


@lane_code
def placed_step(i, key, t, params, inputs, action, state, obs):
    state.place[i] += lane_number(i) * params.dt


@lane_code
def crowded_step(i, key, t, params, inputs, action, state, obs):
    if any_lane(inputs.speed[i] > 0.5):
        state.place[i] += 1


@pytest.mark.parametrize("wrong", (placed_step, crowded_step), ids=lambda step: step.__name__)
def test_a_lane_that_knows_its_place_or_its_neighbours_is_found(wrong):
    with pytest.raises(
        AssertionError, match=r"outcome.fitness of lane \d+ is .* in its batch, but .* (alone|among 17|in .* order)"
    ) as error:
        check_neighbours(crowd(step=wrong), STEPS)
    assert "inputs and key alone" in told(error)
    with pytest.raises(AssertionError, match=r"outcome.fitness of lane \d+ is .* at width 1, but .* at width 4") as error:
        check_widths(crowd(step=wrong), STEPS)
    assert told(error)


@lane_code
def counting_finish(i, params, inputs, state, outcome):
    state.place[i] += 1
    outcome.fitness[i] = state.place[i]
    outcome.status[i] = 0


def test_what_holds_of_a_good_world_holds_of_its_splits_and_threads():
    for check in (check_splits, check_threads, check_garbage, check_ends):
        check(crowd(), STEPS)
        check(crowd(finish=counting_finish), STEPS)


@lane_code
def watching_step(i, key, t, params, inputs, action, state, obs):
    state.place[i] += obs[i, 0] + params.dt
    obs[i, 0] = state.place[i]


def test_a_step_that_reads_what_it_only_should_write_is_found():
    with pytest.raises(AssertionError, match=r"in memory full of") as error:
        check_garbage(crowd(step=watching_step), STEPS)
    assert told(error)


# ---- other targets ----------------------------------------------------------------------------------------------------------------


@lane_code
def double_step(i, key, t, params, inputs, action, state, obs):
    state.place[i] += inputs.speed[i] * TENTH


def test_a_number_that_is_double_in_plain_python_alone_is_found():
    with pytest.raises(AssertionError, match=r"state.place|outcome.fitness") as error:
        check_plain(crowd(step=double_step), STEPS, simulator=False)
    assert "compiled, after steps 0 to 4, but" in told(error) and "uncompiled" in told(error)


def test_the_simulator_gives_the_bits_of_plain_python_and_of_the_compiled_step():
    pairs = list(moments(crowd(), STEPS))
    assert [(given.t0, given.t1) for given, _ in pairs] == [(0, 4), (10, 14)]
    for found, (given, expected) in zip(simulate([given for given, _ in pairs]), pairs, strict=True):
        assert all(np.array_equal(found[name], expected[name], equal_nan=found[name].dtype.kind == "f") for name in expected)
        assert all(np.array_equal(found[n], a, equal_nan=a.dtype.kind == "f") for n, a in run_plainly(given).items())


@lane_code
def plain_step(i, key, t, params, inputs, action, state, obs):
    state.place[i] += t * 0.1


def test_arithmetic_that_no_lane_takes_part_in_is_found_in_the_ptx():
    check_ptx(crowd())
    with pytest.raises(AssertionError, match=r"its PTX may round otherwise than a CPU: .*f64 \d") as error:
        check_ptx(crowd(step=plain_step))
    assert told(error)


PTX = """
.visible .entry kernel( .param .u64 a )
{   // fma.rn.f32 in a comment does not count
    .reg .f32 %f<9>;
    @%p1 bra $L__1;
    fma.rn.f32 %f1, %f2, %f3, %f4;
    mul.f32 %f1, %f2, %f3;
    add.rn.f32 %f1, %f2, %f3;
    { .reg .pred p; setp.ne.u32 p, %r1, 0; selp.f32 %f1, %f2, %f3, p; }
    sqrt.approx.ftz.f32 %f1, %f2;
    min.f32 %f1, %f2, %f3;
    cvt.f64.f32 %fd1, %f1;
    mad.lo.s32 %r1, %r2, %r3, %r4;
    min.s32 %r1, %r2, %r3;
    ret;
}
"""


def test_the_gate_knows_what_may_be_fused_or_rounded_freely():
    found = instructions(PTX)
    assert found.counts["bra"] == found.counts["setp.ne.u32"] == found.counts["selp.f32"] == found.counts["ret"] == 1
    assert set(found.faults(double=False)) == {"fma.rn.f32", "mul.f32", "sqrt.approx.ftz.f32", "min.f32", "cvt.f64.f32"}
    assert set(found.faults(double=True)) == {"fma.rn.f32", "mul.f32", "sqrt.approx.ftz.f32", "min.f32"}


def test_ptx_reads_global_memory_and_spells_out_its_rounding():
    found = instructions(kernel_ptx(GOOD))
    assert found.counts["ld.global.f32"] and found.counts["mul.rn.f32"] and found.counts["add.rn.f32"] and found.total < 200
    assert not [name for name in found.counts if name in ("ld.f32", "st.f32")]


# ---- modes -------------------------------------------------------------------------------------------------------------------------


def in_modes(**error):
    modes = {"accurate": Mode(doc="as it is"), "coarse": Mode(doc="longer steps", params={"dt": 0.11}, error=error)}
    return replace(GOOD, modes=modes)


def test_a_mode_is_held_to_the_error_that_it_claims():
    check_modes(in_modes(fitness=0.11), 40)
    with pytest.raises(
        AssertionError, match=r"mode 'coarse' claims an error of 'fitness' of at most 0.05, but 0.1 was measured"
    ) as error:
        check_modes(in_modes(fitness=0.05), 40)
    assert told(error)
    with pytest.raises(
        AssertionError, match=r"mode 'coarse' claims an error of 'energy', which is not measured. Measured: fitness"
    ) as error:
        check_modes(in_modes(energy=0.05), 40)
    assert told(error)


def test_the_world_may_measure_its_own_error():
    def largest(accurate, other):
        return {"metres": float(np.abs(accurate.fitness - other.fitness).max())}

    check_modes(replace(in_modes(metres=0.21), error=largest), 40)
    with pytest.raises(AssertionError, match=r"'metres' of at most 0.1, but 0.17"):
        check_modes(replace(in_modes(metres=0.1), error=largest), 40)


def test_no_error_is_measured_where_no_lane_ended_well():
    lost = Outcome(np.ones(3, np.float32), np.ones(3, np.int8))
    with pytest.raises(AssertionError, match=r"no lane ended well in both modes") as error:
        measured_error(GOOD, lost, lost)
    assert told(error)


def test_a_mode_with_a_step_of_its_own_is_compiled_and_checked_too():
    with pytest.raises(AssertionError, match=r"World 'road'.* its PTX may round otherwise"):
        check_world(
            replace(GOOD, modes={"odd": Mode(doc="odd"), "own": Mode(doc="own", step=plain_step)}), lanes=20, simulator=False
        )


def test_the_standard_run_does_not_depend_on_how_it_was_checked():
    assert standard_digest(GOOD) == standard_digest(replace(GOOD)) != standard_digest(replace(GOOD, finish=counting_finish))
